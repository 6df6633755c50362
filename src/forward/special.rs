//! Names that nobody is asked about, because what others say of them is wrong here, or must not leave.
//!
//! | Name, and all below it | Answer | By |
//! | --- | --- | --- |
//! | `localhost` | A `127.0.0.1`, AAAA `::1`, no other data | [RFC 6761 §6.3] |
//! | `resolver.arpa` | no data: what an upstream says there leads clients past this server | [RFC 9462 §6.4] |
//! | `invalid` | no such name | [RFC 6761 §6.4] |
//! | `onion` | no such name: a name of Tor's that leaves tells where somebody goes | [RFC 7686 §2] |
//!
//! Others of their kind go upstream: `test`, `local` and `home.arpa` are in use inside of organisations, and reverse zones of
//! private networks ([RFC 6303]) are what an organisation's own servers answer.
//!
//! [RFC 6303]: https://www.rfc-editor.org/rfc/rfc6303
//! [RFC 6761 §6.3]: https://www.rfc-editor.org/rfc/rfc6761#section-6.3
//! [RFC 6761 §6.4]: https://www.rfc-editor.org/rfc/rfc6761#section-6.4
//! [RFC 7686 §2]: https://www.rfc-editor.org/rfc/rfc7686#section-2
//! [RFC 9462 §6.4]: https://www.rfc-editor.org/rfc/rfc9462#section-6.4

use crate::{
    dns::{Name, RecordType},
    wire::Local,
};

/// The data of an A and of an AAAA record of `localhost`.
const LOOPBACK_V4: &[u8] = &[127, 0, 0, 1];
const LOOPBACK_V6: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// What kind of name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Loopback,
    NoData,
    NoName,
}

/// The names in wire form, and the RFC that says so.
const SPECIAL: [(&[u8], Kind, &str); 4] = [
    (b"\x09localhost\0", Kind::Loopback, "RFC 6761"),
    (b"\x08resolver\x04arpa\0", Kind::NoData, "RFC 9462"),
    (b"\x07invalid\0", Kind::NoName, "RFC 6761"),
    (b"\x05onion\0", Kind::NoName, "RFC 7686"),
];

/// What is answered for `name`, in lower-case wire form, and where in it the name of the table begins; `None` for all that
/// others answer. `domains` are those that upstreams are named for: one at or below a name that does not exist is asked for
/// all the same.
pub(super) fn answer<'d>(
    name: &[u8],
    record_type: RecordType,
    domains: impl Iterator<Item = &'d Name>,
) -> Option<(Local<'static>, usize)> {
    let (apex, kind, _) = find(name, domains)?;
    let local = match (kind, record_type) {
        (Kind::Loopback, RecordType::A) => Local::Data(LOOPBACK_V4),
        (Kind::Loopback, RecordType::AAAA) => Local::Data(LOOPBACK_V6),
        (Kind::Loopback | Kind::NoData, _) => Local::NoData,
        (Kind::NoName, _) => Local::NoName,
    };
    Some((local, name.len() - apex.len()))
}

/// The RFC that keeps `name` from upstreams; `None` where they are asked about it.
pub(super) fn rfc<'d>(
    name: &[u8],
    domains: impl Iterator<Item = &'d Name>,
) -> Option<&'static str> {
    find(name, domains).map(|(_, _, rfc)| rfc)
}

fn find<'d>(
    name: &[u8],
    domains: impl Iterator<Item = &'d Name>,
) -> Option<(&'static [u8], Kind, &'static str)> {
    let is_at = |(apex, _, _): &&(&[u8], Kind, &str)| is_below(name, apex);
    let &(apex, kind, rfc) = SPECIAL.iter().find(is_at)?;
    let is_asked =
        |domain: &Name| is_below(domain.as_wire(), apex) && is_below(name, domain.as_wire());
    let is_special = kind != Kind::NoName || !{ domains }.any(is_asked);
    is_special.then_some((apex, kind, rfc))
}

/// Whether a label begins at `at`, and not only a byte like its length.
fn begins_label(name: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start < at {
        start += 1 + usize::from(name[start]);
    }
    start == at
}

fn is_below(name: &[u8], domain: &[u8]) -> bool {
    name.ends_with(domain) && begins_label(name, name.len() - domain.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, record_type: RecordType, expected: Option<Local<'_>>) {
        let name = Name::from_text(name).expect("a name");
        let domains = ["tor.onion", "corp.test"].map(|text| Name::from_text(text).expect("a name"));
        let found = answer(name.as_wire(), record_type, domains.iter());
        assert_eq!(found.map(|(local, _)| local), expected, "{name}");
    }

    #[test]
    fn special_names() {
        const TXT: RecordType = RecordType::TXT;
        check("localhost", RecordType::A, Some(Local::Data(LOOPBACK_V4)));
        check(
            "a.b.localhost",
            RecordType::AAAA,
            Some(Local::Data(LOOPBACK_V6)),
        );
        check("localhost", TXT, Some(Local::NoData));
        check("notlocalhost", RecordType::A, None);
        check("localhost.test", RecordType::A, None);
        check("a\tlocalhost", RecordType::A, None);
        check("_dns.resolver.arpa", RecordType(64), Some(Local::NoData));
        check("resolver.arpa", RecordType::A, Some(Local::NoData));
        check("aresolver.arpa", RecordType::A, None);
        check("10.in-addr.arpa", RecordType(12), None);
        check("www.invalid", RecordType::A, Some(Local::NoName));
        check("www.onion", RecordType::A, Some(Local::NoName));
        check("www.tor.onion", RecordType::A, None);
        check("www.ator.onion", RecordType::A, Some(Local::NoName));
        for asked_upstream in ["test", "corp.local", "home.arpa", "example"] {
            check(asked_upstream, RecordType::A, None);
        }
    }
}
