use super::records::HostRecords;
use crate::dns::Name;

/// One existing name: a host, an apex or an empty non-terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// The name.
    pub name: Name,
    /// How many bytes of the name's wire form stand before its zone's apex; 0 at the apex itself.
    pub apex_at: u8,
    /// What the name itself answers.
    pub here: Here,
    /// What names below it that don't exist answer: the records of `*.<name>`.
    pub below: Option<Below>,
}

/// What an existing name answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Here {
    /// A host's own records; both RRsets may be empty.
    Records(HostRecords),
    /// No host's name, but covered by the wildcard below this name, as Istio's suffix walk has it.
    CopyOf(Name),
    /// An apex or an empty non-terminal without records of its own.
    Empty,
    /// Others answer for it: it is a host that the mesh leaves to DNS, or in none of our zones.
    Others {
        /// Whether the mesh answers for hosts below it, so that it exists, whatever others say.
        has_hosts_below: bool,
    },
}

/// What a wildcard answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Below {
    /// The records of the wildcard host directly below this name.
    Records(HostRecords),
    /// The records of the wildcard below this other name, further up.
    CopyOf(Name),
    /// Others answer for them.
    Others,
}
