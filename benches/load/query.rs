//! The queries that the bench sends itself, and what it reads of the replies.

use crate::mix::Type;

/// The cookie that queries carry, RFC 7873's client part, as dnsperf takes it and in bytes.
pub(crate) const CLIENT_COOKIE: &str = "6d657368646e733f";
const CLIENT_COOKIE_BYTES: &[u8; 8] = b"meshdns?";

/// What a query and its reply begin with.
const HEADER: usize = 12;

/// A query for `name` in wire form, with its id in the first two bytes. Recursion is desired, as in dnsperf's.
pub(crate) fn query(name: &str, qtype: Type, cookie: bool) -> Vec<u8> {
    let mut query = vec![0x2f, 0x1c, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(cookie)];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, qtype as u8, 0, 1]);
    if cookie {
        // OPT with 1232 bytes and twelve bytes of options: option 10, eight bytes long.
        query.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8]);
        query.extend(CLIENT_COOKIE_BYTES);
    }
    query
}

/// A reply in wire form.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'m>(&'m [u8]);

impl<'m> Reply<'m> {
    /// The message as a reply to `query`, unless it is none.
    pub(crate) fn to(query: &[u8], message: &'m [u8]) -> Option<Self> {
        (message.len() >= HEADER && message[..2] == query[..2]).then_some(Self(message))
    }

    pub(crate) fn rcode(self) -> u8 {
        self.0[3] & 0xf
    }

    pub(crate) fn is_truncated(self) -> bool {
        self.0[2] & 2 != 0
    }

    /// How many records the answer section has.
    pub(crate) fn answers(self) -> u32 {
        u16::from_be_bytes([self.0[6], self.0[7]]).into()
    }

    pub(crate) fn bytes(self) -> usize {
        self.0.len()
    }

    /// Whether a record holds these four bytes and no others.
    pub(crate) fn has_address(self, address: [u8; 4]) -> bool {
        let [a, b, c, d] = address;
        self.contains(&[0, 4, a, b, c, d])
    }

    /// Whether an A record may be kept for so long.
    pub(crate) fn has_ttl(self, seconds: u8) -> bool {
        self.contains(&[0, 1, 0, 1, 0, 0, 0, seconds, 0, 4])
    }

    fn contains(self, bytes: &[u8]) -> bool {
        self.0[HEADER..]
            .windows(bytes.len())
            .any(|window| window == bytes)
    }
}
