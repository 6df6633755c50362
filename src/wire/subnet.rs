//! The subnet of the client behind a resolver ([RFC 7871](https://www.rfc-editor.org/rfc/rfc7871)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::{
    HEADER_LEN, OPTION_CLIENT_SUBNET,
    opt::{OPT_START, option},
    write::{OPTION_HEADER_LEN, add_option},
};
use crate::answer::Query;

/// Family, source prefix length, scope prefix length.
const FIXED_LEN: usize = 4;

/// What a query says of whom it is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientSubnet<'m> {
    /// As in the address family numbers: 1 for IPv4, 2 for IPv6.
    family: u8,
    source_len: u8,
    /// As many bytes as the prefix takes.
    prefix: &'m [u8],
}

impl<'m> ClientSubnet<'m> {
    /// Reads the option's data; `None` where that is not as [RFC 7871 §6](https://www.rfc-editor.org/rfc/rfc7871#section-6) has it.
    pub fn read(data: &'m [u8]) -> Option<Self> {
        let (&[family_high, family, source_len, scope_len], prefix) =
            data.split_first_chunk::<FIXED_LEN>()?;
        let bits = match (family_high, family) {
            (0, 1) => 32,
            (0, 2) => 128,
            _ => return None,
        };
        let is_exact = prefix.len() == usize::from(source_len).div_ceil(8);
        let unused = source_len.wrapping_neg() % 8;
        let is_zero_behind = prefix
            .last()
            .is_none_or(|last| last & ((1 << unused) - 1) == 0);
        (source_len <= bits && scope_len == 0 && is_exact && is_zero_behind).then_some(Self {
            family,
            source_len,
            prefix,
        })
    }

    /// That of a query whose [`Edns`](crate::answer::Edns) says that it has one; `None` where it is not as it has to be.
    ///
    /// Queries with one are few, and those whose subnet counts fewer: it is looked for again where it does.
    pub fn of_query(query: &Query<'_>, message: &'m [u8]) -> Option<Self> {
        let record = message.get(HEADER_LEN + query.question.len()..)?;
        let is_opt = record.starts_with(OPT_START);
        let data = is_opt
            .then(|| option(record, OPTION_CLIENT_SUBNET))
            .flatten()?;
        Self::read(data)
    }

    /// The first address of the subnet.
    pub fn address(&self) -> IpAddr {
        if self.family == 1 {
            Ipv4Addr::from(self.octets()).into()
        } else {
            Ipv6Addr::from(self.octets()).into()
        }
    }

    /// How many bits of the address were said.
    pub fn source_len(&self) -> u8 {
        self.source_len
    }

    /// What the option takes of an answer, in bytes.
    pub fn option_len(&self) -> usize {
        OPTION_HEADER_LEN + FIXED_LEN + self.prefix.len()
    }

    fn octets<const LEN: usize>(&self) -> [u8; LEN] {
        let mut octets = [0; LEN];
        octets[..self.prefix.len()].copy_from_slice(self.prefix);
        octets
    }
}

/// Adds the option that says for whom an answer holds, by so many bits of the address, to the message in `out` that ends with an
/// OPT record of `opt_bytes`. Returns how long the record is.
pub fn add_client_subnet(
    subnet: &ClientSubnet<'_>,
    scope_len: u8,
    opt_bytes: usize,
    out: &mut Vec<u8>,
) -> usize {
    let length = u16::try_from(FIXED_LEN + subnet.prefix.len()).expect("an address is short");
    let mut option = SmallVec::<[u8; 24]>::new();
    option.extend(OPTION_CLIENT_SUBNET.to_be_bytes());
    option.extend(length.to_be_bytes());
    option.extend([0, subnet.family, subnet.source_len, scope_len]);
    option.extend_from_slice(subnet.prefix);
    add_option(&option, opt_bytes, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_and_part_addresses_and_nothing_else() {
        for (data, expected) in [
            (&[0, 1, 32, 0, 10, 1, 0, 5][..], Some("10.1.0.5")),
            (&[0, 1, 20, 0, 10, 1, 16], Some("10.1.16.0")),
            (&[0, 1, 0, 0], Some("0.0.0.0")),
            (&[0, 2, 32, 0, 0x20, 1, 0x0d, 0xb8], Some("2001:db8::")),
            (&[0, 1, 20, 0, 10, 1, 17], None),
            (&[0, 1, 33, 0, 10, 1, 0, 5, 0], None),
            (&[0, 1, 24, 0, 10, 1], None),
            (&[0, 1, 24, 8, 10, 1, 0], None),
            (&[0, 3, 0, 0], None),
            (&[0, 1, 0], None),
        ] {
            let address = ClientSubnet::read(data).map(|subnet| subnet.address());
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(address, expected, "{data:?}");
        }
    }
}
