use std::{array, hash::BuildHasher, net::IpAddr, sync::Arc};

use foldhash::fast::FixedState;
use rayon::slice::ParallelSliceMut as _;
use smallvec::SmallVec;

use super::{
    draws::{Asker, Role},
    encode::{push_behind_owner, push_record},
    made::{Made, made_below, may_be_made},
    node::Node,
    pointers::Pointers,
    records::RRsets,
    settings::Settings,
    shard::{self, Entry, Held, Shard},
    views::ViewId,
};
use crate::{
    authority::{Place, Verdict, Zone},
    dns::{Name, RecordType, Serial},
    manifest::MaxAddresses,
    mesh::Residents,
    parallel,
};

/// A power of two, large enough that a change copies few names.
const SHARDS: usize = 4096;

/// How many shards a snapshot shares with the one before as a whole. A change counts references page by page, and within
/// the pages that it touches shard by shard; each count is likely to wait for memory.
const SHARDS_A_PAGE: usize = 16;

const PAGES: usize = SHARDS / SHARDS_A_PAGE;

type Page = Arc<[Shard; SHARDS_A_PAGE]>;

/// The shard that a name is in, and its tag there.
type Slot = (usize, u8);

/// The snapshots of those who see something else than all, in the order of their views.
type Views = Arc<[(ViewId, Arc<Snapshot>)]>;

/// Everything that queries are answered from: one immutable value, replaced as a whole.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) settings: Arc<Settings>,
    /// Counts publishes; 0 before the first load.
    pub(super) generation: u64,
    pub(super) serial: Serial,
    pub(super) soa: Arc<[u8]>,
    ns: Arc<[u8]>,
    hasher: FixedState,
    answers_alone: bool,
    /// Whether the sources hold nothing that was never read.
    pub(super) knows_all: bool,
    max_addresses: MaxAddresses,
    /// The Pods that ask for others, ascending.
    pub(super) forwarders: Arc<[IpAddr]>,
    /// Who has which address, where that matters to an answer.
    pub(super) residents: Option<Residents>,
    /// Whose names addresses have, where there are any.
    pub(super) pointers: Option<Pointers>,
    /// What those are answered from who see something else; none where all see the same.
    pub(super) views: Option<Views>,
    pages: Box<[Page; PAGES]>,
}

/// What [`Snapshot::edit`] makes.
pub(super) struct Edit {
    pages: Vec<(usize, Page)>,
    /// How many names answer otherwise.
    pub(super) names_changed: usize,
}

/// What a lookup finds.
#[derive(Clone, Copy, Debug)]
pub enum Found<'s> {
    /// The name exists, by itself or through a wildcard.
    Name(Owner<'s>),
    /// The name exists below a host, and is made from it.
    Made {
        /// Where in the asked name the zone's apex begins.
        apex_at: usize,
        /// Where in it the host begins.
        host_at: usize,
        /// What it is.
        made: Made,
    },
    /// The name is in one of our zones and doesn't exist.
    NoName {
        /// Where in the asked name the zone's apex begins.
        apex_at: usize,
    },
    /// The name is in none of our zones, or a host that the mesh leaves to DNS.
    NotOurs {
        /// Whether the mesh answers for hosts below it.
        has_hosts_below: bool,
    },
}

/// An existing name's part of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'s> {
    /// The addresses; `None` where there is no host.
    pub records: Option<RRsets<'s>>,
    /// Where in the asked name the zone's apex begins; 0 at the apex itself, which has SOA and NS.
    pub apex_at: usize,
}

impl Snapshot {
    /// The snapshot before the first load: [`Snapshot::is_ready`] says no, and nothing is found in it.
    pub fn not_ready(settings: Arc<Settings>) -> Self {
        let serial = Serial(0);
        Self {
            generation: 0,
            serial,
            soa: encode_soa(&settings, serial),
            ns: encode_ns(&settings),
            hasher: FixedState::with_seed(settings.seed),
            answers_alone: settings.forwarded.is_empty() && settings.partial_zones.is_empty(),
            knows_all: true,
            max_addresses: settings.max_addresses,
            forwarders: Arc::default(),
            residents: None,
            pointers: None,
            views: None,
            pages: Box::new(array::from_fn(|_| Page::default())),
            settings,
        }
    }

    /// Whether a mesh was loaded; until then nobody can tell which names exist.
    pub fn is_ready(&self) -> bool {
        self.generation > 0
    }

    /// Whether a name without a host has none: not while something can't be read that may hold one.
    pub fn knows_all(&self) -> bool {
        self.knows_all
    }

    /// How many snapshots this process has made, this one included.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The serial of every zone.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// What holds for all zones.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A SOA record without its owner name: type, class, TTL, RDATA length, RDATA. The same for every zone.
    pub fn soa_behind_owner(&self) -> &[u8] {
        &self.soa
    }

    /// The NS records of every apex, each owned by the question's name, and how many they are.
    pub fn ns_records(&self) -> (&[u8], usize) {
        (&self.ns, self.settings.name_servers.len())
    }

    /// Looks up a name in lower-case wire form ([RFC 1034 §4.3.2]).
    ///
    /// [RFC 1034 §4.3.2]: https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2
    pub fn find(&self, name: &[u8]) -> Found<'_> {
        let Some(entry) = self.entry(name) else {
            return self.find_above(name);
        };
        let apex_at = entry.apex_at.into();
        match entry.here() {
            Held::Records(records) => Found::Name(Owner {
                records: Some(records),
                apex_at,
            }),
            here => self.find_without_records(name, here, apex_at),
        }
    }

    /// What a name is that exists and is no host's.
    #[inline(never)] // Most queries are for hosts.
    fn find_without_records<'s>(
        &'s self,
        name: &[u8],
        here: Held<'s>,
        apex_at: usize,
    ) -> Found<'s> {
        // An apex stays what it is.
        let is_made = matches!(here, Held::Nothing | Held::CopyOf(_)) && apex_at > 0;
        let made = (is_made && may_be_made(name)).then(|| self.find_made(name));
        made.flatten().unwrap_or_else(|| self.found(here, apex_at))
    }

    /// What a name is that doesn't exist by itself.
    fn find_above(&self, name: &[u8]) -> Found<'_> {
        let mut at = 0;
        while name[at] != 0 {
            at += 1 + usize::from(name[at]);
            let Some(entry) = self.entry(&name[at..]) else {
                continue;
            };
            let apex_at = at + usize::from(entry.apex_at);
            if entry.is_host()
                && may_be_made(name)
                && let Some(made) = made_below(&entry, name, at)
            {
                return Found::Made {
                    apex_at,
                    host_at: at,
                    made,
                };
            }
            return match entry.below() {
                Held::Nothing if self.pointers.is_some() => self
                    .find_pointer(name, apex_at)
                    .unwrap_or(Found::NoName { apex_at }),
                Held::Nothing => Found::NoName { apex_at },
                below => self.found(below, apex_at),
            };
        }
        Found::NotOurs {
            has_hosts_below: false,
        }
    }

    #[inline] // A lookup calls it once.
    fn found<'s>(&'s self, held: Held<'s>, apex_at: usize) -> Found<'s> {
        let records = match held {
            Held::Records(records) => Some(records),
            Held::Nothing => None,
            Held::CopyOf(source) => self.records_below(source),
            Held::Others { has_hosts_below } => return Found::NotOurs { has_hosts_below },
        };
        Found::Name(Owner { records, apex_at })
    }

    /// How many addresses of one family an answer holds at most, where a host has no word of its own.
    pub fn max_addresses(&self) -> MaxAddresses {
        self.max_addresses
    }

    /// Whether `client` asks for itself or for others, and where it is. Where a forwarder is tells nothing of its clients.
    pub fn asker(&self, client: IpAddr) -> Asker {
        let client = client.to_canonical();
        let mut networks = self.settings.forwarders.iter();
        if networks.any(|network| network.contains(&client))
            || self.forwarders.binary_search(&client).is_ok()
        {
            return Asker {
                role: Role::Forwarder,
                ..Asker::DIRECT
            };
        }
        let of_network = self.settings.clients.of(client);
        let residents = self.residents.as_ref();
        let (namespace, locality) = residents.map_or((None, None), |known| known.at(&client));
        let stated = of_network.and_then(|said| said.namespace.as_ref());
        let namespace = stated.or(namespace).filter(|_| self.has_views());
        Asker {
            role: Role::Direct,
            locality: of_network.and_then(|said| said.locality).or(locality),
            view: namespace.map(|namespace| ViewId::of(namespace)),
        }
    }

    /// What the client at `address` is, for whom a forwarder asks that is believed.
    pub fn asker_behind(&self, address: IpAddr) -> Asker {
        Asker {
            role: Role::Forwarder,
            ..self.asker(address)
        }
    }

    /// Whether `client` is believed for whom it asks.
    pub fn is_trusted(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let mut networks = self.settings.trusted_forwarders.iter();
        networks.any(|network| network.contains(&client))
    }

    /// Whether not everybody sees the same hosts: then who asks matters to every answer.
    #[inline]
    pub fn has_views(&self) -> bool {
        self.views.is_some()
    }

    /// What `asker` is answered from.
    #[inline]
    pub fn seen_by(&self, asker: Asker) -> &Self {
        match (asker.view, &self.views) {
            (Some(view), Some(views)) => view_in(views, view).unwrap_or(self),
            _ => self,
        }
    }

    /// Whether nobody else is ever asked for what is in a zone of ours.
    pub fn answers_alone(&self) -> bool {
        self.answers_alone
    }

    /// Who answers a question of type `record_type` for `name`, in lower-case wire form, for which `found` was found.
    pub fn verdict(&self, name: &[u8], record_type: RecordType, found: &Found<'_>) -> Verdict {
        let place = match found {
            Found::NotOurs { .. } => return Verdict::Others,
            Found::Name(Owner { records, apex_at }) => {
                let zone = self.zone_at(&name[*apex_at..]);
                let has_text = || self.records_of_host(name, record_type).is_some();
                if records.is_some() && record_type == RecordType::TXT && has_text() {
                    Place::Records(zone)
                } else if records.is_some() {
                    Place::Host(zone)
                } else {
                    Place::Zone(zone)
                }
            }
            Found::Made { apex_at, made, .. } => {
                let zone = self.zone_at(&name[*apex_at..]);
                match made {
                    Made::Endpoint(_) => Place::Host(zone),
                    made if made.has(record_type) => Place::Records(zone),
                    _ => Place::Zone(zone),
                }
            }
            Found::NoName { apex_at } => Place::Zone(self.zone_at(&name[*apex_at..])),
        };
        let mut forwarded = self.settings.forwarded.iter();
        let has_upstream = forwarded.any(|domain| domain.holds(name));
        place.verdict(record_type, has_upstream)
    }

    /// Whether the mesh answers for the addresses of a name in lower-case wire form, be it that there are none.
    pub fn is_ours(&self, name: &[u8]) -> bool {
        self.verdict(name, RecordType::A, &self.find(name)) != Verdict::Others
    }

    /// Whether the zone with this apex, in lower-case wire form, is ours in part.
    pub fn is_partial(&self, apex: &[u8]) -> bool {
        self.zone_at(apex) == Zone::DeclaredPartial
    }

    /// What the zone with this apex, in lower-case wire form, is.
    fn zone_at(&self, apex: &[u8]) -> Zone {
        let is_one_of = |zones: &[Name]| zones.iter().any(|zone| zone.as_wire() == apex);
        if is_one_of(&self.settings.partial_zones) {
            Zone::DeclaredPartial
        } else if is_one_of(&self.settings.zones) {
            Zone::Declared
        } else {
            Zone::OfHost
        }
    }

    /// How many names [`Snapshot::fetch`] looks at: more would leave the processor's nearest cache.
    pub const MOST_FETCHED: usize = 8;

    /// Touches what [`Snapshot::find`] is going to read for the first [`Snapshot::MOST_FETCHED`] of `names`, so that the
    /// waits for memory pass side by side. Finds nothing and changes nothing.
    pub fn fetch<'n>(&self, names: impl Iterator<Item = &'n [u8]>) {
        let blocks: SmallVec<[&[u8]; Self::MOST_FETCHED]> = names
            .take(Self::MOST_FETCHED)
            .map(|name| {
                let (shard, _) = slot_of(self.hasher.hash_one(name));
                self.shard(shard).block()
            })
            .collect();
        // Each loop waits at one place of memory per name; one loop over both would wait at one after the other.
        for block in blocks {
            shard::touch(block);
        }
    }

    /// The existing name, if it exists by itself.
    pub fn node(&self, name: &[u8]) -> Option<Node> {
        self.entry(name).map(Entry::to_node)
    }

    /// Every existing name, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        self.shards().flat_map(Shard::entries).map(Entry::to_node)
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    fn shard(&self, index: usize) -> &Shard {
        &self.pages[index / SHARDS_A_PAGE][index % SHARDS_A_PAGE]
    }

    #[allow(
        clippy::inline_always,
        reason = "most lookups end here, and what is given back would go through memory"
    )]
    #[inline(always)]
    pub(super) fn entry(&self, name: &[u8]) -> Option<Entry<'_>> {
        let (shard, tag) = slot_of(self.hasher.hash_one(name));
        self.shard(shard).find(tag, name)
    }

    /// The records of the wildcard below `source`.
    fn records_below(&self, source: &[u8]) -> Option<RRsets<'_>> {
        match self.entry(source)?.below() {
            Held::Records(records) => Some(records),
            Held::Nothing | Held::CopyOf(_) | Held::Others { .. } => None,
        }
    }

    /// The pages that differ where what `node` makes of each of `names`, and of what stands there, is put in its place;
    /// `None` removes the name. Costs what the shards of these names hold, whatever else there is.
    pub(super) fn edit(
        &self,
        names: impl IntoIterator<Item = Name>,
        node: impl Fn(&Name, Option<&Node>) -> Option<Node> + Sync,
    ) -> Edit {
        let place = |name: Name| (slot_of(self.hasher.hash_one(name.as_wire())), name);
        let mut names: Vec<_> = names.into_iter().map(place).collect();
        names.par_sort_unstable_by(|((left_shard, _), left), ((right_shard, _), right)| {
            (left_shard, left.as_wire()).cmp(&(right_shard, right.as_wire()))
        });
        names.dedup();
        let page_of = |((shard, _), _): &(Slot, Name)| shard / SHARDS_A_PAGE;
        let by_page: Vec<_> = names
            .chunk_by(|one, other| page_of(one) == page_of(other))
            .collect();
        let edited = parallel::map_groups(&by_page, |names| {
            let number = page_of(&names[0]);
            let (page, names_changed) = self.edit_page(number, names, &node);
            (page.map(|page| (number, page)), names_changed)
        });
        Edit {
            names_changed: edited.iter().map(|(_, names_changed)| names_changed).sum(),
            pages: edited.into_iter().filter_map(|(page, _)| page).collect(),
        }
    }

    /// The same for names of one page, in the order of their shards and wire forms.
    fn edit_page(
        &self,
        number: usize,
        names: &[(Slot, Name)],
        node: impl Fn(&Name, Option<&Node>) -> Option<Node>,
    ) -> (Option<Page>, usize) {
        let mut page = None;
        let mut names_changed = 0;
        for of_shard in names.chunk_by(|((one, _), _), ((other, _), _)| one == other) {
            let ((index, _), _) = of_shard[0];
            let shard = self.shard(index);
            let changes = of_shard.iter().filter_map(|((_, tag), name)| {
                let held = shard.find(*tag, name.as_wire()).map(Entry::to_node);
                let node = node(name, held.as_ref());
                (node != held).then_some((*tag, name, node))
            });
            let changes: SmallVec<[_; 1]> = changes.collect();
            if !changes.is_empty() {
                names_changed += changes.len();
                let page = page.get_or_insert_with(|| (*self.pages[number]).clone());
                page[index % SHARDS_A_PAGE] = shard.with(&changes);
            }
        }
        (page.map(Arc::new), names_changed)
    }

    /// The snapshot with other pages.
    pub(super) fn with(&self, edit: Edit) -> Self {
        let mut snapshot = self.clone();
        for (number, page) in edit.pages {
            snapshot.pages[number] = page;
        }
        snapshot
    }

    /// Stamps a changed snapshot.
    pub(super) fn stamp(&mut self, generation: u64, serial: Serial) {
        self.generation = generation;
        self.serial = serial;
        self.soa = encode_soa(&self.settings, serial);
    }
}

/// Equal where every query gets the same answer, apart from the serial: that one tells how the state was reached.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        let count = |snapshot: &Self| snapshot.shards().map(Shard::len).sum::<usize>();
        self.settings == other.settings
            && self.knows_all == other.knows_all
            && self.forwarders == other.forwarders
            && self.residents == other.residents
            && self.pointers == other.pointers
            && self.views == other.views
            && count(self) == count(other)
            && self
                .nodes()
                .all(|node| other.node(node.name.as_wire()).as_ref() == Some(&node))
    }
}

/// The shard that a name with this hash is in, and its tag there: bits that have nothing to do with each other.
fn slot_of(hash: u64) -> Slot {
    let shard = usize::try_from(hash >> 32).expect("32 bits fit") & (SHARDS - 1);
    let [tag, ..] = hash.to_be_bytes();
    (shard, tag)
}

/// Refresh, retry and expire are what a secondary would do: hours without NOTIFY would be too slow for a mesh.
fn encode_soa(settings: &Settings, serial: Serial) -> Arc<[u8]> {
    const REFRESH: u32 = 60;
    const RETRY: u32 = 10;
    const EXPIRE: u32 = 86_400;
    let name_server = settings
        .name_servers
        .first()
        .expect("settings have a name server");
    let mut rdata = name_server.as_wire().to_vec();
    rdata.extend(b"\x0ahostmaster");
    rdata.extend(name_server.parent().unwrap_or_else(Name::root).as_wire());
    for number in [
        serial.0,
        REFRESH,
        RETRY,
        EXPIRE,
        settings.negative_ttl.as_secs(),
    ] {
        rdata.extend(number.to_be_bytes());
    }
    let mut soa = Vec::new();
    push_behind_owner(&mut soa, RecordType::SOA, settings.negative_ttl, &rdata);
    soa.into()
}

fn encode_ns(settings: &Settings) -> Arc<[u8]> {
    let mut ns = Vec::new();
    for name in &settings.name_servers {
        push_record(&mut ns, RecordType::NS, settings.ttl, name.as_wire());
    }
    ns.into()
}

/// What those in a view are answered from; `None` where that is what all are.
fn view_in(views: &Views, view: ViewId) -> Option<&Snapshot> {
    let found = views.binary_search_by_key(&view, |(view, _)| *view);
    found.ok().map(|place| &*views[place].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Here;

    #[test]
    fn a_change_of_a_name_copies_one_page_and_leaves_the_snapshot_before_alone() {
        let before = Snapshot::not_ready(Arc::default());
        let name = Name::from_text("svc1.internal.com").expect("a valid name");
        let node = Node {
            name: name.clone(),
            apex_at: 0,
            here: Here::Empty,
            below: None,
        };
        let edit = before.edit([name.clone()], |_, _| Some(node.clone()));
        assert_eq!(edit.names_changed, 1);
        let after = before.with(edit);
        assert_eq!(before.node(name.as_wire()), None);
        assert_eq!(after.node(name.as_wire()), Some(node));
        let pages = before.pages.iter().zip(after.pages.iter());
        let copied = pages.filter(|(before, after)| !Arc::ptr_eq(before, after));
        assert_eq!(copied.count(), 1);
    }
}
