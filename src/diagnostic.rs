//! What is wrong with the user's input, and where.
//!
//! A [`Diagnostic`] is a value beside a result, never an `Err`: a bad document is reported and its neighbours are
//! served. `check` prints diagnostics, `serve` logs and counts them, the status page lists them.
//!
//! Never decides what is wrong (the modules that read do) and never prints (the command line does).

pub mod code;
mod current;
mod object;
mod origin;

use std::fmt;

pub use code::Code;
pub use current::{DiagnosticChanges, Diagnostics, SeverityCounts};
pub use object::{Kind, ObjectKey};
pub use origin::{Cluster, ClusterPlace, FilePlace, Holder, Origin, Position};

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing; nothing to mend.
    Info,
    /// The object is used, but probably not as it was meant.
    Warning,
    /// The object, document or file, or the value of an annotation about answers, is not used: what it said before stays in service.
    Error,
}

impl Severity {
    /// The lower-case word that every output format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with the input, and what to do about it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Diagnostic {
    /// Where: sorts first, so that a sorted list reads as the files do, and clusters behind them.
    pub origin: Origin,
    /// How bad it is.
    pub severity: Severity,
    /// Which rule: stable over releases.
    pub code: Code,
    /// What is wrong and what to do, in one line, without the place.
    pub message: String,
    /// The object it is about; `None` where that can't be told.
    pub object: Option<ObjectKey>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]: ", self.origin, self.severity, self.code)?;
        // An object of a cluster is named by its place.
        if let Origin::File(_) = self.origin
            && let Some(object) = &self.object
        {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}
