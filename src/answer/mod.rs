//! Answers a question from a snapshot.
//!
//! A [`Query`] and a [`Snapshot`] go in, an [`Answer`] comes out that borrows the snapshot's records: which answer it is,
//! its response code, whether it is authoritative. "No such name", "no such data" and "not ours" are answers like any other.
//!
//! Total: never fails, waits, allocates, or reads a clock or a socket. What varies between two equal questions comes in
//! with [`Query::turn`]. Never encodes a message: `wire` does.

mod chaos;
mod query;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use query::{Edns, Query};

use crate::{
    authority::Verdict,
    dns::{Class, Rcode, RecordType, Ttl},
    zone::{Found, Owner, RRset, RRsets, Rotated, Snapshot},
};

/// What a query gets, borrowed from the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'s> {
    /// Which answer it is.
    pub outcome: Outcome<'s>,
    /// Where in the asked name the apex of its zone begins; `None` for a name that is not ours or was not looked up.
    pub apex_at: Option<usize>,
    /// The name server identifier, where the query asks for one and there is one.
    pub nsid: Option<&'s [u8]>,
    /// Set where an upstream's answer comes before this one, for clients that names are looked up for.
    pub others: Option<Others>,
}

/// What the mesh knows of a name that others answer for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Others {
    /// Whether the name exists, because it is a host of the mesh or above one: an upstream that knows no such name is not
    /// to say so to those who know the mesh ([RFC 8020 §2](https://www.rfc-editor.org/rfc/rfc8020#section-2)).
    pub name_exists: bool,
    /// Whether it is a host of the mesh, asked for another type than addresses: what an upstream says of where the name
    /// leads is not passed on.
    pub is_host: bool,
    /// Whether it may be a host of the mesh that could not be read, for it is in a zone that is ours in part: that an upstream
    /// has nothing there is not passed on.
    pub may_be_ours: bool,
}

/// The kinds of answer.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'s> {
    /// Address records of the asked type.
    Addresses(Rotated<'s>),
    /// The zone's NS records, asked for at the apex.
    NameServers {
        /// The records, encoded, owned by the question's name.
        records: &'s [u8],
        /// How many they are.
        count: usize,
    },
    /// The zone's SOA, asked for at the apex: the record behind its owner name.
    Soa(&'s [u8]),
    /// All types were asked for at a name that has some: one HINFO record says that they are not given
    /// ([RFC 8482 §4.2](https://www.rfc-editor.org/rfc/rfc8482#section-4.2)).
    Minimal(Ttl),
    /// How the server names itself, in class CHAOS.
    Identity(&'s str),
    /// The name exists and has no such records. Holds the zone's SOA behind its owner name.
    NoData(&'s [u8]),
    /// No such name in a zone of ours. Holds the zone's SOA behind its owner name.
    NoName(&'s [u8]),
    /// The name is in none of our zones.
    NotOurs,
    /// A class other than IN, for a name that is not one of the server's own in CHAOS.
    OtherClass,
    /// A zone transfer.
    Transfer,
    /// A type that stands for something other than data and can't be asked for.
    MetaType,
    /// A type that RFC 1035 has for mail and nobody implements.
    MailType,
    /// An EDNS version that is not spoken here.
    BadVersion,
    /// No mesh is loaded yet, or a part of it can't be read, so that nobody can tell whether there is an answer.
    NotReady,
}

/// Answers `query` from `snapshot`.
pub fn answer<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> Answer<'s> {
    let identity = &snapshot.settings().identity;
    let asks_nsid = query.edns.is_some_and(|edns| edns.nsid);
    let (outcome, apex_at, others) = outcome(snapshot, query);
    Answer {
        outcome,
        apex_at,
        nsid: identity.nsid.as_deref().filter(|_| asks_nsid),
        others,
    }
}

fn outcome<'s>(
    snapshot: &'s Snapshot,
    query: &Query<'_>,
) -> (Outcome<'s>, Option<usize>, Option<Others>) {
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return (Outcome::BadVersion, None, None);
    }
    if query.class != Class::IN {
        let text = (query.class == Class::CH)
            .then(|| chaos::text(&snapshot.settings().identity, query))
            .flatten();
        let outcome = text.map_or(Outcome::OtherClass, Outcome::Identity);
        return (outcome, None, None);
    }
    if let Some(refused) = refused_type(query.record_type) {
        return (refused, None, None);
    }
    if !snapshot.is_ready() {
        return (Outcome::NotReady, None, None);
    }
    let found = snapshot.find(query.name);
    let others = match &found {
        _ if snapshot.answers_alone() => None,
        // Whatever zone the host is in.
        Found::Name(owner) if owner.records.is_some() && query.record_type.is_address() => None,
        found => others(snapshot, query, found),
    };
    match found {
        Found::Name(Owner {
            records: None,
            apex_at,
        })
        | Found::NoName { apex_at }
            if others.is_some() && snapshot.is_partial(&query.name[apex_at..]) =>
        {
            (not_ours(snapshot), None, others)
        }
        Found::Name(owner) => {
            let outcome = at_name(snapshot, owner, query);
            (outcome, Some(owner.apex_at), others)
        }
        Found::NoName { apex_at } => {
            let outcome = if snapshot.knows_all() {
                Outcome::NoName(snapshot.soa_behind_owner())
            } else {
                Outcome::NotReady
            };
            (outcome, Some(apex_at), others)
        }
        Found::NotOurs { has_hosts_below } => {
            let others = Others {
                name_exists: has_hosts_below,
                is_host: false,
                may_be_ours: false,
            };
            (not_ours(snapshot), None, Some(others))
        }
    }
}

/// What a name gets that is not ours, as far as anyone can tell.
fn not_ours(snapshot: &Snapshot) -> Outcome<'_> {
    if snapshot.knows_all() {
        Outcome::NotOurs
    } else {
        Outcome::NotReady
    }
}

/// What the mesh knows of a name in one of our zones, where others answer.
#[inline(never)] // Most servers ask nobody else: they don't pay for this.
fn others(snapshot: &Snapshot, query: &Query<'_>, found: &Found<'_>) -> Option<Others> {
    let verdict = snapshot.verdict(query.name, query.record_type, found);
    let (name_exists, is_host) = match found {
        Found::Name(owner) => (true, owner.records.is_some()),
        Found::NoName { .. } | Found::NotOurs { .. } => (false, false),
    };
    let may_be_ours = !snapshot.knows_all()
        && !is_host
        && match *found {
            Found::Name(Owner { apex_at, .. }) | Found::NoName { apex_at } => {
                snapshot.is_partial(&query.name[apex_at..])
            }
            Found::NotOurs { .. } => false,
        };
    (verdict == Verdict::Others).then_some(Others {
        name_exists,
        is_host,
        may_be_ours,
    })
}

/// What a type gets that no name can have, following BIND: 128 to 255 are meta types, and only ANY among them can be had
/// ([RFC 6895 §3.1](https://www.rfc-editor.org/rfc/rfc6895#section-3.1)), and so is OPT.
fn refused_type(record_type: RecordType) -> Option<Outcome<'static>> {
    match record_type {
        RecordType::AXFR | RecordType::IXFR => Some(Outcome::Transfer),
        RecordType(253 | 254) => Some(Outcome::MailType),
        RecordType::OPT | RecordType(128..=250) => Some(Outcome::MetaType),
        _ => None,
    }
}

fn at_name<'s>(snapshot: &'s Snapshot, owner: Owner<'s>, query: &Query<'_>) -> Outcome<'s> {
    let is_apex = owner.apex_at == 0;
    let addresses = |rrset: fn(RRsets<'s>) -> RRset<'s>| {
        let rrset = owner.records.map(rrset).filter(|rrset| !rrset.is_empty())?;
        Some(Outcome::Addresses(rrset.rotated(query.turn)))
    };
    let positive = match query.record_type {
        RecordType::A => addresses(RRsets::a),
        RecordType::AAAA => addresses(RRsets::aaaa),
        RecordType::SOA if is_apex => Some(Outcome::Soa(snapshot.soa_behind_owner())),
        RecordType::NS if is_apex => {
            let (records, count) = snapshot.ns_records();
            Some(Outcome::NameServers { records, count })
        }
        RecordType::ANY if is_apex || owner.records.is_some_and(|records| !records.is_empty()) => {
            Some(Outcome::Minimal(snapshot.settings().ttl))
        }
        _ => None,
    };
    positive.unwrap_or_else(|| {
        let is_known = snapshot.knows_all() || has_no_more(owner, query.record_type);
        if is_known {
            Outcome::NoData(snapshot.soa_behind_owner())
        } else {
            Outcome::NotReady
        }
    })
}

/// Whether a name has no records of a type whatever else there is to read.
///
/// A host with addresses of one family answers "no data" for the other one, as most do for good: SERVFAIL for AAAA takes the
/// A record along in musl.
fn has_no_more(owner: Owner<'_>, record_type: RecordType) -> bool {
    let is_served = owner.records.is_some_and(|records| !records.is_empty());
    let may_be_had = record_type.is_address() || record_type == RecordType::ANY;
    is_served || !may_be_had
}

/// Info codes of Extended DNS Errors ([RFC 8914 §4](https://www.rfc-editor.org/rfc/rfc8914#section-4)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum ExtendedError {
    /// The server can't answer yet.
    NotReady = 14,
    /// The name is in none of the server's zones.
    NotAuthoritative = 20,
    /// The server does not do what is asked.
    NotSupported = 21,
}

impl Outcome<'_> {
    /// The response code.
    pub fn rcode(&self) -> Rcode {
        match self {
            Self::Addresses(_)
            | Self::NameServers { .. }
            | Self::Soa(_)
            | Self::Minimal(_)
            | Self::Identity(_)
            | Self::NoData(_) => Rcode::NoError,
            Self::NoName(_) => Rcode::NxDomain,
            Self::NotOurs | Self::OtherClass | Self::Transfer => Rcode::Refused,
            Self::MetaType => Rcode::FormErr,
            Self::MailType => Rcode::NotImp,
            Self::BadVersion => Rcode::BadVers,
            Self::NotReady => Rcode::ServFail,
        }
    }

    /// AA: whether the server speaks for the zone in question.
    pub fn is_authoritative(&self) -> bool {
        matches!(self.rcode(), Rcode::NoError | Rcode::NxDomain)
    }

    /// What more there is to say about a refusal.
    pub fn extended_error(&self) -> Option<ExtendedError> {
        match self {
            Self::NotOurs => Some(ExtendedError::NotAuthoritative),
            Self::OtherClass | Self::Transfer | Self::MailType => Some(ExtendedError::NotSupported),
            Self::NotReady => Some(ExtendedError::NotReady),
            _ => None,
        }
    }
}
