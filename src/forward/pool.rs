use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    select,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{Policy, asker::Asker, decide::Upstreams, question::Question, upstream::Upstream};
use crate::{dns::Rcode, wire::UpstreamReply};

/// How long a client waits at most when no upstream is known to answer: its next server may be better off.
const LAST_HOPE: Duration = Duration::from_millis(500);

/// How often each upstream is asked one question: a datagram may be lost. The only one is asked once more.
const ROUNDS: u32 = 2;

/// With the policy that prefers the fastest, one question in so many goes to any other first, to learn its time.
const EXPLORED: u32 = 16;

/// The upstreams of one route.
#[derive(Debug)]
pub(super) struct Pool {
    upstreams: ArcSwap<Vec<Arc<Upstream>>>,
    policy: Policy,
    timeout: Duration,
}

impl Pool {
    pub(super) fn new(upstreams: Vec<Arc<Upstream>>, policy: Policy, timeout: Duration) -> Self {
        Self {
            upstreams: ArcSwap::from_pointee(upstreams),
            policy,
            timeout,
        }
    }

    pub(super) fn upstreams(&self) -> Arc<Vec<Arc<Upstream>>> {
        self.upstreams.load_full()
    }

    /// Whether any of them is taken to answer.
    pub(super) fn state(&self) -> Upstreams {
        let upstreams = self.upstreams.load();
        if upstreams
            .iter()
            .any(|upstream| !upstream.health().is_down())
        {
            Upstreams::Up
        } else {
            Upstreams::Down
        }
    }

    /// When one of them answered again for the last time that was down before.
    pub(super) fn back_at(&self) -> Option<Instant> {
        let upstreams = self.upstreams.load();
        let backs = upstreams.iter();
        backs
            .filter_map(|upstream| upstream.health().back_at())
            .max()
    }

    /// Asks others from now on.
    pub(super) fn set_upstreams(&self, upstreams: Vec<Arc<Upstream>>) {
        self.upstreams.store(Arc::new(upstreams));
    }

    /// The best reply to be had in time; `None` where no upstream gives one.
    ///
    /// The upstreams are asked one after the other, each as soon as the one before has failed or has taken longer than it
    /// usually does; whoever answers first wins.
    pub(super) async fn ask(&self, question: &Question, asker: &Asker) -> Option<UpstreamReply> {
        let order = self.order();
        if order.is_empty() {
            return None;
        }
        let none_is_up = order.iter().all(|upstream| upstream.health().is_down());
        let limit = if none_is_up {
            self.timeout.min(LAST_HOPE)
        } else {
            self.timeout
        };
        let mut race = Race::of(&order);
        match timeout(limit, race.run(question, asker)).await {
            Ok(Some(reply)) => Some(reply),
            _ => race.fallback,
        }
    }

    /// Those that are up before those that are down, each in the order of the policy.
    fn order(&self) -> Vec<Arc<Upstream>> {
        let mut order = Vec::clone(&self.upstreams.load());
        if order.len() > 1 && self.policy != Policy::Sequential {
            let random = getrandom::u32().unwrap_or(0);
            let any = random as usize % order.len();
            match self.policy {
                Policy::Fastest if !random.rotate_left(16).is_multiple_of(EXPLORED) => {
                    order.sort_by_key(|upstream| upstream.health().smoothed());
                }
                _ => order.rotate_left(any),
            }
        }
        order.sort_by_key(|upstream| upstream.health().is_down());
        order
    }
}

/// One question on its way to several upstreams.
struct Race {
    /// Who is asked next, and how many times it was asked before.
    line: VecDeque<(Arc<Upstream>, u32)>,
    attempts: JoinSet<(Arc<Upstream>, io::Result<UpstreamReply>)>,
    /// A reply that is better than none.
    fallback: Option<UpstreamReply>,
}

impl Race {
    fn of(order: &[Arc<Upstream>]) -> Self {
        let rounds = if order.len() == 1 { ROUNDS + 1 } else { ROUNDS };
        let line = (0..rounds).flat_map(|round| order.iter().map(move |one| (one.clone(), round)));
        Self {
            line: line.collect(),
            attempts: JoinSet::new(),
            fallback: None,
        }
    }

    /// Returns the first reply that settles the question; `None` when everyone has failed or the fallback has to do.
    async fn run(&mut self, question: &Question, asker: &Asker) -> Option<UpstreamReply> {
        loop {
            let patience = self.ask_next(question, asker);
            let alarm = Instant::now() + patience;
            loop {
                select! {
                    biased;
                    Some(ended) = self.attempts.join_next() => {
                        let Ok((upstream, outcome)) = ended else { continue };
                        match outcome {
                            Ok(reply) if reply.settles() => return Some(reply),
                            Ok(reply) => self.fall_back_on(reply, &upstream),
                            Err(_) => {}
                        }
                    }
                    () = sleep_until(alarm.into()) => break,
                }
                // Whoever failed at once may be asked again in a moment, and the next one right away.
                if self.line.front().is_some_and(|(_, round)| *round == 0) {
                    break;
                }
                if self.attempts.is_empty() && self.line.is_empty() {
                    return None;
                }
            }
            if self.line.is_empty() && (self.attempts.is_empty() || self.fallback.is_some()) {
                return None;
            }
        }
    }

    /// Asks the next in line, and returns how long to wait for it before the one behind.
    fn ask_next(&mut self, question: &Question, asker: &Asker) -> Duration {
        let Some((upstream, round)) = self.line.pop_front() else {
            return super::health::MOST_PATIENCE;
        };
        let patience = upstream.health().patience(question.record_type) * (1 << round);
        let (question, asker) = (question.clone(), asker.clone());
        self.attempts.spawn(async move {
            let outcome = upstream.ask(&question, &asker).await;
            (upstream, outcome)
        });
        patience
    }

    /// Keeps a reply in case that nobody has a better one. Its sender would only say the same again.
    fn fall_back_on(&mut self, reply: UpstreamReply, sender: &Arc<Upstream>) {
        self.line
            .retain(|(upstream, _)| !Arc::ptr_eq(upstream, sender));
        let held = self.fallback.as_ref();
        if held.is_none_or(|held| worth(&reply) > worth(held)) {
            self.fallback = Some(reply);
        }
    }
}

/// How much a reply that does not settle the question tells the client, the more the better: that there is an answer for
/// those who ask over TCP; what is wrong with the name; that an upstream tried, then that it did not.
fn worth(reply: &UpstreamReply) -> u8 {
    match Rcode::from_number(reply.rcode) {
        _ if reply.truncated => 3,
        Some(Rcode::ServFail) => 1,
        Some(Rcode::FormErr | Rcode::NotImp | Rcode::Refused | Rcode::NotAuth) => 0,
        _ => 2,
    }
}
