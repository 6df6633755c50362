use super::{HostRecords, Settings};
use crate::select::Selection;

/// What a host answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compiled {
    /// The host's own records; none at all is "no data", never "no such name".
    Records(HostRecords),
    /// The mesh does not know: the host has neither endpoints nor addresses and its resolution leaves the lookup to
    /// someone else's DNS. In a declared zone that is "no data", elsewhere the name is not ours.
    Elsewhere,
}

/// Compiles a host's selection into the records we answer from.
pub fn compile(selection: &Selection, settings: &Settings) -> Compiled {
    if selection.elsewhere {
        return Compiled::Elsewhere;
    }
    Compiled::Records(HostRecords::encode(&selection.addresses, settings.ttl))
}
