//! The syntax of IP addresses and blocks, as Go's `net/netip` has it.
//!
//! An IPv4-mapped IPv6 address ([RFC 4291 §2.5.5.2]) is the IPv4 address: that is where a packet to it goes, and an AAAA
//! record of it leads nowhere.
//!
//! [RFC 4291 §2.5.5.2]: https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2

use std::net::{IpAddr, Ipv6Addr};

/// An IP address as a manifest can state it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ip {
    /// An address that DNS can answer with.
    Plain(IpAddr),
    /// An IPv6 address with a zone (`fe80::1%eth0`), which means something on one host alone.
    Zoned,
}

/// Reads an IP address, without leading zeros.
pub(super) fn ip(text: &str) -> Option<Ip> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Ip::Plain(address.to_canonical()));
    }
    let (address, zone) = text.split_once('%')?;
    (!zone.is_empty() && address.parse::<Ipv6Addr>().is_ok()).then_some(Ip::Zoned)
}

/// Reads a CIDR block; bits behind the prefix may be set.
pub(super) fn block(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let plain = length == "0"
        || (!length.starts_with('0') && length.bytes().all(|byte| byte.is_ascii_digit()));
    let length = length.parse::<u8>().ok().filter(|_| plain)?;
    if length > full_length(address) {
        return None;
    }
    let canonical = address.to_canonical();
    let mapped_bits = full_length(address) - full_length(canonical);
    // A block that is wider than all mapped addresses holds others, too.
    Some(match length.checked_sub(mapped_bits) {
        Some(length) => (canonical, length),
        None => (address, length),
    })
}

/// The prefix length of a block that holds this address alone.
pub(super) fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = ip(text).map(|ip| match ip {
            Ip::Plain(address) => address.to_string(),
            Ip::Zoned => "zoned".to_owned(),
        });
        assert_eq!(found.as_deref(), expected);
    }

    #[track_caller]
    fn check_block(text: &str, expected: Option<(&str, u8)>) {
        let found = block(text).map(|(address, length)| (address.to_string(), length));
        assert_eq!(
            found
                .as_ref()
                .map(|(address, length)| (&**address, *length)),
            expected
        );
    }

    #[test]
    fn reads_addresses_as_netip_does() {
        check("10.0.0.1", Some("10.0.0.1"));
        check("2001:DB8::1", Some("2001:db8::1"));
        check("::ffff:192.0.2.1", Some("192.0.2.1"));
        check("::ffff:c000:201", Some("192.0.2.1"));
        check("::192.0.2.1", Some("::c000:201"));
        check("fe80::1%eth0", Some("zoned"));
        for text in [
            "",
            "10.0.0",
            "10.0.0.01",
            "10.0.0.256",
            "10.0.0.1 ",
            "fe80::1%",
            "10.0.0.1%a",
            "::1::",
            "[::1]",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn reads_blocks_as_netip_does() {
        check_block("10.0.0.9/24", Some(("10.0.0.9", 24)));
        check_block("::/0", Some(("::", 0)));
        check_block("2001:db8::1/128", Some(("2001:db8::1", 128)));
        check_block("::ffff:192.0.2.1/128", Some(("192.0.2.1", 32)));
        check_block("::ffff:192.0.2.0/120", Some(("192.0.2.0", 24)));
        check_block("::ffff:192.0.2.0/95", Some(("::ffff:192.0.2.0", 95)));
        for text in [
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "fe80::1%a/64",
            "10.0.0.1",
        ] {
            check_block(text, None);
        }
    }
}
