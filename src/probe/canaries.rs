//! Canaries: what answers while our own network is well.

use std::{
    future,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{connect::Dial, miss::Miss};
use crate::health::{Failure, Nothing, Reach, Settings};

/// How often each is tried.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long a try may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Those that are watched now. Dropped, it watches none.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    /// One at most.
    watching: JoinSet<()>,
    /// Whether our network is well, by the last round that told; `None` where there was none.
    word: Option<watch::Receiver<Option<bool>>>,
}

impl Canaries {
    /// Watches those of `settings` from now on.
    pub(super) fn watch(&mut self, settings: &Settings) {
        self.watching.abort_all();
        self.word = None;
        if settings.canaries.is_empty() {
            return;
        }
        let (tell, word) = watch::channel(None);
        let dial = Dial::new(Reach::default(), settings.source);
        let canaries = settings.canaries.clone();
        self.watching.spawn(watch_all(dial, canaries, tell));
        self.word = Some(word);
    }

    /// Waits until they say whether our network is well; forever where there are none.
    pub(super) async fn changed(&mut self) -> bool {
        while let Some(word) = &mut self.word {
            if word.changed().await.is_err() {
                break;
            }
            if let Some(is_well) = *word.borrow_and_update() {
                return is_well;
            }
        }
        future::pending().await
    }
}

async fn watch_all(dial: Dial, canaries: Vec<SocketAddr>, tell: watch::Sender<Option<bool>>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What each said last; `None` while nothing is known of it.
    let mut newest = vec![None; canaries.len()];
    loop {
        ticks.tick().await;
        let mut tries = JoinSet::new();
        for (number, canary) in canaries.iter().copied().enumerate() {
            let dial = dial.clone();
            tries.spawn(async move { (number, answers(&dial, canary).await) });
        }
        for (number, answer) in tries.join_all().await {
            newest[number] = answer.or(newest[number]);
        }
        if let Some(is_well) = verdict(&newest) {
            // The other end is dropped with this task.
            let _ = tell.send(Some(is_well));
        }
    }
}

/// Our network is ill while more than half of the canaries fail.
fn verdict(newest: &[Option<bool>]) -> Option<bool> {
    let known = newest.iter().flatten();
    let failing = known.clone().filter(|answers| !**answers).count();
    (known.count() > 0).then_some(failing * 2 <= newest.len())
}

/// Whether a canary accepts or refuses; `None` where this machine can't tell.
async fn answers(dial: &Dial, canary: SocketAddr) -> Option<bool> {
    let begun = Instant::now();
    match timeout(TIMEOUT, dial.connect_anywhere(canary)).await {
        Ok(Ok(_) | Err(Miss::Failure(Failure::Refused | Failure::Reset))) => Some(true),
        Ok(Err(Miss::Nothing(Nothing::Local(errno)))) if !is_no_way_out(errno) => None,
        Err(_) if begun.elapsed() > TIMEOUT + TIMEOUT / 2 => None,
        Ok(Err(_)) | Err(_) => Some(false),
    }
}

/// Whether an error is what canaries are there to show.
fn is_no_way_out(errno: i32) -> bool {
    matches!(errno, libc::ENETUNREACH | libc::ENETDOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_network_is_ill_while_more_than_half_of_the_canaries_fail() {
        let (well, ill, unknown) = (Some(true), Some(false), None);
        assert_eq!(verdict(&[unknown, unknown]), None);
        assert_eq!(verdict(&[well]), Some(true));
        assert_eq!(verdict(&[ill]), Some(false));
        assert_eq!(verdict(&[well, ill]), Some(true));
        assert_eq!(verdict(&[well, ill, ill]), Some(false));
        assert_eq!(verdict(&[unknown, ill]), Some(true));
    }
}
