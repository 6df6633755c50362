//! What systemd is told where it started the server (`sd_notify(3)`): ready, reading again, stopping, and still alive.
//! Elsewhere nobody is told anything.

use std::future;

use sd_notify::NotifyState;
use tokio::time::{self, Interval, MissedTickBehavior};
use tracing::warn;

/// Queries are answered from a loaded mesh: `/ready` says so too.
pub(super) fn tell_ready() {
    tell(&[NotifyState::Ready]);
}

/// Everything is read again.
pub(super) fn tell_reloading() {
    // systemd wants the time with it, which only a kernel without a monotonic clock can't tell.
    let time = NotifyState::monotonic_usec_now();
    match time {
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// No query is answered soon.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The server does what it is there for.
pub(super) fn tell_alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "tell systemd how the server is");
    }
}

/// When systemd is to hear that the server is alive; never where it does not ask.
pub(super) struct Watchdog(Option<Interval>);

impl Watchdog {
    pub(super) fn new() -> Self {
        // Twice in the time after which systemd gives the server up, as its manual advises.
        Self(sd_notify::watchdog_enabled().map(|limit| {
            let mut interval = time::interval(limit / 2);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Waits until it is time.
    pub(super) async fn is_due(&mut self) {
        match &mut self.0 {
            Some(interval) => _ = interval.tick().await,
            None => future::pending().await,
        }
    }
}
