//! What is wrong with the user's input, and where.
//!
//! A [`Diagnostic`] is a value beside a result, never an `Err`: a bad document is reported and its neighbours are
//! served. `check` prints diagnostics, `serve` logs and counts them, the status page lists them.
//!
//! Never decides what is wrong (the modules that read do) and never prints (the command line does).

pub mod code;
mod current;

use std::{fmt, sync::Arc};

pub use code::Code;
pub use current::{DiagnosticChanges, Diagnostics, SeverityCounts};

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing; nothing to mend.
    Info,
    /// The object is used, but probably not as it was meant.
    Warning,
    /// The object, document or file is not used: what it said before stays in service.
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

/// A place in a text: both counted from 1, the column in characters (not bytes).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The line, counted from 1 over the whole file.
    pub line: u32,
    /// The column, counted from 1 in characters.
    pub column: u32,
}

impl Position {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Where something was read: file, document and position.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin {
    /// The file as the user would name it: the folder argument and the path below it.
    pub file: Arc<str>,
    /// The document in that file, counted from 1; 0 speaks of the file as a whole.
    pub document: u32,
    /// The offending value, or the document's first token.
    pub position: Position,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            self.file, self.position.line, self.position.column
        )
    }
}

/// The kinds of object that meshdns reads.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `networking.istio.io` ServiceEntry: a host and where its endpoints come from.
    ServiceEntry,
    /// `networking.istio.io` WorkloadEntry: one VM.
    WorkloadEntry,
    /// `networking.istio.io` WorkloadGroup: a template of WorkloadEntries, never an endpoint itself.
    WorkloadGroup,
    /// Kubernetes core Pod.
    Pod,
}

impl Kind {
    /// Every kind, in the order in which outputs list them.
    pub const ALL: [Self; 4] = [
        Self::ServiceEntry,
        Self::WorkloadEntry,
        Self::WorkloadGroup,
        Self::Pod,
    ];

    /// The kind as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceEntry => "ServiceEntry",
            Self::WorkloadEntry => "WorkloadEntry",
            Self::WorkloadGroup => "WorkloadGroup",
            Self::Pod => "Pod",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What identifies an object in a mesh: its kind, namespace and name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey {
    /// The object's kind; the API version plays no part, as in Istio.
    pub kind: Kind,
    /// `metadata.namespace`, `default` where the manifest names none.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// One thing that is wrong with the input, and what to do about it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Diagnostic {
    /// Where: sorts first, so that a sorted list reads as the files do.
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
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}
