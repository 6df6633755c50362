use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Deref,
    sync::Arc,
};

use super::{
    draws::{Asker, Drawing, Draws},
    encode::{FIXED_LEN, MAX_ANSWER_BYTES, QUESTION_NAME},
    octets::{V4_LEN, V6_LEN, octets_of},
    services::Services,
};
use crate::{
    dns::{Class, RecordType, Ttl},
    manifest::{MaxAddresses, ServicePort},
};

/// The addresses that one host answers with, and their TTL.
///
/// Addresses stand in ascending order, once each: equal selections give equal values. A clone shares them, and so do the
/// snapshots that hold many of them.
#[derive(Clone, Eq, PartialEq)]
pub struct HostRecords {
    ttl: Ttl,
    v4_bytes: usize,
    /// The IPv4 addresses, then the IPv6 addresses, as RDATA has them.
    octets: Arc<[u8]>,
    /// How answers are drawn from them, where that is not all of them alike.
    draws: Option<Arc<Draws>>,
    /// What else the host answers.
    services: Services,
}

impl HostRecords {
    /// Packs `addresses`, each once, to be given out with `ttl`.
    pub fn encode(addresses: &[IpAddr], ttl: Ttl) -> Self {
        let mut sorted = addresses.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let v4_count = sorted.partition_point(IpAddr::is_ipv4);
        let v4_bytes = v4_count * V4_LEN;
        Self::from_parts(ttl, v4_bytes, octets_of(&sorted).into(), None)
    }

    /// The same addresses, of which answers are drawn by `draws`.
    #[must_use]
    pub fn drawn_by(self, draws: Draws) -> Self {
        // Of nothing, nothing is drawn: all such hosts are equal.
        let draws = (!self.octets.is_empty()).then(|| Arc::new(draws));
        Self { draws, ..self }
    }

    /// Without addresses nothing is given out with a TTL, so that all such hosts are equal.
    fn from_parts(ttl: Ttl, v4_bytes: usize, octets: Arc<[u8]>, draws: Option<Arc<Draws>>) -> Self {
        let ttl = if octets.is_empty() {
            Ttl::FIVE_SECONDS
        } else {
            ttl
        };
        Self {
            ttl,
            v4_bytes,
            octets,
            draws,
            services: Services::default(),
        }
    }

    /// The same addresses, as those of a service with `ports`.
    #[must_use]
    pub fn at_ports(self, ports: Arc<[ServicePort]>) -> Self {
        let services = Services {
            ports: Some(ports).filter(|ports| !ports.is_empty()),
            ..self.services.clone()
        };
        self.with_services(services)
    }

    /// The same addresses, and what else the host answers.
    #[must_use]
    pub(super) fn with_services(self, services: Services) -> Self {
        Self { services, ..self }
    }

    /// What the host answers besides addresses.
    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// The address records, borrowed.
    pub fn rrsets(&self) -> RRsets<'_> {
        RRsets {
            ttl: self.ttl,
            v4_bytes: self.v4_bytes,
            octets: match &self.draws {
                None => Octets::Shared(&self.octets),
                Some(draws) => Octets::Drawn(&self.octets, draws),
            },
        }
    }
}

impl Default for HostRecords {
    fn default() -> Self {
        Self::from_parts(Ttl::FIVE_SECONDS, 0, Arc::default(), None)
    }
}

impl std::fmt::Debug for HostRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rrsets().fmt(f)
    }
}

/// The A and AAAA RRsets of one host, as a snapshot holds them.
#[derive(Clone, Copy)]
pub struct RRsets<'s> {
    pub(super) ttl: Ttl,
    pub(super) v4_bytes: usize,
    pub(super) octets: Octets<'s>,
}

/// Addresses in a snapshot's block of names, or, where they are many, shared by all who answer with them.
#[derive(Clone, Copy)]
pub(super) enum Octets<'s> {
    Inline(&'s [u8]),
    Shared(&'s Arc<[u8]>),
    /// The same, and how answers are drawn from them.
    Drawn(&'s Arc<[u8]>, &'s Arc<Draws>),
}

impl<'s> RRsets<'s> {
    /// The IPv4 addresses.
    pub fn a(self) -> RRset<'s> {
        RRset {
            ttl: self.ttl,
            record_type: RecordType::A,
            octets: &self.octets.as_slice()[..self.v4_bytes],
        }
    }

    /// The IPv6 addresses.
    pub fn aaaa(self) -> RRset<'s> {
        RRset {
            ttl: self.ttl,
            record_type: RecordType::AAAA,
            octets: &self.octets.as_slice()[self.v4_bytes..],
        }
    }

    /// How answers are drawn from them, where that is not all of them alike.
    pub fn draws(self) -> Option<&'s Draws> {
        match self.octets {
            Octets::Drawn(_, draws) => Some(draws),
            Octets::Inline(_) | Octets::Shared(_) => None,
        }
    }

    /// What a question of this type gets by `draws`; `None` where there is no such address. `max_addresses` holds where the host
    /// has no limit of its own.
    pub fn drawn(
        self,
        draws: &'s Draws,
        record_type: RecordType,
        asker: Asker,
        turn: u32,
        max_addresses: MaxAddresses,
    ) -> Option<AddressRecords<'s>> {
        let choice = draws.draw(record_type == RecordType::A, asker, turn)?;
        let max_addresses = choice.max_addresses.unwrap_or(max_addresses);
        let addresses = choice.addresses;
        let records = if let Some(octets) = addresses.whole() {
            let rrset = RRset {
                ttl: self.ttl,
                record_type,
                octets,
            };
            rrset.rotated(addresses.turn, max_addresses)
        } else {
            AddressRecords {
                ttl: self.ttl,
                record_type,
                chosen: Chosen::Drawn(addresses),
                count: match max_addresses {
                    MaxAddresses::Number(most) => addresses.count().min(usize::from(most.get())),
                    MaxAddresses::Fitting | MaxAddresses::All => addresses.count(),
                },
                may_be_fewer: true,
                depends_on_asker: false,
            }
        };
        Some(AddressRecords {
            depends_on_asker: choice.depends_on_asker,
            ..records
        })
    }

    /// The number of addresses.
    pub fn len(self) -> usize {
        self.a().len() + self.aaaa().len()
    }

    /// Whether there is no address at all.
    pub fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// All addresses, IPv4 first, ascending.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> + use<'s> {
        let (v4, _) = self.a().octets.as_chunks::<V4_LEN>();
        let (v6, _) = self.aaaa().octets.as_chunks::<V6_LEN>();
        let v4 = v4.iter().map(|&octets| Ipv4Addr::from(octets).into());
        let v6 = v6.iter().map(|&octets| Ipv6Addr::from(octets).into());
        v4.chain(v6)
    }

    /// The same as a value of its own.
    pub fn to_records(self) -> HostRecords {
        let octets = match self.octets {
            Octets::Inline(octets) => octets.into(),
            Octets::Shared(octets) | Octets::Drawn(octets, _) => Arc::clone(octets),
        };
        let draws = match self.octets {
            Octets::Drawn(_, draws) => Some(Arc::clone(draws)),
            Octets::Inline(_) | Octets::Shared(_) => None,
        };
        HostRecords::from_parts(self.ttl, self.v4_bytes, octets, draws)
    }
}

impl PartialEq for RRsets<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.ttl, self.v4_bytes, &*self.octets, self.draws())
            == (other.ttl, other.v4_bytes, &*other.octets, other.draws())
    }
}

impl std::fmt::Debug for RRsets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.addresses()).finish()
    }
}

impl<'s> Octets<'s> {
    pub(super) fn as_slice(self) -> &'s [u8] {
        match self {
            Self::Inline(octets) => octets,
            Self::Shared(octets) | Self::Drawn(octets, _) => octets,
        }
    }
}

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// Address records of one type at one name.
#[derive(Clone, Copy, Debug)]
pub struct RRset<'s> {
    ttl: Ttl,
    record_type: RecordType,
    octets: &'s [u8],
}

impl<'s> RRset<'s> {
    /// The number of records.
    pub fn len(self) -> usize {
        self.octets.len() / self.address_len()
    }

    /// Whether there is no record.
    pub fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// Whether all records fit one message over TCP.
    pub fn fits_a_message(self) -> bool {
        self.len() <= self.most_in_a_message()
    }

    /// The records in the order for one message.
    ///
    /// `turn`, spread evenly over `0..=u32::MAX`, chooses which record comes first; the others follow in order, around
    /// the end, as many as `max_addresses` and a message allow.
    #[inline] // Called once an answer.
    pub fn rotated(self, turn: u32, max_addresses: MaxAddresses) -> AddressRecords<'s> {
        let count = self.len();
        let first =
            usize::try_from((u64::from(turn) * count as u64) >> 32).expect("below the count");
        let (tail, head) = self.octets.split_at(first * self.address_len());
        let mut kept = count.min(self.most_in_a_message());
        if let MaxAddresses::Number(most) = max_addresses {
            kept = kept.min(most.get().into());
        }
        let run = Run { head, tail }.first(kept * self.address_len());
        AddressRecords {
            ttl: self.ttl,
            record_type: self.record_type,
            chosen: Chosen::Run(run),
            count: kept,
            may_be_fewer: max_addresses == MaxAddresses::Fitting,
            depends_on_asker: false,
        }
    }

    /// The one with this number.
    pub(super) fn only(self, number: usize) -> Self {
        let length = self.address_len();
        Self {
            octets: &self.octets[number * length..][..length],
            ..self
        }
    }

    fn address_len(self) -> usize {
        address_len(self.record_type)
    }

    fn most_in_a_message(self) -> usize {
        MAX_ANSWER_BYTES / (FIXED_LEN + self.address_len())
    }
}

/// Address records in the order in which a message carries them.
#[derive(Clone, Copy, Debug)]
pub struct AddressRecords<'s> {
    ttl: Ttl,
    record_type: RecordType,
    chosen: Chosen<'s>,
    count: usize,
    /// Whether fewer of them do as well.
    may_be_fewer: bool,
    depends_on_asker: bool,
}

/// Which addresses those are.
#[derive(Clone, Copy, Debug)]
enum Chosen<'s> {
    Run(Run<'s>),
    Drawn(Drawing<'s>),
}

/// A run of addresses around the end of a list.
#[derive(Clone, Copy, Debug)]
struct Run<'s> {
    head: &'s [u8],
    tail: &'s [u8],
}

impl Run<'_> {
    #[inline]
    fn first(self, bytes: usize) -> Self {
        let head = &self.head[..self.head.len().min(bytes)];
        let tail = &self.tail[..self.tail.len().min(bytes - head.len())];
        Self { head, tail }
    }
}

impl AddressRecords<'_> {
    /// How many records.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether another asker gets others.
    #[inline] // Asked once an answer.
    pub fn depends_on_asker(&self) -> bool {
        self.depends_on_asker
    }

    /// How many bytes [`AddressRecords::write`] appends.
    pub fn encoded_len(&self) -> usize {
        self.count * (FIXED_LEN + address_len(self.record_type))
    }

    /// As many of the records as fit `room_bytes`, where fewer do as well and one fits.
    #[must_use]
    pub fn fit(self, room_bytes: usize) -> Self {
        self.at_most(room_bytes / (FIXED_LEN + address_len(self.record_type)))
    }

    /// At most so many of the records, where fewer do as well and some are left.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        if !self.may_be_fewer || most == 0 || most >= self.count {
            return self;
        }
        let address_len = address_len(self.record_type);
        Self {
            chosen: match self.chosen {
                Chosen::Run(run) => Chosen::Run(run.first(most * address_len)),
                drawn @ Chosen::Drawn(_) => drawn,
            },
            count: most,
            ..self
        }
    }

    /// Appends the records, each owned by the question's name.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.record_type == RecordType::A {
            self.write_each::<V4_LEN, { FIXED_LEN + V4_LEN }>(out);
        } else {
            self.write_each::<V6_LEN, { FIXED_LEN + V6_LEN }>(out);
        }
    }

    /// `RECORD_LEN` is that of the fixed fields and `ADDRESS_LEN`: the compiler can't add them.
    fn write_each<const ADDRESS_LEN: usize, const RECORD_LEN: usize>(&self, out: &mut Vec<u8>) {
        let mut record = [0; RECORD_LEN];
        let [ttl_0, ttl_1, ttl_2, ttl_3] = self.ttl.to_wire();
        let [type_high, type_low] = self.record_type.0.to_be_bytes();
        let [class_high, class_low] = Class::IN.0.to_be_bytes();
        let [owner_high, owner_low] = QUESTION_NAME;
        let address_len = u8::try_from(ADDRESS_LEN).expect("an address is short");
        record[..FIXED_LEN].copy_from_slice(&[
            owner_high,
            owner_low,
            type_high,
            type_low,
            class_high,
            class_low,
            ttl_0,
            ttl_1,
            ttl_2,
            ttl_3,
            0,
            address_len,
        ]);
        out.reserve(self.encoded_len());
        match self.chosen {
            Chosen::Run(Run { head, tail }) => {
                for run in [head, tail] {
                    for address in run.as_chunks::<ADDRESS_LEN>().0 {
                        record[FIXED_LEN..].copy_from_slice(address);
                        out.extend_from_slice(&record);
                    }
                }
            }
            Chosen::Drawn(drawn) => drawn.each::<ADDRESS_LEN>(self.count, |address| {
                record[FIXED_LEN..].copy_from_slice(address);
                out.extend_from_slice(&record);
            }),
        }
    }
}

fn address_len(record_type: RecordType) -> usize {
    if record_type == RecordType::A {
        V4_LEN
    } else {
        V6_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(addresses: &[&str]) -> HostRecords {
        let addresses: Vec<IpAddr> = addresses
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        HostRecords::encode(&addresses, Ttl::FIVE_SECONDS)
    }

    #[test]
    fn sorts_and_keeps_each_address_once() {
        let records = records(&["10.0.0.2", "2001:db8::1", "10.0.0.1", "10.0.0.2"]);
        let texts: Vec<_> = records
            .rrsets()
            .addresses()
            .map(|address| address.to_string())
            .collect();
        assert_eq!(texts, ["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
        assert_eq!(
            (records.rrsets().a().len(), records.rrsets().aaaa().len()),
            (2, 1)
        );
    }

    fn written(rotated: AddressRecords<'_>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        rotated.write(&mut out);
        assert_eq!(out.len(), b"before".len() + rotated.encoded_len());
        out.split_off(b"before".len())
    }

    #[test]
    fn writes_records_owned_by_the_question() {
        let records = records(&["10.0.0.1", "2001:db8::1"]);
        let a = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01";
        let aaaa =
            b"\xc0\x0c\0\x1c\0\x01\0\0\0\x05\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        assert_eq!(
            written(records.rrsets().a().rotated(0, MaxAddresses::All)),
            a
        );
        assert_eq!(
            written(records.rrsets().aaaa().rotated(0, MaxAddresses::All)),
            aaaa
        );
    }

    #[test]
    fn every_address_comes_first_equally_often() {
        let records = records(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        let mut first = [0; 3];
        for step in 0..300_u32 {
            let turn = step * (u32::MAX / 300) + u32::MAX / 600;
            let rotated = records.rrsets().a().rotated(turn, MaxAddresses::All);
            assert_eq!(rotated.count(), 3);
            first[usize::from(written(rotated)[FIXED_LEN + V4_LEN - 1]) - 1] += 1;
        }
        assert_eq!(first, [100, 100, 100]);
    }

    #[test]
    fn an_rrset_too_large_for_a_message_is_cut_from_the_turn_on() {
        const RECORD_LEN: usize = FIXED_LEN + V4_LEN;
        let addresses: Vec<IpAddr> = (0..5000_u32)
            .map(|n| Ipv4Addr::from(0x0a00_0000 + n).into())
            .collect();
        let records = HostRecords::encode(&addresses, Ttl::FIVE_SECONDS);
        let a = records.rrsets().a();
        assert!(!a.fits_a_message());
        let rotated = a.rotated(u32::MAX, MaxAddresses::All);
        assert_eq!(rotated.count(), MAX_ANSWER_BYTES / RECORD_LEN);
        let written = written(rotated);
        assert_eq!(written.len(), rotated.count() * RECORD_LEN);
        assert_eq!(
            written[FIXED_LEN..RECORD_LEN],
            Ipv4Addr::from(0x0a00_0000 + 4999).octets()
        );
    }
}
