//! Exit codes, as `istioctl analyze` and `sysexits(3)` have them.

use std::{fmt, process::ExitCode};

/// Part of the help texts.
pub(super) const HELP: &str = "\
Exit codes:
  0   fine
  1   anything else
  64  wrong usage
  65  a path can't be read
  69  a port is taken, an address is not this machine's, or no server answers
  75  drain --wait: not safe to stop in time
  77  no right to listen at a port
  78  the configuration file is wrong, or the certificate
  79  check found errors, or health --try found checks that fail";

/// How the process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// An operation failed that has no code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// A path can't be read.
    NoInput = 65,
    /// A port is taken, or an address is not this machine's.
    Unavailable = 69,
    /// What was waited for did not come in time.
    TooLittle = 75,
    /// The operating system does not let us.
    NoPermission = 77,
    /// The configuration file is wrong.
    Config = 78,
    /// `check` found errors.
    Errors = 79,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // The values are written down above, all below 256.
        Self::from(exit as u8)
    }
}

/// Why a command ends early: one line, and the code.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What went wrong.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure that ends in `exit`.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }
}

/// The error's chain in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Anything else that fails.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}
