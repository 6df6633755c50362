//! The names of addresses in `in-addr.arpa` and `ip6.arpa` ([RFC 1035 §3.5], [RFC 3596 §2.5]).
//!
//! [RFC 1035 §3.5]: https://www.rfc-editor.org/rfc/rfc1035#section-3.5
//! [RFC 3596 §2.5]: https://www.rfc-editor.org/rfc/rfc3596#section-2.5

use std::{fmt::Write as _, net::IpAddr, ops::RangeInclusive};

use crate::dns::Name;

const V4_SUFFIX: &[u8] = b"\x07in-addr\x04arpa\0";
const V6_SUFFIX: &[u8] = b"\x03ip6\x04arpa\0";

/// The name of an address.
pub(super) fn name_of(address: IpAddr) -> Name {
    let mut text = String::new();
    match address {
        IpAddr::V4(address) => {
            for octet in address.octets().into_iter().rev() {
                write!(text, "{octet}.").expect("a string can be written to");
            }
            text.push_str("in-addr.arpa");
        }
        IpAddr::V6(address) => {
            for octet in address.octets().into_iter().rev() {
                write!(text, "{:x}.{:x}.", octet & 0xf, octet >> 4)
                    .expect("a string can be written to");
            }
            text.push_str("ip6.arpa");
        }
    }
    Name::from_text(&text).expect("a short name of short labels")
}

/// The addresses whose names are at or below `name`, which is in lower-case wire form: one, or all with the same first numbers.
pub(super) fn addresses_below(name: &[u8]) -> Option<RangeInclusive<IpAddr>> {
    if let Some(labels) = name.strip_suffix(V4_SUFFIX) {
        let (mut low, mut high) = ([0_u8; 4], [255_u8; 4]);
        each_number(labels, 4, |place, label| {
            let octet: u8 = std::str::from_utf8(label).ok()?.parse().ok()?;
            let is_spelt_so = label == b"0" || !matches!(label.first(), Some(b'0' | b'+'));
            (low[place], high[place]) = (octet, octet);
            is_spelt_so.then_some(())
        })?;
        return Some(IpAddr::from(low)..=IpAddr::from(high));
    }
    let labels = name.strip_suffix(V6_SUFFIX)?;
    let (mut low, mut high) = ([0_u8; 16], [255_u8; 16]);
    each_number(labels, 32, |place, label| {
        let &[digit] = label else { return None };
        let nibble = u8::try_from(char::from(digit).to_digit(16)?).ok()?;
        let shift = if place % 2 == 0 { 4 } else { 0 };
        for octets in [&mut low, &mut high] {
            let octet = &mut octets[place / 2];
            *octet = *octet & !(0xf << shift) | nibble << shift;
        }
        Some(())
    })?;
    Some(IpAddr::from(low)..=IpAddr::from(high))
}

/// Takes each of at most `most` labels, the last first; `None` where there are more, or one can't be taken.
fn each_number(
    labels: &[u8],
    most: usize,
    mut take: impl FnMut(usize, &[u8]) -> Option<()>,
) -> Option<()> {
    let mut starts = [0; 32];
    let mut count = 0;
    let mut at = 0;
    while let Some(length) = labels.get(at) {
        *starts.get_mut(count)? = at;
        count += 1;
        at += 1 + usize::from(*length);
    }
    if count > most {
        return None;
    }
    for (place, start) in starts[..count].iter().rev().enumerate() {
        let length = usize::from(labels[*start]);
        take(place, labels.get(start + 1..start + 1 + length)?)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<(&str, &str)>) {
        let name: Name = name.parse().expect("a name");
        let found = addresses_below(name.as_wire());
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let expected = expected.map(|(low, high)| address(low)..=address(high));
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn names_lead_to_addresses() {
        check("11.1.0.10.in-addr.arpa", Some(("10.0.1.11", "10.0.1.11")));
        check("0.10.in-addr.arpa", Some(("10.0.0.0", "10.0.255.255")));
        check("in-addr.arpa", Some(("0.0.0.0", "255.255.255.255")));
        check(
            "8.b.d.0.1.0.0.2.ip6.arpa",
            Some(("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")),
        );
        check(
            "b.d.0.1.0.0.2.ip6.arpa",
            Some(("2001:db0::", "2001:dbf:ffff:ffff:ffff:ffff:ffff:ffff")),
        );
        for other in [
            "01.1.0.10.in-addr.arpa",
            "256.in-addr.arpa",
            "5.4.3.2.1.in-addr.arpa",
            "g.ip6.arpa",
            "10.ip6.arpa",
            "arpa",
            "x.test",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn addresses_lead_to_names_and_back() {
        for text in ["10.0.1.11", "0.0.0.0", "2001:db8::1", "::"] {
            let address: IpAddr = text.parse().expect("an address");
            let name = name_of(address);
            assert_eq!(
                addresses_below(name.as_wire()),
                Some(address..=address),
                "{name}"
            );
        }
        assert_eq!(
            name_of([10, 0, 1, 11].into()).to_string(),
            "11.1.0.10.in-addr.arpa."
        );
    }
}
