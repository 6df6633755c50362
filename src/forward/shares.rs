//! Places that clients share: one that asks much leaves some to the others.
//!
//! A client may hold so many times as many places as are free ([`TIMES_FREE`]): alone three quarters of all, and where
//! several take all that they can get, each the same, and as much as a third of that is always free for another one. Nobody has
//! to be told a number, and a forwarder that asks for everyone gets nearly all while nobody else needs them.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use tokio::sync::oneshot;

/// How many times as many places as are free one client may hold.
const TIMES_FREE: usize = 3;

/// From how many who wait on, those are forgotten that do not wait any more, at first.
const FIRST_PURGE: usize = 16;

/// A client, as far as places go: an IPv4 address, or the /64 of an IPv6 address, all of which one machine may have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// In the place of a client where this server itself asks.
    pub(super) const SELF: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    pub(super) fn of(client: IpAddr) -> Self {
        const HOST_BITS: u128 = u64::MAX as u128;
        match client.to_canonical() {
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & !HOST_BITS).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// A number of places.
#[derive(Debug)]
pub(super) struct Shares(Mutex<State>);

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    shares: Arc<Shares>,
    client: ClientNetwork,
}

#[derive(Debug)]
struct State {
    free: usize,
    clients: HashMap<ClientNetwork, Share, RandomState>,
    /// The clients that wait, each once.
    line: VecDeque<ClientNetwork>,
}

/// What one client holds, and who waits for more; gone when there is neither.
#[derive(Debug)]
struct Share {
    held: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
    purge_at: usize,
    /// Whether it stands in [`State::line`].
    is_in_line: bool,
}

impl Shares {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: places,
            clients: HashMap::default(),
            line: VecDeque::new(),
        })))
    }

    /// A place for `client`; `None` where it holds as many as it may, or none is free.
    pub(super) fn try_take(self: &Arc<Self>, client: ClientNetwork) -> Option<Place> {
        self.lock().take(client).then(|| self.place(client))
    }

    /// The same, as soon as there is one. Clients that wait get places by turns.
    pub(super) async fn take(self: &Arc<Self>, client: ClientNetwork) -> Place {
        let place = {
            let mut state = self.lock();
            if state.take(client) {
                return self.place(client);
            }
            state.wait(client)
        };
        place
            .await
            .expect("who waits is told before it is forgotten")
    }

    fn place(self: &Arc<Self>, client: ClientNetwork) -> Place {
        Place {
            shares: Arc::clone(self),
            client,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a place where `client` may have one.
    fn take(&mut self, client: ClientNetwork) -> bool {
        let held = self.clients.get(&client).map_or(0, |share| share.held);
        let may_take = held < self.free.saturating_mul(TIMES_FREE);
        if may_take {
            self.free -= 1;
            self.share(client).held += 1;
        }
        may_take
    }

    fn wait(&mut self, client: ClientNetwork) -> oneshot::Receiver<Place> {
        let (sender, receiver) = oneshot::channel();
        let share = self.share(client);
        if share.waiting.len() >= share.purge_at {
            share.waiting.retain(|sender| !sender.is_closed());
            share.purge_at = FIRST_PURGE.max(2 * share.waiting.len());
        }
        share.waiting.push_back(sender);
        if !std::mem::replace(&mut share.is_in_line, true) {
            self.line.push_back(client);
        }
        receiver
    }

    /// Gives back a place of `client`.
    fn give_back(&mut self, client: ClientNetwork) {
        self.free += 1;
        self.share(client).held -= 1;
        self.forget_if_idle(client);
    }

    /// The next who waits and may have a place.
    fn next(&mut self) -> Option<(ClientNetwork, oneshot::Sender<Place>)> {
        for _ in 0..self.line.len() {
            let client = self.line.pop_front()?;
            let share = self.share(client);
            while share
                .waiting
                .front()
                .is_some_and(oneshot::Sender::is_closed)
            {
                share.waiting.pop_front();
            }
            if share.waiting.is_empty() {
                share.is_in_line = false;
                self.forget_if_idle(client);
                continue;
            }
            self.line.push_back(client);
            if self.take(client) {
                let sender = self.share(client).waiting.pop_front();
                return sender.map(|sender| (client, sender));
            }
        }
        None
    }

    fn share(&mut self, client: ClientNetwork) -> &mut Share {
        self.clients.entry(client).or_insert_with(|| Share {
            held: 0,
            waiting: VecDeque::new(),
            purge_at: FIRST_PURGE,
            is_in_line: false,
        })
    }

    fn forget_if_idle(&mut self, client: ClientNetwork) {
        let is_idle = |share: &Share| share.held == 0 && !share.is_in_line;
        if self.clients.get(&client).is_some_and(is_idle) {
            self.clients.remove(&client);
        }
    }
}

impl Drop for Place {
    /// Whoever waits gets it. One that does not wait any more when it is told gives it back in its turn.
    fn drop(&mut self) {
        let next: SmallVec<[_; 2]> = {
            let mut state = self.shares.lock();
            state.give_back(self.client);
            std::iter::from_fn(|| state.next()).collect()
        };
        for (client, sender) in next {
            // Where nobody takes it, it comes back here.
            drop(sender.send(self.shares.place(client)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> ClientNetwork {
        ClientNetwork::of([192, 0, 2, last].into())
    }

    /// Takes as many places for a client as it may have.
    fn take_all(shares: &Arc<Shares>, last: u8) -> Vec<Place> {
        std::iter::from_fn(|| shares.try_take(client(last))).collect()
    }

    #[test]
    fn one_that_takes_all_it_can_get_leaves_a_quarter() {
        let shares = Shares::new(100);
        let greedy = take_all(&shares, 1);
        assert_eq!(greedy.len(), 75);
        let others: Vec<_> = (2..=20).map(|last| shares.try_take(client(last))).collect();
        assert!(others.iter().all(Option::is_some));
        drop(greedy);
        assert_eq!(
            take_all(&shares, 1).len(),
            61,
            "three quarters of what is left, rounded up"
        );
    }

    #[test]
    fn several_that_take_all_they_can_get_leave_some() {
        let shares = Shares::new(4096);
        let _held: Vec<_> = (1..=5).map(|last| take_all(&shares, last)).collect();
        assert!(shares.try_take(client(6)).is_some());
    }

    #[test]
    fn the_last_place_is_anybodys() {
        let shares = Shares::new(1);
        let place = shares.try_take(client(1));
        assert!(place.is_some() && shares.try_take(client(2)).is_none());
        drop(place);
        assert!(shares.try_take(client(2)).is_some());
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let of = |text: &str| ClientNetwork::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back_by_turns() {
        let shares = Shares::new(4);
        let mut greedy = take_all(&shares, 1);
        let last = shares.try_take(client(2));
        assert_eq!((greedy.len(), last.is_some()), (3, true));
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = tokio::task::JoinSet::new();
        for last in [1, 1, 1, 3] {
            let (shares, told) = (shares.clone(), told.clone());
            waiting.spawn(async move {
                let place = shares.take(client(last)).await;
                told.send((last, place)).expect("somebody listens");
            });
        }
        tokio::task::yield_now().await;
        drop(last);
        let (first, place) = order.recv().await.expect("one is told");
        assert_eq!(first, 3, "the greedy one holds all that it may have");
        greedy.clear();
        drop(place);
        for _ in 0..3 {
            assert_eq!(order.recv().await.expect("the rest").0, 1);
        }
    }

    #[tokio::test]
    async fn those_who_do_not_wait_any_more_are_forgotten() {
        let shares = Shares::new(1);
        let place = shares.try_take(client(1));
        for _ in 0..10_000 {
            tokio::select! {
                biased;
                _ = shares.take(client(2)) => panic!("the only place is taken"),
                () = std::future::ready(()) => {}
            }
        }
        let held = |shares: &Shares| {
            let state = shares.lock();
            state
                .clients
                .get(&client(2))
                .map_or(0, |share| share.waiting.len())
        };
        assert!(held(&shares) <= FIRST_PURGE);
        drop(place);
        let state = shares.lock();
        assert_eq!(
            (state.free, state.clients.len(), state.line.len()),
            (1, 0, 0)
        );
    }
}
