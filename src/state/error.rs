use std::{io, path::PathBuf};

/// The last good state can't be read or kept. Neither ends the server.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder, or a file in it, can't be read.
    #[error("read the last good state {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A line is not as it was written, before anything was whole.
    #[error("the last good state {} is broken at line {line}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// It can't be written.
    #[error("keep the last good state {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The operating system gives no thread.
    #[error("start the thread that keeps the last good state")]
    Thread(#[source] io::Error),
}
