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
    zone::{
        AddressRecords, Draws, Found, Made, MadeRecords, Owner, PointerRecord, RRset, RRsets,
        ServiceRecords, Snapshot,
    },
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

impl<'s> Answer<'s> {
    /// Whether another [`Query::asker`] gets another one.
    #[inline] // Asked once an answer.
    pub fn depends_on_asker(&self) -> bool {
        match &self.outcome {
            Outcome::Addresses(addresses) => addresses.depends_on_asker(),
            Outcome::Services(services) => services.depends_on_asker(),
            _ => false,
        }
    }

    /// One that belongs to no zone of ours.
    fn outside_zones(outcome: Outcome<'s>) -> Self {
        Self {
            outcome,
            apex_at: None,
            nsid: None,
            others: None,
        }
    }
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
    Addresses(AddressRecords<'s>),
    /// The zone's NS records, asked for at the apex.
    NameServers {
        /// The records, encoded, owned by the question's name.
        records: &'s [u8],
        /// How many they are.
        count: usize,
    },
    /// Where a service is.
    Services(ServiceRecords<'s>),
    /// The name of an address.
    Pointer(PointerRecord<'s>),
    /// Other records of the asked type.
    Encoded {
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

/// Answers `query` from `snapshot`, which is what its asker sees ([`Snapshot::seen_by`]).
pub fn answer<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> Answer<'s> {
    let mut answer = without_identifier(snapshot, query);
    if query.edns.is_some_and(|edns| edns.nsid) {
        answer.nsid = snapshot.settings().identity.nsid.as_deref();
    }
    answer
}

fn without_identifier<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> Answer<'s> {
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Answer::outside_zones(Outcome::BadVersion);
    }
    if query.class != Class::IN {
        let text = (query.class == Class::CH)
            .then(|| chaos::text(&snapshot.settings().identity, query))
            .flatten();
        return Answer::outside_zones(text.map_or(Outcome::OtherClass, Outcome::Identity));
    }
    if let Some(refused) = refused_type(query.record_type) {
        return Answer::outside_zones(refused);
    }
    if !snapshot.is_ready() {
        return Answer::outside_zones(Outcome::NotReady);
    }
    let found = snapshot.find(query.name);
    let mut answer = of_mesh(snapshot, query, found);
    if !snapshot.answers_alone() {
        note_others(snapshot, query, &found, &mut answer);
    }
    answer
}

/// What the mesh answers.
#[allow(
    clippy::inline_always,
    reason = "it is called once, for every query, and what is given back would go through memory"
)]
#[inline(always)]
fn of_mesh<'s>(snapshot: &'s Snapshot, query: &Query<'_>, found: Found<'s>) -> Answer<'s> {
    match found {
        Found::Name(owner) => Answer {
            apex_at: Some(owner.apex_at),
            ..Answer::outside_zones(at_name(snapshot, &owner, query))
        },
        Found::Made {
            apex_at,
            host_at,
            made,
        } => Answer {
            apex_at: Some(apex_at),
            ..Answer::outside_zones(at_made_name(snapshot, query, host_at, made))
        },
        Found::NoName { apex_at } => {
            let outcome = if snapshot.knows_all() {
                Outcome::NoName(snapshot.soa_behind_owner())
            } else {
                Outcome::NotReady
            };
            Answer {
                apex_at: Some(apex_at),
                ..Answer::outside_zones(outcome)
            }
        }
        Found::NotOurs { has_hosts_below } => Answer {
            others: Some(Others {
                name_exists: has_hosts_below,
                is_host: false,
                may_be_ours: false,
            }),
            ..Answer::outside_zones(not_ours(snapshot))
        },
    }
}

/// Makes of the mesh's `answer` what is given where others answer for what is in a zone of ours.
#[inline(never)] // Most servers ask nobody else: they don't pay for this.
fn note_others<'s>(
    snapshot: &'s Snapshot,
    query: &Query<'_>,
    found: &Found<'_>,
    answer: &mut Answer<'s>,
) {
    let (is_host, apex_at) = match *found {
        Found::Name(owner) => (owner.records.is_some(), owner.apex_at),
        Found::Made { apex_at, made, .. } => (matches!(made, Made::Endpoint(_)), apex_at),
        Found::NoName { apex_at } => (false, apex_at),
        Found::NotOurs { .. } => return,
    };
    // Whatever zone the host is in.
    if is_host && query.record_type.is_address()
        || snapshot.verdict(query.name, query.record_type, found) != Verdict::Others
    {
        return;
    }
    let is_partial = !is_host && snapshot.is_partial(&query.name[apex_at..]);
    if is_partial {
        *answer = Answer::outside_zones(not_ours(snapshot));
    }
    answer.others = Some(Others {
        name_exists: matches!(found, Found::Name(_) | Found::Made { .. }),
        is_host,
        may_be_ours: is_partial && !snapshot.knows_all(),
    });
}

/// What a name gets that is not ours, as far as anyone can tell.
fn not_ours(snapshot: &Snapshot) -> Outcome<'_> {
    if snapshot.knows_all() {
        Outcome::NotOurs
    } else {
        Outcome::NotReady
    }
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

fn at_name<'s>(snapshot: &'s Snapshot, owner: &Owner<'s>, query: &Query<'_>) -> Outcome<'s> {
    let is_apex = owner.apex_at == 0;
    match (query.record_type, &owner.records) {
        (RecordType::A, Some(records)) => addresses(snapshot, owner, records, RRsets::a, query),
        (RecordType::AAAA, Some(records)) => {
            addresses(snapshot, owner, records, RRsets::aaaa, query)
        }
        (RecordType::SOA, _) if is_apex => Outcome::Soa(snapshot.soa_behind_owner()),
        (RecordType::NS, _) if is_apex => {
            let (records, count) = snapshot.ns_records();
            Outcome::NameServers { records, count }
        }
        (RecordType::ANY, records)
            if is_apex || records.is_some_and(|records| !records.is_empty()) =>
        {
            Outcome::Minimal(snapshot.settings().ttl)
        }
        (RecordType::TXT | RecordType::HTTPS, Some(_)) => {
            match snapshot.records_of_host(query.name, query.record_type) {
                Some(records) => records.into(),
                None => no_data(snapshot, owner, query),
            }
        }
        _ => no_data(snapshot, owner, query),
    }
}

/// What a host gets that is asked for the addresses in an `rrset` of its own.
#[allow(
    clippy::inline_always,
    reason = "what is given back, for most queries, would go through memory"
)]
#[inline(always)]
fn addresses<'s>(
    snapshot: &'s Snapshot,
    owner: &Owner<'s>,
    records: &RRsets<'s>,
    rrset: impl FnOnce(RRsets<'s>) -> RRset<'s>,
    query: &Query<'_>,
) -> Outcome<'s> {
    if let Some(draws) = records.draws() {
        return draw(snapshot, draws, *records, query);
    }
    let rrset = rrset(*records);
    if rrset.is_empty() {
        return no_data(snapshot, owner, query);
    }
    Outcome::Addresses(rrset.rotated(query.turn, snapshot.max_addresses()))
}

/// What a name gets that has no records of the asked type, as far as anyone can tell.
fn no_data<'s>(snapshot: &'s Snapshot, owner: &Owner<'s>, query: &Query<'_>) -> Outcome<'s> {
    if snapshot.knows_all() || has_no_more(owner, query.record_type) {
        Outcome::NoData(snapshot.soa_behind_owner())
    } else {
        Outcome::NotReady
    }
}

/// What a name gets that is made from a host.
#[cold]
#[inline(never)] // Most names are none: they don't pay for this.
fn at_made_name<'s>(
    snapshot: &'s Snapshot,
    query: &Query<'_>,
    host_at: usize,
    made: Made,
) -> Outcome<'s> {
    let Query {
        name,
        record_type,
        turn,
        ..
    } = *query;
    if record_type == RecordType::ANY && snapshot.has_records(name, host_at, made) {
        return Outcome::Minimal(snapshot.settings().ttl);
    }
    let records = snapshot.records_of_made(name, host_at, made, record_type, turn);
    // The name has records of one type: there is nothing else to read of the others.
    let is_known = snapshot.knows_all() || !made.has(record_type) || record_type.is_address();
    match records {
        Some(records) => records.into(),
        None if is_known => Outcome::NoData(snapshot.soa_behind_owner()),
        None => Outcome::NotReady,
    }
}

impl<'s> From<MadeRecords<'s>> for Outcome<'s> {
    fn from(records: MadeRecords<'s>) -> Self {
        match records {
            MadeRecords::Addresses(addresses) => Self::Addresses(addresses),
            MadeRecords::Services(services) => Self::Services(services),
            MadeRecords::Pointer(pointer) => Self::Pointer(pointer),
            MadeRecords::Encoded { records, count } => Self::Encoded { records, count },
        }
    }
}

/// What a host answers whose addresses have parts of their own.
#[inline(never)] // Most hosts are none: they don't pay for this.
fn draw<'s>(
    snapshot: &'s Snapshot,
    draws: &'s Draws,
    records: RRsets<'s>,
    query: &Query<'_>,
) -> Outcome<'s> {
    let max_addresses = snapshot.max_addresses();
    let Query {
        record_type,
        asker,
        turn,
        ..
    } = *query;
    match records.drawn(draws, record_type, *asker, turn, max_addresses) {
        Some(addresses) => Outcome::Addresses(addresses),
        // Some of its addresses are answered, if of the other family alone.
        None => Outcome::NoData(snapshot.soa_behind_owner()),
    }
}

/// Whether a name has no records of a type whatever else there is to read.
///
/// A host with addresses of one family answers "no data" for the other one, as most do for good: SERVFAIL for AAAA takes the
/// A record along in musl.
fn has_no_more(owner: &Owner<'_>, record_type: RecordType) -> bool {
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
            | Self::Services(_)
            | Self::Pointer(_)
            | Self::Encoded { .. }
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
