//! Which host's name an address leads to, for the zones of addresses that are declared.
//!
//! One name for each address, whoever else answers with it: a client that checks names forwards and backwards takes the first
//! of several. Held apart from the names of the snapshot, and only for addresses whose own names are in a declared zone: a server
//! that declares none pays nothing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::RangeInclusive,
    sync::Arc,
};

use foldhash::HashMap;

use super::{DashedLabel, HostRecords, Settings, encode::QUESTION_NAME, reverse};
use crate::{
    dns::{Class, MAX_NAME_LEN, Name, RecordType, Ttl},
    mesh::Service,
};

/// How many addresses are copied for a change of one of them.
const CHUNK_LEN: usize = 256;

/// The PTR record of an address ([RFC 1035 §3.3.12](https://www.rfc-editor.org/rfc/rfc1035#section-3.3.12)): the name of an
/// endpoint.
#[derive(Clone, Copy, Debug)]
pub struct PointerRecord<'s> {
    pub(super) ttl: Ttl,
    pub(super) address: IpAddr,
    pub(super) host: &'s Name,
}

impl PointerRecord<'_> {
    /// Appends the record, owned by the question's name.
    pub fn write(&self, out: &mut Vec<u8>) {
        let label = DashedLabel::of(self.address);
        let (label, host) = (label.as_wire(), self.host.as_wire());
        let length = u16::try_from(label.len() + host.len()).expect("a name has at most 255 bytes");
        out.extend_from_slice(&QUESTION_NAME);
        out.extend_from_slice(&RecordType::PTR.0.to_be_bytes());
        out.extend_from_slice(&Class::IN.0.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_wire());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(label);
        out.extend_from_slice(host);
    }
}

/// The host that each address leads to, as a snapshot holds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pointers {
    /// In ascending order; none is empty.
    chunks: Arc<[Arc<[Pointer]>]>,
}

type Pointer = (IpAddr, Arc<Name>);

/// Equal where the same addresses lead to the same hosts, however they are held.
impl PartialEq for Pointers {
    fn eq(&self, other: &Self) -> bool {
        self.all().eq(other.all())
    }
}

impl Pointers {
    /// The host that `address` leads to.
    pub(super) fn host_of(&self, address: IpAddr) -> Option<&Name> {
        self.first_in(&(address..=address)).map(|(_, host)| &**host)
    }

    /// Whether one of `addresses` leads to a host.
    pub(super) fn has_any(&self, addresses: &RangeInclusive<IpAddr>) -> bool {
        self.first_in(addresses).is_some()
    }

    fn first_in(&self, addresses: &RangeInclusive<IpAddr>) -> Option<&Pointer> {
        let is_before = |(address, _): &Pointer| address < addresses.start();
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(is_before));
        let chunk = self.chunks.get(chunk)?;
        let found = chunk.get(chunk.partition_point(is_before))?;
        addresses.contains(&found.0).then_some(found)
    }

    fn all(&self) -> impl Iterator<Item = &Pointer> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The same with other hosts for some addresses, `None` taking one away. Copies the chunks that these are in.
    fn with(&self, changes: &BTreeMap<IpAddr, Option<Arc<Name>>>) -> Self {
        let mut chunks: Vec<Arc<[Pointer]>> = Vec::with_capacity(self.chunks.len() + 1);
        let mut changes = changes.iter().peekable();
        let empty: Arc<[Pointer]> = Arc::default();
        let before = if self.chunks.is_empty() {
            std::slice::from_ref(&empty)
        } else {
            &self.chunks
        };
        for (number, chunk) in before.iter().enumerate() {
            let next = before.get(number + 1).and_then(|next| next.first());
            let is_here =
                |address: &IpAddr| next.is_none_or(|(first_of_next, _)| address < first_of_next);
            let mut here = BTreeMap::new();
            while let Some((address, host)) = changes.next_if(|(address, _)| is_here(address)) {
                here.insert(*address, host);
            }
            if here.is_empty() {
                chunks.push(chunk.clone());
                continue;
            }
            let kept = chunk
                .iter()
                .filter(|(address, _)| !here.contains_key(address));
            let put = here.iter().filter_map(|(address, host)| {
                let host = host.as_ref()?;
                Some((*address, host.clone()))
            });
            let mut pointers: Vec<Pointer> = kept.cloned().chain(put).collect();
            pointers.sort_unstable();
            chunks.extend(pointers.chunks(CHUNK_LEN).map(Arc::from));
        }
        chunks.retain(|chunk| !chunk.is_empty());
        Self {
            chunks: chunks.into(),
        }
    }
}

/// Which of several hosts with an address has its name: the least.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seniority {
    /// Those that are asked to have it come before others.
    is_asked: Reverse<bool>,
    /// When the oldest ServiceEntry was made, and its namespace and name.
    created: i64,
    namespace: Arc<str>,
    name: Box<str>,
}

impl Seniority {
    /// That of a host for which `chosen` answer, the oldest first.
    pub fn of(chosen: &[&Arc<Service>]) -> Option<Self> {
        let oldest = chosen.first()?;
        let mut notes = chosen
            .iter()
            .filter_map(|service| service.traffic.as_deref());
        Some(Self {
            is_asked: Reverse(notes.any(|notes| notes.takes_pointers)),
            created: oldest.created,
            namespace: oldest.key.namespace.clone(),
            name: oldest.key.name.clone(),
        })
    }
}

/// The declared zones that may hold names of addresses; none where no address leads to a name.
pub(super) fn zones(settings: &Settings) -> Box<[Name]> {
    let tops = ["in-addr.arpa", "ip6.arpa"];
    let tops = tops.map(|top| Name::from_text(top).expect("a valid name"));
    let is_of_addresses = |zone: &&Name| {
        let mut tops = tops.iter();
        tops.any(|top| zone.is_at_or_below(top) || top.is_at_or_below(zone))
    };
    let zones = settings.zones.iter().filter(|_| settings.has_pointers);
    zones.filter(is_of_addresses).cloned().collect()
}

/// Whether the name of `address` is in one of `zones`.
pub(super) fn is_in(zones: &[Name], address: IpAddr) -> bool {
    let name = reverse::name_of(address);
    zones.iter().any(|zone| name.is_at_or_below(zone))
}

/// What a host claims.
#[derive(Clone, Debug)]
struct Claim {
    seniority: Arc<Seniority>,
    /// The one copy of the host's name.
    host: Arc<Name>,
    addresses: Vec<IpAddr>,
}

/// Who claims which address, and what comes of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// The declared zones that may hold names of addresses.
    zones: Box<[Name]>,
    /// By address: the first has it.
    by_address: BTreeSet<(IpAddr, Arc<Seniority>, Arc<Name>)>,
    by_host: HashMap<Name, Claim>,
    /// The addresses that were claimed by others since the last snapshot.
    touched: BTreeSet<IpAddr>,
}

impl Claims {
    /// Without hosts.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            zones: zones(settings),
            ..Self::default()
        }
    }

    /// Whether there may be a claim.
    pub(super) fn are_taken(&self) -> bool {
        !self.zones.is_empty()
    }

    /// Notes which addresses `host` answers with from now on; `None` where it does not answer.
    pub(super) fn set(&mut self, host: &Name, claim: Option<(Seniority, &HostRecords)>) {
        if let Some(before) = self.by_host.remove(host) {
            for address in before.addresses {
                let (seniority, host) = (before.seniority.clone(), before.host.clone());
                self.by_address.remove(&(address, seniority, host));
                self.touched.insert(address);
            }
        }
        let Some((seniority, records)) = claim.filter(|_| !host.is_wildcard()) else {
            return;
        };
        let fits = |address: &IpAddr| {
            let label = DashedLabel::of(*address);
            label.as_wire().len() + host.as_wire().len() <= MAX_NAME_LEN
        };
        let addresses = records.rrsets().addresses();
        let addresses: Vec<IpAddr> = addresses
            .filter(|address| fits(address) && is_in(&self.zones, *address))
            .collect();
        if addresses.is_empty() {
            return;
        }
        let (seniority, shared) = (Arc::new(seniority), Arc::new(host.clone()));
        for address in &addresses {
            self.by_address
                .insert((*address, seniority.clone(), shared.clone()));
            self.touched.insert(*address);
        }
        let claim = Claim {
            seniority,
            host: shared,
            addresses,
        };
        self.by_host.insert(host.clone(), claim);
    }

    /// What `before` becomes, `None` without any, and how many addresses lead elsewhere; `None` where all is as before.
    pub(super) fn renew(&mut self, before: Option<&Pointers>) -> Option<(Option<Pointers>, usize)> {
        if self.touched.is_empty() {
            return None;
        }
        let none = Pointers::default();
        let before = before.unwrap_or(&none);
        let touched = std::mem::take(&mut self.touched);
        let mut changes = BTreeMap::new();
        for address in touched {
            let host = self.host_of(address);
            if host.as_deref() != before.host_of(address) {
                changes.insert(address, host);
            }
        }
        if changes.is_empty() {
            return None;
        }
        let after = before.with(&changes);
        let after = (!after.chunks.is_empty()).then_some(after);
        Some((after, changes.len()))
    }

    fn host_of(&self, address: IpAddr) -> Option<Arc<Name>> {
        let least = Seniority {
            is_asked: Reverse(true),
            created: i64::MIN,
            namespace: Arc::default(),
            name: Box::default(),
        };
        let from = (address, Arc::new(least), Arc::new(Name::root()));
        let (of_address, _, host) = self.by_address.range(from..).next()?;
        (*of_address == address).then(|| host.clone())
    }
}
