//! The stable codes of all diagnostics, one constant a rule.
//!
//! `MDNS0xx` speak of files and documents, `MDNS1xx` of any object, `MDNS2xx` of ServiceEntries, `MDNS3xx` of
//! WorkloadEntries, `MDNS4xx` of WorkloadGroups, `MDNS5xx` of Pods, `MDNS6xx` of the mesh as a whole. A code is never
//! given to another rule.

use std::fmt;

/// A stable code such as `MDNS203`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Code(&'static str);

impl Code {
    /// The code's text.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The same object stands in two places: the last in path order is used.
pub const DUPLICATE_OBJECT: Code = Code("MDNS601");
/// Another namespace's ServiceEntry has the host: this one does not answer.
pub const HOST_TAKEN: Code = Code("MDNS602");
/// An endpoint is a name, which adds nothing without an upstream to resolve it.
pub const NAME_ENDPOINT: Code = Code("MDNS603");
/// A selector matches no Pod and no WorkloadEntry.
pub const SELECTS_NOTHING: Code = Code("MDNS604");
/// An RRset does not fit a DNS message: answers hold a part of it.
pub const RRSET_TOO_LARGE: Code = Code("MDNS605");
/// An object's newest version can't be used: the last good one serves.
pub const LAST_GOOD_SERVED: Code = Code("MDNS606");
