//! The two ways out: data on stdout, talk on stderr.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
};

use anyhow::Context as _;

use super::{Exit, Failure};
pub(super) use crate::wording::count;

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

/// Writes JSON again as people read it.
pub(super) fn pretty(out: &mut dyn Write, json: &[u8]) -> io::Result<()> {
    let value: serde_json::Value = serde_json::from_slice(json)?;
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

/// Writes one line that begins with `meshdns: ` to stderr.
pub(super) fn talk(line: &str) {
    // Where stderr is closed nobody can be told that it is.
    let _ = writeln!(io::stderr().lock(), "meshdns: {line}");
}

/// Whether to write colours to this stream: to a terminal, unless [`NO_COLOR`](https://no-color.org) says no.
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !no_color
}
