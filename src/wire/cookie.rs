use super::{
    OPTION_COOKIE, QR, RD, Written,
    write::{OPT_FIXED_LEN, OPTION_HEADER_LEN, add_option, push_opt},
};
use crate::{answer::Edns, dns::Rcode};

/// The length of a client's part of a cookie ([RFC 7873 §4](https://www.rfc-editor.org/rfc/rfc7873#section-4)).
pub const CLIENT_COOKIE_LEN: usize = 8;

/// The length of a cookie with our server's part.
pub const COOKIE_LEN: usize = 24;

/// What the option that carries such a cookie takes of an answer, in bytes.
pub const COOKIE_OPTION_LEN: usize = OPTION_HEADER_LEN + COOKIE_LEN;

/// A cookie as it is sent: the client's part and ours.
pub type Cookie = [u8; COOKIE_LEN];

/// A query without a question that asks for a cookie alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieQuery<'m> {
    /// The message's id.
    pub id: u16,
    /// The message's flags.
    pub flags: u16,
    /// What the OPT record says.
    pub edns: Edns,
    /// The client's cookie, with a server's part or without.
    pub cookie: &'m [u8],
}

/// Whether a cookie in a query may be so long: a client's part, alone or with a server's of 8 to 32 bytes.
pub(super) fn can_be_cookie(length: usize) -> bool {
    matches!(length, CLIENT_COOKIE_LEN | 16..=40)
}

/// Appends the reply to `query`: nothing but an OPT record with `cookie`.
pub fn write_cookie(
    query: &CookieQuery<'_>,
    rcode: Rcode,
    cookie: &Cookie,
    out: &mut Vec<u8>,
) -> Written {
    let start = out.len();
    let flags = QR | query.flags & RD | rcode as u16 & 0xf;
    let header = [query.id, flags, 0, 0, 0, 1];
    out.extend_from_slice(header.map(u16::to_be_bytes).as_flattened());
    push_opt(out, rcode as u16, query.edns.dnssec_ok, 0);
    let opt_bytes = add_cookie(cookie, OPT_FIXED_LEN, out);
    Written {
        bytes: out.len() - start,
        truncated: false,
        opt_bytes,
    }
}

/// Adds `cookie` to the message in `out` that ends with an OPT record of `opt_bytes`; nothing where there is none. Returns how
/// long the record is.
pub fn add_cookie(cookie: &Cookie, opt_bytes: usize, out: &mut Vec<u8>) -> usize {
    let mut option = [0; COOKIE_OPTION_LEN];
    option[..2].copy_from_slice(&OPTION_COOKIE.to_be_bytes());
    let length = u16::try_from(COOKIE_LEN).expect("24 bytes");
    option[2..OPTION_HEADER_LEN].copy_from_slice(&length.to_be_bytes());
    option[OPTION_HEADER_LEN..].copy_from_slice(cookie);
    add_option(&option, opt_bytes, out)
}
