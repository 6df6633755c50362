use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use crate::dns::{Class, RecordType, Ttl};

/// The wire form of a name that is the question's: a pointer to offset 12 ([RFC 1035 §4.1.4]).
///
/// [RFC 1035 §4.1.4]: https://www.rfc-editor.org/rfc/rfc1035#section-4.1.4
const QUESTION_NAME: [u8; 2] = [0xc0, 0x0c];

/// Owner pointer, type, class, TTL, RDATA length.
const FIXED_LEN: usize = 12;
const A_LEN: usize = FIXED_LEN + 4;
const AAAA_LEN: usize = FIXED_LEN + 16;

/// Four A records are held without an allocation of their own: most hosts have no more, and a lookup finds them beside the
/// name.
const INLINE_BYTES: usize = 4 * A_LEN;

/// How many bytes of answer records a message of 64 KiB holds beside the longest question and a generous OPT record.
const MAX_ANSWER_BYTES: usize = 65_535 - 12 - 259 - 512;

/// The A and AAAA records of one host, encoded: each owner is a pointer to the question's name, so that an answer is a
/// copy of these bytes.
///
/// Addresses stand in ascending order, once each: equal selections give equal bytes.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct HostRecords {
    bytes: SmallVec<[u8; INLINE_BYTES]>,
    a_bytes: usize,
}

impl HostRecords {
    /// Encodes `addresses`, each once, with `ttl`.
    pub fn encode(addresses: &[IpAddr], ttl: Ttl) -> Self {
        let mut sorted = addresses.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut bytes = Vec::with_capacity(sorted.len() * A_LEN);
        let mut a_bytes = 0;
        for address in sorted {
            let (record_type, octets): (_, &[u8]) = match &address {
                IpAddr::V4(v4) => (RecordType::A, &v4.octets()),
                IpAddr::V6(v6) => (RecordType::AAAA, &v6.octets()),
            };
            push_record(&mut bytes, record_type, ttl, octets);
            if address.is_ipv4() {
                a_bytes = bytes.len();
            }
        }
        Self {
            bytes: SmallVec::from_slice(&bytes),
            a_bytes,
        }
    }

    /// The IPv4 addresses.
    pub fn a(&self) -> RRset<'_> {
        RRset {
            bytes: &self.bytes[..self.a_bytes],
            width: A_LEN,
        }
    }

    /// The IPv6 addresses.
    pub fn aaaa(&self) -> RRset<'_> {
        RRset {
            bytes: &self.bytes[self.a_bytes..],
            width: AAAA_LEN,
        }
    }

    /// All addresses, IPv4 first, ascending.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let octets = |record: &[u8]| record[FIXED_LEN..].to_vec();
        let a = self.a().bytes.chunks_exact(A_LEN).map(octets);
        let aaaa = self.aaaa().bytes.chunks_exact(AAAA_LEN).map(octets);
        let v4 = a.map(|octets| {
            Ipv4Addr::from(<[u8; 4]>::try_from(octets).expect("an A record has four octets"))
        });
        let v6 = aaaa.map(|octets| {
            Ipv6Addr::from(<[u8; 16]>::try_from(octets).expect("an AAAA record has sixteen"))
        });
        v4.map(IpAddr::V4).chain(v6.map(IpAddr::V6))
    }
}

impl std::fmt::Debug for HostRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.addresses()).finish()
    }
}

/// Records of one type at one name, encoded in records of one width.
#[derive(Clone, Copy, Debug)]
pub struct RRset<'s> {
    bytes: &'s [u8],
    width: usize,
}

impl<'s> RRset<'s> {
    /// The number of records.
    pub fn len(self) -> usize {
        self.bytes.len() / self.width
    }

    /// Whether there is no record.
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether all records fit one message over TCP.
    pub fn fits_a_message(self) -> bool {
        self.bytes.len() <= MAX_ANSWER_BYTES
    }

    /// The records as two runs of bytes, to be written one behind the other, and how many they are.
    ///
    /// `turn`, spread evenly over `0..=u32::MAX`, chooses which record comes first; the others follow in order, around
    /// the end. Where not all records fit a message, as many as fit.
    pub fn rotated(self, turn: u32) -> (&'s [u8], &'s [u8], usize) {
        let count = self.len();
        let first =
            usize::try_from((u64::from(turn) * count as u64) >> 32).expect("below the count");
        let (tail, head) = self.bytes.split_at(first * self.width);
        let kept = count.min(MAX_ANSWER_BYTES / self.width);
        if kept == count {
            return (head, tail, count);
        }
        let kept_bytes = kept * self.width;
        let head = &head[..head.len().min(kept_bytes)];
        (head, &tail[..kept_bytes - head.len()], kept)
    }
}

/// Appends one record whose owner is the question's name.
///
/// # Panics
///
/// Where `rdata` is longer than 65,535 bytes.
pub(super) fn push_record(out: &mut Vec<u8>, record_type: RecordType, ttl: Ttl, rdata: &[u8]) {
    out.extend(QUESTION_NAME);
    push_behind_owner(out, record_type, ttl, rdata);
}

/// Appends what follows a record's owner name: type, class IN, TTL, RDATA length, RDATA.
pub(super) fn push_behind_owner(
    out: &mut Vec<u8>,
    record_type: RecordType,
    ttl: Ttl,
    rdata: &[u8],
) {
    out.extend(record_type.0.to_be_bytes());
    out.extend(Class::IN.0.to_be_bytes());
    out.extend(ttl.as_secs().to_be_bytes());
    out.extend(
        u16::try_from(rdata.len())
            .expect("RDATA has a 16-bit length")
            .to_be_bytes(),
    );
    out.extend(rdata);
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
            .addresses()
            .map(|address| address.to_string())
            .collect();
        assert_eq!(texts, ["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
        assert_eq!((records.a().len(), records.aaaa().len()), (2, 1));
    }

    #[test]
    fn every_address_comes_first_equally_often() {
        let records = records(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        let mut first = [0; 3];
        for step in 0..300_u32 {
            let (head, _, count) = records
                .a()
                .rotated(step * (u32::MAX / 300) + u32::MAX / 600);
            assert_eq!(count, 3);
            first[usize::from(head[A_LEN - 1]) - 1] += 1;
        }
        assert_eq!(first, [100, 100, 100]);
    }

    #[test]
    fn an_rrset_too_large_for_a_message_is_cut_from_the_turn_on() {
        let addresses: Vec<IpAddr> = (0..5000_u32)
            .map(|n| Ipv4Addr::from(0x0a00_0000 + n).into())
            .collect();
        let records = HostRecords::encode(&addresses, Ttl::FIVE_SECONDS);
        assert!(!records.a().fits_a_message());
        let (head, tail, count) = records.a().rotated(u32::MAX);
        assert_eq!(count, MAX_ANSWER_BYTES / A_LEN);
        assert_eq!(head.len() + tail.len(), count * A_LEN);
        assert_eq!(
            head[FIXED_LEN..A_LEN],
            Ipv4Addr::from(0x0a00_0000 + 4999).octets()
        );
    }
}
