use super::{Draws, HostRecords, Settings};
use crate::{
    authority::Standing,
    diagnostic::{Diagnostic, Severity, code},
    dns::Name,
    mesh::Service,
    select::Gathering,
};

/// What a host answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compiled {
    /// The host's own records; none at all is "no data", never "no such name".
    Records(HostRecords),
    /// The mesh leaves the lookup to DNS.
    Left,
}

impl Compiled {
    /// What the host answers where it is to answer: nothing, where the mesh leaves that to DNS.
    pub(super) fn records(&self) -> HostRecords {
        match self {
            Self::Records(records) => records.clone(),
            Self::Left => HostRecords::default(),
        }
    }

    /// What a host with these records is.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Records(_) => Standing::Answers,
            Self::Left => Standing::Left,
        }
    }
}

/// Compiles what a host's ServiceEntries come to into the records we answer from.
pub fn compile(gathering: &Gathering, settings: &Settings) -> Compiled {
    match gathering.standing {
        Standing::Left => Compiled::Left,
        Standing::Absent | Standing::Answers => {
            let records = HostRecords::encode(&gathering.addresses, settings.ttl);
            let draws = gathering.split.as_deref().map(Draws::of);
            Compiled::Records(match draws {
                Some(draws) => records.drawn_by(draws),
                None => records,
            })
        }
    }
}

/// A warning where `host`, for which `service` answers, has more addresses than one message holds.
pub fn oversize(host: &Name, service: &Service, compiled: &Compiled) -> Option<Diagnostic> {
    let Compiled::Records(records) = compiled else {
        return None;
    };
    let rrsets = records.rrsets();
    if rrsets.a().fits_a_message() && rrsets.aaaa().fits_a_message() {
        return None;
    }
    let count = rrsets.len();
    Some(Diagnostic {
        origin: service.origin(),
        severity: Severity::Warning,
        code: code::RRSET_TOO_LARGE,
        message: format!(
            "host {host} has {count} addresses, more than a DNS message of 64 KiB holds: each answer has a part of them"
        ),
        object: Some(service.key.clone()),
    })
}
