use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How often limits on connections were reached, and how much their messages take.
#[derive(Debug, Default)]
pub struct Crowding {
    displaced: AtomicU64,
    unbuffered: AtomicU64,
    buffered_bytes: AtomicUsize,
}

impl Crowding {
    /// Counts a connection that has to end in favour of another.
    pub fn count_displaced(&self) {
        self.displaced.fetch_add(1, Relaxed);
    }

    /// Counts a message that was not taken, or an answer that was not sent, because too much is buffered.
    pub fn count_unbuffered(&self) {
        self.unbuffered.fetch_add(1, Relaxed);
    }

    /// Says how many bytes are buffered at present.
    pub fn set_buffered(&self, bytes: usize) {
        self.buffered_bytes.store(bytes, Relaxed);
    }

    /// How many connections had to end in favour of others.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    /// How many messages and answers were too much to buffer.
    pub fn unbuffered(&self) -> u64 {
        self.unbuffered.load(Relaxed)
    }

    /// How many bytes are buffered.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered_bytes.load(Relaxed)
    }
}
