use std::sync::Arc;

use super::{
    Draws, HostRecords, Settings, annotated,
    services::{Services, Targets},
    texts::Texts,
};
use crate::{
    authority::Standing,
    diagnostic::{Diagnostic, Severity, code},
    dns::Name,
    manifest::{ServicePort, TrafficNotes},
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
            let targets = gathering.targets.as_deref();
            let targets = targets.and_then(|targets| {
                let addresses: Vec<_> = records.rrsets().addresses().collect();
                Targets::pack(targets, &addresses)
            });
            let records = match draws {
                Some(draws) => records.drawn_by(draws),
                None => records,
            };
            Compiled::Records(records.with_services(Services {
                targets: targets.map(Arc::new),
                ..Services::default()
            }))
        }
    }
}

/// What `host` answers, where its endpoints come to `compiled` and `chosen` are the ServiceEntries that answer for it, the
/// oldest first: the ports and texts that those have, too.
pub fn compile_host(
    host: &Name,
    chosen: &[&Arc<Service>],
    compiled: &Compiled,
    settings: &Settings,
) -> Compiled {
    let records = match compiled {
        Compiled::Records(records) if !host.is_wildcard() => records,
        // A name is made below a host, and all names below a wildcard are its own.
        Compiled::Records(records) => {
            return Compiled::Records(records.clone().with_services(Services::default()));
        }
        Compiled::Left => return Compiled::Left,
    };
    let mut services = Services {
        ports: ports_of(chosen),
        ..records.services().clone()
    };
    let notes = chosen
        .iter()
        .filter_map(|service| service.traffic.as_deref());
    let texts = texts_of(host, &notes, records, &services, settings);
    services.texts = texts.map(Arc::new);
    Compiled::Records(records.clone().with_services(services))
}

fn texts_of<'n>(
    host: &Name,
    notes: &(impl Iterator<Item = &'n TrafficNotes> + Clone),
    records: &HostRecords,
    services: &Services,
    settings: &Settings,
) -> Option<Texts> {
    let asks = |notes: &TrafficNotes| {
        !notes.texts.is_empty() || !notes.https.is_empty() || notes.grpc_config.is_some()
    };
    let mut all = notes.clone();
    let is_asked = all.any(asks);
    is_asked.then(|| annotated::texts_of(host, notes, records, services, settings.ttl))?
}

/// The ports of all ServiceEntries that answer for a host: of those with one name the oldest one's.
fn ports_of(chosen: &[&Arc<Service>]) -> Option<Arc<[ServicePort]>> {
    let mut all = chosen.iter().map(|service| &service.ports);
    let mut ports = all.next()?.clone();
    for others in all {
        let is_new = |other: &&ServicePort| {
            let is_same = |port: &ServicePort| {
                port.transport == other.transport && port.name.eq_ignore_ascii_case(&other.name)
            };
            !ports.iter().any(is_same)
        };
        let new: Vec<&ServicePort> = others.iter().filter(is_new).collect();
        if !new.is_empty() {
            ports = ports.iter().chain(new).cloned().collect();
        }
    }
    (!ports.is_empty()).then_some(ports)
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
