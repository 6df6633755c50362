//! A part of a snapshot's names, packed so that a lookup touches few cache lines.
//!
//! All names of a shard, what they answer and where to find them stand in one block of bytes:
//!
//! ```text
//! count: u16   slot: u32 × count (8 bits of the name's hash, 24 bits where it stands)   name × count
//!
//! name:     length, apex_at, kinds: u8 each   wire form   here   below   services
//! here, below, by their kind: nothing
//!                             CopyOf   where in the wire form the source begins: u8; 255 for what others answer,
//!                                      254 for the same above hosts of the mesh
//!                             inline   TTL: u32   bytes of IPv4: u8   bytes: u8   addresses
//!                             shared   TTL: u32   bytes of IPv4: u32   index into `shared`: u32
//!                             drawn    the same; how answers are drawn stands behind it in `shared`
//! services: where a host answers more than addresses, an index into `shared`: u32
//! ```
//!
//! Numbers are little-endian, except for the TTL, which is as in a message. A block is never changed: a shard that differs in a name is packed anew.

use std::{hint::black_box, sync::Arc};

use super::{
    draws::Draws,
    node::{Below, Here, Node},
    records::{Octets, RRsets},
    services::Services,
};
use crate::dns::{Name, Ttl};

/// The longest run of addresses that stands in the block; longer ones are shared.
const MAX_INLINE_BYTES: usize = 240;

const COUNT_LEN: usize = 2;
const SLOT_LEN: usize = 4;
const TAG_SHIFT: u32 = 24;

/// What stands behind a name's wire form, three bits for what is here and three for what is below.
const NOTHING: u8 = 0;
const COPY: u8 = 1;
const INLINE: u8 = 2;
const SHARED: u8 = 3;
const DRAWN: u8 = 4;
const KIND_BITS: u32 = 3;
const KIND_MASK: u8 = (1 << KIND_BITS) - 1;

/// Set beside the kinds where a host answers more than addresses.
const HAS_SERVICES: u8 = 1 << 7;

/// In the place of where a copy's source begins, which is never that far behind: what others answer, and the same where
/// there are hosts of the mesh below.
const OTHERS: u8 = u8::MAX;
const OTHERS_ABOVE: u8 = u8::MAX - 1;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Shard {
    block: Arc<[u8]>,
    shared: Option<Arc<[Shared]>>,
}

/// What does not stand in the block.
#[derive(Clone, Debug)]
enum Shared {
    Octets(Arc<[u8]>),
    Draws(Arc<Draws>),
    Services(Services),
}

/// A name of a shard, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Entry<'s> {
    /// The lower-case wire form.
    pub(super) name: &'s [u8],
    /// How many bytes of it stand before the zone's apex.
    pub(super) apex_at: u8,
    kinds: u8,
    /// What is here and below, and whatever follows in the block.
    rest: &'s [u8],
    shard: &'s Shard,
}

/// What a name, or what is below it, answers.
#[derive(Clone, Copy)]
pub(super) enum Held<'s> {
    Nothing,
    /// The records of the wildcard below this name, a suffix of the entry's.
    CopyOf(&'s [u8]),
    Records(RRsets<'s>),
    /// Others answer for it.
    Others {
        has_hosts_below: bool,
    },
}

impl Shard {
    /// The name with this tag and wire form.
    pub(super) fn find(&self, tag: u8, name: &[u8]) -> Option<Entry<'_>> {
        self.slots()
            .iter()
            .map(|slot| u32::from_le_bytes(*slot))
            .filter(|slot| slot >> TAG_SHIFT == u32::from(tag))
            .map(|slot| self.entry(slot))
            .find(|entry| entry.name == name)
    }

    /// All bytes of the shard, for [`touch`].
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    pub(super) fn len(&self) -> usize {
        self.slots().len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.tagged().map(|(_, entry)| entry)
    }

    /// The shard with other nodes at the names of `changes`, which are in ascending order of their wire form.
    pub(super) fn with(&self, changes: &[(u8, &Name, Option<Node>)]) -> Self {
        let is_kept = |entry: &Entry<'_>| {
            let place = |(_, name, _): &(u8, &Name, _)| name.as_wire().cmp(entry.name);
            changes.binary_search_by(place).is_err()
        };
        let mut packing = Packing::default();
        for (tag, entry) in self.tagged().filter(|(_, entry)| is_kept(entry)) {
            packing.add(
                tag,
                entry.name,
                entry.apex_at,
                entry.parts(),
                entry.services(),
            );
        }
        for (tag, _, node) in changes {
            if let Some(node) = node {
                let name = node.name.as_wire();
                packing.add(*tag, name, node.apex_at, parts_of(node), services_of(node));
            }
        }
        packing.finish()
    }

    fn slots(&self) -> &[[u8; SLOT_LEN]] {
        let Some((count, rest)) = self.block.split_first_chunk::<COUNT_LEN>() else {
            return &[];
        };
        let count = usize::from(u16::from_le_bytes(*count));
        &rest.as_chunks().0[..count]
    }

    fn tagged(&self) -> impl Iterator<Item = (u8, Entry<'_>)> {
        self.slots().iter().map(|slot| {
            let [.., tag] = *slot;
            (tag, self.entry(u32::from_le_bytes(*slot)))
        })
    }

    fn entry(&self, slot: u32) -> Entry<'_> {
        let at = (slot & ((1 << TAG_SHIFT) - 1)) as usize;
        let [length, apex_at, kinds, rest @ ..] = &self.block[at..] else {
            unreachable!("a slot tells where a name stands");
        };
        let (name, rest) = rest.split_at(usize::from(*length));
        Entry {
            name,
            apex_at: *apex_at,
            kinds: *kinds,
            rest,
            shard: self,
        }
    }
}

/// Reads from the first cache lines of a block, which with few names is all of it. Nothing depends on what is read, and so
/// the processor goes on without waiting.
pub(super) fn touch(block: &[u8]) {
    const LINE_LEN: usize = 64;
    const LINES: usize = 4;
    let lines = block.iter().step_by(LINE_LEN).take(LINES);
    black_box(lines.fold(0, |sum, byte| sum ^ byte));
}

impl<'s> Entry<'s> {
    /// What the name itself answers.
    pub(super) fn here(&self) -> Held<'s> {
        self.held(self.kinds & KIND_MASK, self.rest).0
    }

    /// What names below it that don't exist answer.
    pub(super) fn below(&self) -> Held<'s> {
        self.parts()[1]
    }

    /// Whether the name is a host that answers.
    #[inline]
    pub(super) fn is_host(&self) -> bool {
        self.kinds & KIND_MASK >= INLINE
    }

    /// What the host answers besides addresses.
    pub(super) fn services(&self) -> Option<&'s Services> {
        if self.kinds & HAS_SERVICES == 0 {
            return None;
        }
        let (_, rest) = self.held(self.kinds & KIND_MASK, self.rest);
        let (_, rest) = self.held(self.kinds >> KIND_BITS & KIND_MASK, rest);
        let index = rest.first_chunk().copied().map(u32::from_le_bytes);
        let shared = self.shard.shared.as_deref().unwrap_or_default();
        match index.and_then(|index| shared.get(index as usize)) {
            Some(Shared::Services(services)) => Some(services),
            _ => unreachable!("an index leads to services"),
        }
    }

    /// The same as a value of its own.
    pub(super) fn to_node(self) -> Node {
        let [here, below] = self.parts();
        Node {
            name: Name::from_lowercase_wire(self.name),
            apex_at: self.apex_at,
            here: match here {
                Held::Nothing => Here::Empty,
                Held::CopyOf(source) => Here::CopyOf(Name::from_lowercase_wire(source)),
                Held::Others { has_hosts_below } => Here::Others { has_hosts_below },
                Held::Records(records) => {
                    let services = self.services().cloned().unwrap_or_default();
                    Here::Records(records.to_records().with_services(services))
                }
            },
            below: match below {
                Held::Nothing => None,
                Held::CopyOf(source) => Some(Below::CopyOf(Name::from_lowercase_wire(source))),
                Held::Others { .. } => Some(Below::Others),
                Held::Records(records) => Some(Below::Records(records.to_records())),
            },
        }
    }

    /// What is here, and what is below.
    fn parts(&self) -> [Held<'s>; 2] {
        let (here, rest) = self.held(self.kinds & KIND_MASK, self.rest);
        let (below, _) = self.held(self.kinds >> KIND_BITS & KIND_MASK, rest);
        [here, below]
    }

    fn held(&self, kind: u8, bytes: &'s [u8]) -> (Held<'s>, &'s [u8]) {
        match (kind, bytes) {
            (COPY, &[marker @ (OTHERS | OTHERS_ABOVE), ref rest @ ..]) => {
                let has_hosts_below = marker == OTHERS_ABOVE;
                (Held::Others { has_hosts_below }, rest)
            }
            (COPY, &[at, ref rest @ ..]) => (Held::CopyOf(&self.name[usize::from(at)..]), rest),
            (INLINE, &[t0, t1, t2, t3, v4_bytes, length, ref rest @ ..]) => {
                let (octets, rest) = rest.split_at(usize::from(length));
                let records = RRsets {
                    ttl: Ttl::from_wire([t0, t1, t2, t3]),
                    v4_bytes: v4_bytes.into(),
                    octets: Octets::Inline(octets),
                };
                (Held::Records(records), rest)
            }
            (SHARED | DRAWN, _) => self.shared(kind, bytes),
            _ => (Held::Nothing, bytes),
        }
    }

    /// What does not stand in the block itself.
    #[inline(never)] // Most names have few addresses: they don't pay for this.
    fn shared(&self, kind: u8, bytes: &'s [u8]) -> (Held<'s>, &'s [u8]) {
        let ([ttl @ .., v0, v1, v2, v3, i0, i1, i2, i3], rest) =
            bytes.split_first_chunk::<12>().expect("it was packed");
        let shared = self.shard.shared.as_deref().unwrap_or_default();
        let index = u32::from_le_bytes([*i0, *i1, *i2, *i3]) as usize;
        let Shared::Octets(octets) = &shared[index] else {
            unreachable!("an index leads to addresses");
        };
        let octets = match shared.get(index + 1) {
            Some(Shared::Draws(draws)) if kind == DRAWN => Octets::Drawn(octets, draws),
            _ => Octets::Shared(octets),
        };
        let records = RRsets {
            ttl: Ttl::from_wire(*ttl),
            v4_bytes: u32::from_le_bytes([*v0, *v1, *v2, *v3]) as usize,
            octets,
        };
        (Held::Records(records), rest)
    }
}

fn parts_of(node: &Node) -> [Held<'_>; 2] {
    let here = match &node.here {
        Here::Empty => Held::Nothing,
        Here::CopyOf(source) => Held::CopyOf(source.as_wire()),
        Here::Others { has_hosts_below } => Held::Others {
            has_hosts_below: *has_hosts_below,
        },
        Here::Records(records) => Held::Records(records.rrsets()),
    };
    let below = match &node.below {
        None => Held::Nothing,
        Some(Below::CopyOf(source)) => Held::CopyOf(source.as_wire()),
        Some(Below::Others) => Held::Others {
            has_hosts_below: false,
        },
        Some(Below::Records(records)) => Held::Records(records.rrsets()),
    };
    [here, below]
}

/// What the host at a node answers besides addresses.
fn services_of(node: &Node) -> Option<&Services> {
    match &node.here {
        Here::Records(records) => Some(records.services()).filter(|held| !held.is_nothing()),
        Here::CopyOf(_) | Here::Empty | Here::Others { .. } => None,
    }
}

/// A shard that is being packed.
#[derive(Default)]
struct Packing {
    /// Tag, and where in `names` the name begins.
    slots: Vec<(u8, usize)>,
    names: Vec<u8>,
    shared: Vec<Shared>,
}

impl Packing {
    fn add(
        &mut self,
        tag: u8,
        name: &[u8],
        apex_at: u8,
        parts: [Held<'_>; 2],
        services: Option<&Services>,
    ) {
        let start = self.names.len();
        self.slots.push((tag, start));
        let length = u8::try_from(name.len()).expect("a name has at most 255 bytes");
        self.names.extend([length, apex_at, 0]);
        self.names.extend(name);
        let [here, below] = parts.map(|part| self.add_part(name, part));
        self.names[start + 2] = here | below << KIND_BITS;
        if let Some(services) = services {
            let index = self.place_of(services);
            self.names.extend(number(index));
            self.names[start + 2] |= HAS_SERVICES;
        }
    }

    /// Where services stand in `shared`: once, however many hosts have the same.
    fn place_of(&mut self, services: &Services) -> usize {
        let is_it =
            |held: &Shared| matches!(held, Shared::Services(held) if held.is_same(services));
        self.shared.iter().position(is_it).unwrap_or_else(|| {
            self.shared.push(Shared::Services(services.clone()));
            self.shared.len() - 1
        })
    }

    /// Appends a part and returns its kind.
    fn add_part(&mut self, name: &[u8], part: Held<'_>) -> u8 {
        match part {
            Held::Nothing => NOTHING,
            Held::Others { has_hosts_below } => {
                let marker = if has_hosts_below {
                    OTHERS_ABOVE
                } else {
                    OTHERS
                };
                self.names.push(marker);
                COPY
            }
            Held::CopyOf(source) => {
                debug_assert!(name.ends_with(source), "a wildcard is copied downwards");
                let at = u8::try_from(name.len() - source.len()).expect("shorter than the name");
                debug_assert!(at < OTHERS_ABOVE, "no wildcard is below the root");
                self.names.push(at);
                COPY
            }
            Held::Records(records) => {
                self.names.extend(records.ttl.to_wire());
                match records.octets {
                    Octets::Shared(octets) if octets.len() > MAX_INLINE_BYTES => {
                        self.add_shared(records.v4_bytes, [Shared::Octets(Arc::clone(octets))]);
                        SHARED
                    }
                    Octets::Drawn(octets, draws) => {
                        let (octets, draws) = (Arc::clone(octets), Arc::clone(draws));
                        let shared = [Shared::Octets(octets), Shared::Draws(draws)];
                        self.add_shared(records.v4_bytes, shared);
                        DRAWN
                    }
                    octets => {
                        let byte =
                            |length: usize| u8::try_from(length).expect("at most what is inline");
                        self.names
                            .extend([byte(records.v4_bytes), byte(octets.len())]);
                        self.names.extend(&*octets);
                        INLINE
                    }
                }
            }
        }
    }

    /// Appends where addresses stand, of which so many bytes are IPv4.
    fn add_shared(&mut self, v4_bytes: usize, shared: impl IntoIterator<Item = Shared>) {
        self.names.extend(number(v4_bytes));
        self.names.extend(number(self.shared.len()));
        self.shared.extend(shared);
    }

    fn finish(self) -> Shard {
        if self.slots.is_empty() {
            return Shard::default();
        }
        let count = u16::try_from(self.slots.len()).expect("a shard holds few names");
        let front = COUNT_LEN + self.slots.len() * SLOT_LEN;
        let mut block = Vec::with_capacity(front + self.names.len());
        block.extend(count.to_le_bytes());
        for (tag, at) in self.slots {
            let [a, b, c, 0] = number(front + at) else {
                panic!("the names of a shard take less than 16 MiB");
            };
            block.extend([a, b, c, tag]);
        }
        block.extend(self.names);
        Shard {
            block: block.into(),
            shared: (!self.shared.is_empty()).then(|| self.shared.into()),
        }
    }
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("below 4 GiB").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::zone::HostRecords;

    fn name(text: &str) -> Name {
        Name::from_text(text).expect("a valid name")
    }

    fn addresses(count: u32) -> HostRecords {
        let addresses: Vec<IpAddr> = (0..count)
            .map(|last| Ipv4Addr::from(0x0a00_0000 + last).into())
            .chain(["2001:db8::1".parse().expect("an address")])
            .collect();
        HostRecords::encode(&addresses, Ttl::FIVE_SECONDS)
    }

    fn node(text: &str, here: Here, below: Option<Below>) -> Node {
        Node {
            name: name(text),
            apex_at: 2,
            here,
            below,
        }
    }

    /// Every kind of node.
    fn nodes() -> Vec<Node> {
        let source = || name("shop.test");
        vec![
            node("a.test", Here::Empty, None),
            node("b.test", Here::Records(addresses(0)), None),
            node(
                "c.shop.test",
                Here::CopyOf(source()),
                Some(Below::CopyOf(source())),
            ),
            node("d.test", Here::Empty, Some(Below::Records(addresses(3)))),
            node(
                "e.test",
                Here::Records(addresses(500)),
                Some(Below::Records(addresses(600))),
            ),
            node(
                "f.test",
                Here::Records(addresses(56)),
                Some(Below::Records(addresses(57))),
            ),
            node("g.test", Here::Records(HostRecords::default()), None),
            node(
                "h.test",
                Here::Others {
                    has_hosts_below: false,
                },
                Some(Below::Others),
            ),
            node(
                "i.test",
                Here::Others {
                    has_hosts_below: true,
                },
                None,
            ),
        ]
    }

    fn put(node: &Node) -> (u8, &Name, Option<Node>) {
        (7, &node.name, Some(node.clone()))
    }

    fn held(shard: &Shard) -> Vec<Node> {
        let mut nodes: Vec<_> = shard.entries().map(Entry::to_node).collect();
        nodes.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        nodes
    }

    #[test]
    fn gives_back_what_is_put_in() {
        let mut expected = nodes();
        let shard = Shard::default().with(&expected.iter().map(put).collect::<Vec<_>>());
        for node in &expected {
            let found = shard.find(7, node.name.as_wire()).map(Entry::to_node);
            assert_eq!(found.as_ref(), Some(node));
        }
        assert!(shard.find(7, name("j.test").as_wire()).is_none());
        assert!(shard.find(8, name("a.test").as_wire()).is_none());
        expected.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        assert_eq!(held(&shard), expected);
    }

    #[test]
    fn a_change_leaves_the_other_names_alone() {
        let before = Shard::default().with(&nodes().iter().map(put).collect::<Vec<_>>());
        let changed = node("b.test", Here::Records(addresses(2)), None);
        let after = before.with(&[
            (7, &name("a.test"), None),
            put(&changed),
            (7, &name("gone.test"), None),
        ]);
        let mut expected: Vec<_> = nodes().into_iter().skip(2).chain([changed]).collect();
        expected.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        assert_eq!(held(&after), expected);
        assert_eq!(after.len(), nodes().len() - 1);
    }

    #[test]
    fn many_addresses_are_shared_by_all_who_answer_with_them() {
        let records = addresses(500);
        let both =
            ["a.test", "b.test"].map(|text| node(text, Here::Records(records.clone()), None));
        let shard =
            Shard::default()
                .with(&both.each_ref().map(put))
                .with(&[(7, &name("c.test"), None)]);
        for node in &both {
            let Held::Records(held) = shard
                .find(7, node.name.as_wire())
                .expect("it was put")
                .here()
            else {
                panic!("it has records");
            };
            let places = [held.octets, records.rrsets().octets].map(|octets| octets.as_ptr());
            assert_eq!(places[0], places[1]);
        }
    }
}
