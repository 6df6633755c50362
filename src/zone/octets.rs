use std::net::IpAddr;

pub(super) const V4_LEN: usize = 4;
pub(super) const V6_LEN: usize = 16;

/// Addresses as RDATA has them, one behind the other.
pub(super) fn octets_of(addresses: &[IpAddr]) -> Box<[u8]> {
    let mut octets = Vec::with_capacity(addresses.len() * V6_LEN);
    for address in addresses {
        match address {
            IpAddr::V4(v4) => octets.extend(v4.octets()),
            IpAddr::V6(v6) => octets.extend(v6.octets()),
        }
    }
    octets.into()
}
