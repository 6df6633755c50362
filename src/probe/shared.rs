//! What the thread that probes shares with everybody else.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::health::{Board, Settings};

/// The board, and what the thread that owns it is told.
#[derive(Debug)]
pub(super) struct Shared {
    board: Mutex<Board>,
    begun: Instant,
    /// Where this server listens.
    pub(super) own: Vec<SocketAddr>,
    /// The next settings.
    settings: Mutex<Option<Settings>>,
    is_stopped: AtomicBool,
    wakeup: Notify,
    /// When the state file was last written, in seconds since 1970; 0 for never.
    pub(super) saved: AtomicU64,
    /// Whether a bug has ended the thread.
    pub(super) is_broken: AtomicBool,
}

impl Shared {
    /// `board` begins at this moment.
    pub(super) fn new(board: Board, own: Vec<SocketAddr>) -> Self {
        Self {
            board: Mutex::new(board),
            begun: Instant::now(),
            own,
            settings: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            wakeup: Notify::new(),
            saved: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
        }
    }

    /// The board, for a moment: who holds it keeps probes waiting.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        // What a bug has left is better than nothing: verdicts stand.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// How long the board exists.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn set_settings(&self, settings: Settings) {
        *self.settings() = Some(settings);
        self.wakeup.notify_one();
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Relaxed);
        self.wakeup.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Relaxed)
    }

    /// Waits for other settings; returns without any when it is time to stop.
    pub(super) async fn orders(&self) -> Option<Settings> {
        loop {
            if let Some(settings) = self.settings().take() {
                return Some(settings);
            }
            if self.is_stopped() {
                return None;
            }
            self.wakeup.notified().await;
        }
    }

    fn settings(&self) -> MutexGuard<'_, Option<Settings>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
