//! Addresses as one label: `10-0-1-11`, `2001-db8--1`.
//!
//! An address has one such label: what reads as one and is written otherwise is none. An IPv6 address is written as
//! [RFC 5952 §4] has it, with `-` for `:`, and a `0` where a dash would begin or end the label.
//!
//! [RFC 5952 §4]: https://www.rfc-editor.org/rfc/rfc5952#section-4

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Eight groups of four digits, and the dashes between them.
const MAX_LEN: usize = 39;

/// The digits of each octet, and how many they are.
static DECIMAL: [[u8; 4]; 256] = {
    let mut all = [[0; 4]; 256];
    let mut octet = 0;
    loop {
        all[octet as usize] = decimal(octet);
        if octet == u8::MAX {
            break all;
        }
        octet += 1;
    }
};

const fn decimal(octet: u8) -> [u8; 4] {
    let hundreds = b'0' + octet / 100;
    let tens = b'0' + octet / 10 % 10;
    let ones = b'0' + octet % 10;
    match octet {
        0..=9 => [ones, 0, 0, 1],
        10..=99 => [tens, ones, 0, 2],
        100.. => [hundreds, tens, ones, 3],
    }
}

/// The label of an address, in wire form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DashedLabel {
    /// The length, then the text.
    bytes: [u8; Self::MAX_WIRE_LEN],
}

impl DashedLabel {
    /// How long a label is at most, with its length.
    pub(super) const MAX_WIRE_LEN: usize = 1 + MAX_LEN;

    /// The label of `address`.
    pub fn of(address: IpAddr) -> Self {
        let mut label = Self {
            bytes: [0; Self::MAX_WIRE_LEN],
        };
        match address {
            IpAddr::V4(address) => label.push_v4(address),
            IpAddr::V6(address) => label.push_v6(address),
        }
        label
    }

    /// The length and the text.
    pub fn as_wire(&self) -> &[u8] {
        &self.bytes[..=usize::from(self.bytes[0])]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[0] += 1;
        self.bytes[usize::from(self.bytes[0])] = byte;
    }

    /// Appends a hexadecimal number, without zeros before it.
    fn push_hexadecimal(&mut self, number: u16) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let length = (u16::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for place in (0..length).rev() {
            self.push(DIGITS[usize::from(number >> (4 * place) & 0xf)]);
        }
    }

    fn push_v4(&mut self, address: Ipv4Addr) {
        let mut end = 0;
        for octet in address.octets() {
            let [digits @ .., length] = DECIMAL[usize::from(octet)];
            // What stands behind the digits is written over, or stays zero as all that is behind the label.
            self.bytes[end..=end + digits.len()][1..].copy_from_slice(&digits);
            end += 1 + usize::from(length);
            self.bytes[end] = b'-';
        }
        self.bytes[end] = 0;
        self.bytes[0] = u8::try_from(end - 1).expect("an address has at most 15 letters");
    }

    fn push_v6(&mut self, address: Ipv6Addr) {
        let groups = address.segments();
        let (start, length) = longest_zeros(groups);
        let mut at = 0;
        while at < groups.len() {
            if length > 1 && at == start {
                if at == 0 {
                    self.push(b'0');
                }
                self.push(b'-');
                at += length;
                if at == groups.len() {
                    self.push(b'-');
                    self.push(b'0');
                }
                continue;
            }
            if at > 0 {
                self.push(b'-');
            }
            self.push_hexadecimal(groups[at]);
            at += 1;
        }
    }
}

/// The longest run of zeros, the first of those that are equally long: where it starts and its length.
fn longest_zeros(groups: [u16; 8]) -> (usize, usize) {
    let mut longest = (0, 0);
    let mut start = 0;
    for (at, group) in groups.into_iter().enumerate() {
        if group != 0 {
            start = at + 1;
        } else if at + 1 - start > longest.1 {
            longest = (start, at + 1 - start);
        }
    }
    longest
}

/// The address that `label`, in lower case and without its length, is the label of.
pub(super) fn address_of(label: &[u8]) -> Option<IpAddr> {
    let is_one = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    if label.len() > MAX_LEN || !label.iter().all(is_one) {
        return None;
    }
    let address = v4_of(label).map(IpAddr::V4).or_else(|| v6_of(label))?;
    (DashedLabel::of(address).as_wire()[1..] == *label).then_some(address)
}

fn v4_of(label: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut groups = label.split(|byte| *byte == b'-');
    for octet in &mut octets {
        *octet = std::str::from_utf8(groups.next()?).ok()?.parse().ok()?;
    }
    groups.next().is_none().then(|| octets.into())
}

fn v6_of(label: &[u8]) -> Option<IpAddr> {
    let mut text = [0; MAX_LEN];
    let text = &mut text[..label.len()];
    for (to, from) in text.iter_mut().zip(label) {
        *to = if *from == b'-' { b':' } else { *from };
    }
    let address: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: &str) {
        let address: IpAddr = address.parse().expect("an address");
        let label = DashedLabel::of(address);
        let (length, text) = label.as_wire().split_first().expect("a length");
        assert_eq!(std::str::from_utf8(text), Ok(expected));
        assert_eq!(usize::from(*length), expected.len());
        assert_eq!(address_of(text), Some(address));
    }

    #[test]
    fn an_address_is_one_label_that_leads_back_to_it() {
        check("10.0.1.11", "10-0-1-11");
        check("255.255.255.255", "255-255-255-255");
        check("0.0.0.0", "0-0-0-0");
        check("2001:db8::1", "2001-db8--1");
        check("::1", "0--1");
        check("fe80::", "fe80--0");
        check("::", "0--0");
        check("1:0:0:2:0:0:0:3", "1-0-0-2--3");
        check("1:0:0:2:3:0:0:4", "1--2-3-0-0-4");
        check("1:2:3:4:5:6:0:8", "1-2-3-4-5-6-0-8");
        check("::ffff:10.0.1.11", "0--ffff-a00-10b");
        check(
            "2001:1234:5678:9abc:def0:1234:5678:9abc",
            "2001-1234-5678-9abc-def0-1234-5678-9abc",
        );
    }

    #[test]
    fn another_spelling_is_no_address() {
        for label in [
            "",
            "-",
            "--",
            "10-0-1",
            "10-0-1-256",
            "010-0-1-11",
            "10-0-1-11-",
            "2001-0db8--1",
            "2001-db8-0--1",
            "--1",
            "1--",
            "0-0-0-0-0-0-0-1",
            "web",
            "10.0.1.11",
            "0123456789012345678901234567890123456789",
        ] {
            assert_eq!(address_of(label.as_bytes()), None, "{label}");
        }
    }
}
