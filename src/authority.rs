//! Which zone owns a name, and who answers for it.
//!
//! Owns the one rule: the domains of the settings and the hosts of the mesh go in, and what comes out says for every name
//! and type whether the mesh answers, answers that there is nothing, or leaves the answer to others. Answers are compiled
//! from it ([`zone::Editor`](crate::zone::Editor)), endpoints that are names ask it ([`select`](crate::select)), and so do
//! `explain`, `list` and `check`.
//!
//! Never knows an address, and never asks anyone: whether an upstream answers for a name is a setting.

mod hosts;

use std::collections::BTreeMap;

use hosts::Hosts;

use crate::dns::{Name, RecordType};

/// Decides who answers for a name.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    declared: BTreeMap<Name, Zone>,
    forwarded: Box<[Name]>,
    hosts: Hosts,
}

/// A zone that a name is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Zone {
    /// The settings declare it: every name in it is answered here.
    Declared,
    /// The settings declare it with `unmatched: forward`: only its hosts are answered here.
    DeclaredPartial,
    /// It is the zone of a host that no declared zone holds, and of the names below it.
    OfHost,
}

/// What a host is, as its ServiceEntries have it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Standing {
    /// No ServiceEntry shows it.
    #[default]
    Absent,
    /// The mesh leaves its lookup to DNS.
    Left,
    /// The mesh answers for it, be it without an address.
    Answers,
}

/// Where a name stands, which decides with the type of the question who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// It is a host that the mesh answers for, or covered by such a wildcard, in this zone.
    Host(Zone),
    /// The mesh has records of the asked type there that are no host's addresses: of a service, or a text.
    Records(Zone),
    /// It is in this zone, and no host.
    Zone(Zone),
    /// It is in none of our zones, or a host that the mesh leaves to DNS.
    Outside,
}

/// Who answers a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The mesh, with what the host has.
    Ours,
    /// The mesh: there is no such name or no such data.
    Empty,
    /// An upstream where one is asked, else nobody.
    Others,
}

/// Who answers for a name's addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// This host of the mesh; a wildcard as `*.<name>`.
    Host(Name),
    /// This zone of ours, in which no host has the name.
    Zone(Zone),
    /// Others, where there are any.
    Others,
}

/// Types that the mesh answers for at its hosts, whoever else has records of that name. HTTPS and SVCB can hold addresses
/// ([RFC 9460 §7.3]), an alias leads to others' addresses, and ANY asks for all of them.
///
/// [RFC 9460 §7.3]: https://www.rfc-editor.org/rfc/rfc9460#section-7.3
const TYPES_OF_HOSTS: [RecordType; 6] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::SVCB,
    RecordType::HTTPS,
    RecordType::ANY,
];

impl Place {
    /// Who answers a question of type `record_type`, where an upstream is asked for names that are not ours or is not.
    pub fn verdict(self, record_type: RecordType, has_upstream: bool) -> Verdict {
        match self {
            Self::Host(_) if TYPES_OF_HOSTS.contains(&record_type) => Verdict::Ours,
            Self::Records(_) | Self::Host(Zone::Declared) => Verdict::Ours,
            Self::Host(_) if !has_upstream => Verdict::Ours,
            Self::Zone(Zone::Declared) => Verdict::Empty,
            Self::Zone(Zone::OfHost) if !has_upstream => Verdict::Empty,
            Self::Host(_) | Self::Zone(_) | Self::Outside => Verdict::Others,
        }
    }
}

impl Authority {
    /// Without hosts: `declared` zones, those of them that are `partial`, and domains that upstreams are asked for where a
    /// name is not ours.
    pub fn new(declared: &[Name], partial: &[Name], forwarded: &[Name]) -> Self {
        let zone = |name: &Name| {
            let is_partial = partial.contains(name);
            let zone = if is_partial {
                Zone::DeclaredPartial
            } else {
                Zone::Declared
            };
            (name.clone(), zone)
        };
        Self {
            declared: declared.iter().map(zone).collect(),
            forwarded: forwarded.into(),
            hosts: Hosts::default(),
        }
    }

    /// Notes what each host, a wildcard as `*.<name>`, is from now on, and returns those that were something else.
    ///
    /// A host that the mesh leaves to DNS answers "no data" in a zone that is declared as a whole, where no upstream is asked.
    pub(crate) fn set_standings<'h>(
        &mut self,
        hosts: impl Iterator<Item = (&'h Name, Standing)>,
    ) -> Vec<&'h Name> {
        let hosts = hosts.map(|(host, standing)| (host, self.effective(host, standing)));
        let changes: Vec<_> = hosts
            .filter(|(host, standing)| self.hosts.standing(host) != *standing)
            .collect();
        self.hosts.set_each(&changes);
        changes.into_iter().map(|(host, _)| host).collect()
    }

    fn effective(&self, host: &Name, standing: Standing) -> Standing {
        let is_empty = || self.declared_zone(host) == Some(Zone::Declared) && !self.forwards(host);
        match standing {
            Standing::Left if is_empty() => Standing::Answers,
            standing => standing,
        }
    }

    /// What `host`, a wildcard as `*.<name>`, is to those who ask.
    pub fn standing(&self, host: &Name) -> Standing {
        self.hosts.standing(host)
    }

    /// Whether an upstream is asked for `name` where it is not ours.
    pub fn forwards(&self, name: &Name) -> bool {
        is_in(&self.forwarded, name)
    }

    /// Whether upstreams are asked for any name.
    pub(crate) fn forwards_some(&self) -> bool {
        !self.forwarded.is_empty()
    }

    /// Who answers for the addresses of `name`.
    pub fn holder(&self, name: &Name) -> Holder {
        let (place, host) = self.place(name);
        match (place.verdict(RecordType::A, self.forwards(name)), place) {
            (Verdict::Ours, _) => Holder::Host(host.expect("a host's place has a host")),
            (Verdict::Empty, Place::Host(zone) | Place::Records(zone) | Place::Zone(zone)) => {
                Holder::Zone(zone)
            }
            (Verdict::Empty | Verdict::Others, _) => Holder::Others,
        }
    }

    /// Whether others answer for the addresses of `name`, as a host of the mesh would have them looked up: a host may be
    /// asked for outside, but never a name of a zone that is declared as a whole.
    pub fn can_ask_others(&self, name: &Name) -> bool {
        self.forwards(name) && self.declared_zone(name) != Some(Zone::Declared)
    }

    /// Where `name` stands, and the host that has it.
    pub fn place(&self, name: &Name) -> (Place, Option<Name>) {
        let wildcards = name.ancestors().filter_map(|above| above.wildcard_below());
        for host in std::iter::once(name.clone()).chain(wildcards) {
            match self.standing(&host) {
                Standing::Answers => {
                    let zone = self.zone(name).map_or(Zone::OfHost, |(_, zone)| zone);
                    return (Place::Host(zone), Some(host));
                }
                Standing::Left => return (Place::Outside, Some(host)),
                Standing::Absent => {}
            }
        }
        let place = self.zone(name).map(|(_, zone)| Place::Zone(zone));
        (place.unwrap_or(Place::Outside), None)
    }

    /// The apex and the kind of the zone that `name` is in; `None` where it is in none of ours.
    ///
    /// Outside of declared zones a host that answers is the apex of its own zone, and so is the name that a wildcard is
    /// directly below.
    pub(crate) fn zone(&self, name: &Name) -> Option<(Name, Zone)> {
        let candidates = || std::iter::once(name.clone()).chain(name.ancestors());
        let declared = candidates().find_map(|apex| {
            let zone = *self.declared.get(&apex)?;
            Some((apex, zone))
        });
        declared.or_else(|| {
            let apex = candidates().find(|apex| self.hosts.is_apex(apex))?;
            Some((apex, Zone::OfHost))
        })
    }

    fn declared_zone(&self, name: &Name) -> Option<Zone> {
        let mut candidates = std::iter::once(name.clone()).chain(name.ancestors());
        candidates.find_map(|apex| self.declared.get(&apex).copied())
    }

    /// Whether `name` is the apex of a declared zone.
    pub(crate) fn is_declared(&self, name: &Name) -> bool {
        self.declared.contains_key(name)
    }

    /// The apexes of the declared zones, in canonical order.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Name> {
        self.declared.keys()
    }

    /// The host, as `*.<name>`, that is directly below `name`, and what it is.
    pub(crate) fn wildcard_below(&self, name: &Name) -> Option<(Name, Standing)> {
        self.hosts.wildcard_below(name)
    }

    /// The hosts and declared apexes below `name`, without `name` itself, in no order.
    pub(crate) fn below<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Name> {
        let declared = self.declared.range::<Name, _>(hosts::behind(name));
        let declared = declared.map(|(declared, _)| declared);
        let declared = declared.take_while(|declared| declared.is_at_or_below(name));
        self.hosts.below(name).chain(declared)
    }

    /// How many hosts the mesh answers for.
    pub fn answered_count(&self) -> usize {
        self.hosts.answered_count()
    }

    /// Whether the mesh answers for a host below `name`.
    pub(crate) fn answers_below(&self, name: &Name) -> bool {
        self.hosts.answers_below(name)
    }
}

/// Whether `name` is at or below one of `domains`.
fn is_in(domains: &[Name], name: &Name) -> bool {
    domains.iter().any(|domain| name.is_at_or_below(domain))
}

#[cfg(test)]
mod tests;
