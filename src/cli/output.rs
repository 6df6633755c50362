//! The two ways out: data on stdout, talk on stderr.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;

use super::{Exit, Failure};
use crate::dns::Name;

/// Hands stdout to `write`, buffered. A reader that has seen enough, such as `head`, is no failure.
pub(super) fn data(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    let done = write(&mut stdout).and_then(|()| stdout.flush());
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done
            .context("write to stdout")
            .map_err(|error| Failure::new(Exit::Failed, error)),
    }
}

/// Writes one line that begins with `meshdns: ` to stderr.
pub(super) fn talk(line: &str) {
    // Where stderr is closed nobody can be told that it is.
    let _ = writeln!(io::stderr().lock(), "meshdns: {line}");
}

/// Stderr for log lines, and for one line below them that is written again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// Whether that one line stands there at present.
    is_lowest: Arc<Mutex<bool>>,
}

/// To the begin of the line, and erases it.
const ERASE: &[u8] = b"\r\x1b[2K";

impl Lines {
    /// Puts `line` in the place of the one that was shown so before; the terminal cuts what is too long for it.
    pub(super) fn rewrite(&self, line: &str) {
        const NO_WRAP: &str = "\x1b[?7l";
        const WRAP: &str = "\x1b[?7h";
        *self.erased() = true;
        let _ = write!(io::stderr().lock(), "{NO_WRAP}{line}{WRAP}");
    }

    /// Takes that line away.
    pub(super) fn erase(&self) {
        drop(self.erased());
    }

    fn erased(&self) -> MutexGuard<'_, bool> {
        let mut is_lowest = self
            .is_lowest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if mem::take(&mut *is_lowest) {
            let _ = io::stderr().lock().write_all(ERASE);
        }
        is_lowest
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _erased = self.erased();
        io::stderr().lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether to write colours to this stream: to a terminal, unless [`NO_COLOR`](https://no-color.org) says no.
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !no_color
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    }
}

/// A host as ServiceEntries write it: without the root's dot.
pub(super) fn host(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(host) if !host.is_empty() => host.to_owned(),
        _ => text,
    }
}
