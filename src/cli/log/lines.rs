//! Stderr for a server that must not wait for whoever reads it: a queue, and a thread that writes.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    mem,
    os::fd::AsFd as _,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{metrics::LogLines, threads};

/// How many bytes of lines wait until they are read; further ones are left out, and counted.
const MAX_BYTES: usize = 1 << 20;

/// How often the log says at most that lines are missing.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// To the begin of the line, and erases it.
const ERASE: &[u8] = b"\r\x1b[2K";

/// The lines of the log, and one line below them that is written again and again.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Lines(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// All is written.
    emptied: Condvar,
    dropped: Arc<LogLines>,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    /// Of the pieces, and of those that are being written.
    bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Line(Vec<u8>),
    /// What stands below all lines from here on; nothing where it is empty.
    Lowest(Vec<u8>),
}

impl Lines {
    /// Starts the thread that writes; what is left out is counted in `dropped`.
    ///
    /// # Errors
    ///
    /// Where stderr can't be opened a second time, or there is no thread.
    pub(super) fn start(dropped: Arc<LogLines>) -> io::Result<Self> {
        // A descriptor of its own: the lock of the standard library's would be held as long as nobody reads.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::start_writing(stderr, dropped)
    }

    fn start_writing(to: File, dropped: Arc<LogLines>) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped,
        });
        let writing = Arc::clone(&queue);
        threads::start("log", move || write_to(to, &writing))?;
        Ok(Self(queue))
    }

    /// Puts `line` in the place of the one that was shown so before; the terminal cuts what is too long for it.
    pub(in crate::cli) fn rewrite(&self, line: &str) {
        const NO_WRAP: &str = "\x1b[?7l";
        const WRAP: &str = "\x1b[?7h";
        self.push(Piece::Lowest(format!("{NO_WRAP}{line}{WRAP}").into_bytes()));
    }

    /// Takes that line away.
    pub(in crate::cli) fn erase(&self) {
        self.push(Piece::Lowest(Vec::new()));
    }

    /// Waits until all is written, up to `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let state = self.0.state();
        let waited = self
            .0
            .emptied
            .wait_timeout_while(state, limit, |state| state.bytes > 0);
        drop(waited);
    }

    fn push(&self, piece: Piece) {
        let mut state = self.0.state();
        if state.bytes + piece.bytes() > MAX_BYTES {
            drop(state);
            self.0.dropped.count_unread();
            return;
        }
        state.bytes += piece.bytes();
        state.pieces.push_back(piece);
        drop(state);
        self.0.filled.notify_one();
    }
}

/// Takes one line at a time.
impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(Piece::Line(bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Piece {
    /// What it takes in the queue: never nothing.
    fn bytes(&self) -> usize {
        let (Self::Line(text) | Self::Lowest(text)) = self;
        text.len() + mem::size_of::<Self>()
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next pieces.
    fn next(&self) -> VecDeque<Piece> {
        let waited = self
            .filled
            .wait_while(self.state(), |state| state.pieces.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut state.pieces)
    }

    fn mark_written(&self, bytes: usize) {
        self.state().bytes -= bytes;
        self.emptied.notify_all();
    }
}

fn write_to(mut stderr: File, queue: &Queue) {
    let mut has_lowest = false;
    let mut told = (0, 0);
    let mut told_at = None::<Instant>;
    loop {
        let pieces = queue.next();
        let mut text = Vec::new();
        let mut bytes = 0;
        for piece in pieces {
            bytes += piece.bytes();
            if mem::take(&mut has_lowest) {
                text.extend_from_slice(ERASE);
            }
            match piece {
                Piece::Line(line) => text.extend(line),
                Piece::Lowest(line) => {
                    has_lowest = !line.is_empty();
                    text.extend(line);
                }
            }
        }
        // Where stderr is closed nobody can be told that it is.
        let _ = stderr.write_all(&text);
        queue.mark_written(bytes);
        let dropped = (queue.dropped.unread(), queue.dropped.repeated());
        if dropped != told && told_at.is_none_or(|at| at.elapsed() >= TELL_INTERVAL) {
            let (unread, repeated) = (dropped.0 - told.0, dropped.1 - told.1);
            tracing::warn!(
                unread,
                repeated,
                "log lines were left out: nobody read them in time, or they said the same too often"
            );
            (told, told_at) = (dropped, Some(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_nobody_reads_is_left_out_and_counted_and_nobody_waits() {
        const LINES: usize = 40_000;
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let dropped = Arc::<LogLines>::default();
        let to = File::from(std::os::fd::OwnedFd::from(writer));
        let mut lines = Lines::start_writing(to, dropped.clone()).expect("a thread");
        for _ in 0..LINES {
            lines.write_all(&[b'.'; 99]).expect("a queue takes all");
        }
        lines.flush(Duration::from_millis(1));
        let left = LINES - usize::try_from(dropped.unread()).expect("few");
        assert!(left < LINES, "a pipe and a queue hold no 4 MB");
        let mut read = vec![0; left * 99];
        reader
            .read_exact(&mut read)
            .expect("all that was not left out");
    }

    #[test]
    fn the_lowest_line_goes_when_another_comes() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let to = File::from(std::os::fd::OwnedFd::from(writer));
        let mut lines = Lines::start_writing(to, Arc::default()).expect("a thread");
        lines.rewrite("1 of 2");
        lines.write_all(b"a line\n").expect("a queue takes all");
        lines.rewrite("2 of 2");
        lines.erase();
        let expected = "\x1b[?7l1 of 2\x1b[?7h\r\x1b[2Ka line\n\x1b[?7l2 of 2\x1b[?7h\r\x1b[2K";
        let mut read = vec![0; expected.len()];
        reader.read_exact(&mut read).expect("all of it");
        assert_eq!(String::from_utf8(read).expect("text"), expected);
    }
}
