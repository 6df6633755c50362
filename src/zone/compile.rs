use super::{HostRecords, Settings};
use crate::{
    diagnostic::{Diagnostic, Severity, code},
    select::Selection,
};

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

/// A warning where a host has more addresses than one message holds.
pub fn oversize(selection: &Selection, compiled: &Compiled) -> Option<Diagnostic> {
    let service = selection.chosen.first()?;
    let Compiled::Records(records) = compiled else {
        return None;
    };
    if records.a().fits_a_message() && records.aaaa().fits_a_message() {
        return None;
    }
    let (host, count) = (&selection.host, selection.addresses.len());
    Some(Diagnostic {
        origin: service.origin.clone(),
        severity: Severity::Warning,
        code: code::RRSET_TOO_LARGE,
        message: format!(
            "host {host} has {count} addresses, more than a DNS message of 64 KiB holds: each answer has a part of them"
        ),
        object: Some((*service.key).clone()),
    })
}
