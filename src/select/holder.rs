//! Whose a name is: what a client of this server would get for it, told from the mesh alone.

use crate::{
    dns::Name,
    manifest::Resolution,
    mesh::{Endpoints, Mesh, Service},
};

/// The domains that the settings name.
#[derive(Clone, Copy, Debug)]
pub struct Domains<'d> {
    /// Domains that are ours.
    pub zones: &'d [Name],
    /// Those of them that are ours in part: a name that no host has is not ours.
    pub partial_zones: &'d [Name],
    /// Domains that others answer for where a name is not ours; the root for all.
    pub forwarded: &'d [Name],
}

/// Who answers for a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// This host of the mesh; a wildcard as `*.<name>`.
    Host(Name),
    /// A zone of ours, in which no host has the name.
    Zone,
    /// None of ours: others, where there are any.
    Others,
}

/// What a host is to those who ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Nothing: no ServiceEntry shows it, or the mesh leaves its lookup to others and no zone of ours holds it.
    Absent,
    /// The mesh leaves its lookup to others, and somebody answers for it.
    Left,
    /// It answers, be it without an address.
    Answers,
}

impl Domains<'_> {
    /// Whether somebody else answers for `name` where it is not ours.
    pub fn forwards(&self, name: &Name) -> bool {
        let mut domains = self.forwarded.iter();
        domains.any(|domain| name.is_at_or_below(domain))
    }

    /// Whether the innermost of our zones that holds `name` is ours as a whole; `None` where none holds it.
    fn is_whole(&self, name: &Name) -> Option<bool> {
        let holding = self.zones.iter().filter(|zone| name.is_at_or_below(zone));
        let innermost = holding.max_by_key(|zone| zone.as_wire().len())?;
        Some(!self.partial_zones.contains(innermost))
    }

    /// The standing of a host whose lookup the mesh leaves to others.
    pub fn standing_elsewhere(&self, host: &Name) -> Standing {
        if self.forwards(host) {
            Standing::Left
        } else if self.is_whole(host) == Some(true) {
            Standing::Answers
        } else {
            Standing::Absent
        }
    }
}

/// The standing of `host`, a wildcard as `*.<name>`.
pub fn standing(mesh: &Mesh, domains: &Domains<'_>, host: &Name) -> Standing {
    let shown = || {
        let services = mesh.services_of(host).iter();
        services.filter(|service| !service.is_hidden())
    };
    let Some(oldest) = shown().min_by(|a, b| a.age().cmp(&b.age())) else {
        return Standing::Absent;
    };
    let namespace = &oldest.key.namespace;
    let mut chosen = shown().filter(|service| service.key.namespace == *namespace);
    if chosen.all(|service| leaves_the_lookup_to_others(service)) {
        domains.standing_elsewhere(host)
    } else {
        Standing::Answers
    }
}

/// Who answers for `name`.
pub fn holder(mesh: &Mesh, domains: &Domains<'_>, name: &Name) -> Holder {
    let wildcards = name.ancestors().filter_map(|above| above.wildcard_below());
    for host in std::iter::once(name.clone()).chain(wildcards) {
        match standing(mesh, domains, &host) {
            Standing::Answers => return Holder::Host(host),
            Standing::Left => return Holder::Others,
            Standing::Absent => {}
        }
    }
    if let Some(is_whole) = domains.is_whole(name) {
        return if is_whole {
            Holder::Zone
        } else {
            Holder::Others
        };
    }
    // A host is the apex of its own zone, and so is the name that a wildcard is below.
    let is_apex = |name: &Name| {
        let wildcard = name.wildcard_below();
        [Some(name.clone()), wildcard]
            .into_iter()
            .flatten()
            .any(|host| standing(mesh, domains, &host) == Standing::Answers)
    };
    if std::iter::once(name.clone())
        .chain(name.ancestors())
        .any(|above| is_apex(&above))
    {
        Holder::Zone
    } else {
        Holder::Others
    }
}

/// With nothing to answer from, `DNS`, `DNS_ROUND_ROBIN` and `DYNAMIC_DNS` mean the host's own DNS name, and `NONE` the
/// address that the client has looked up itself: Istio's agent forwards all of them upstream.
pub(super) fn leaves_the_lookup_to_others(service: &Service) -> bool {
    matches!(service.endpoints, Endpoints::Neither)
        && service.addresses.is_empty()
        && service.resolution != Resolution::Static
}
