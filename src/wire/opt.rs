//! Reads OPT records of queries ([RFC 6891]).
//!
//! [RFC 6891]: https://www.rfc-editor.org/rfc/rfc6891

use super::{
    DNSSEC_OK, OPTION_CLIENT_SUBNET, OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_NSID, OPTION_PADDING,
    cookie::can_be_cookie,
};
use crate::answer::Edns;

/// Owner (the root), type, class, TTL and RDATA length of an OPT record.
const OPT_FIXED_LEN: usize = 11;

/// How an OPT record begins: with the root and its type.
pub(super) const OPT_START: &[u8] = b"\0\0\x29";

/// What an OPT record says.
pub(super) struct Opt<'m> {
    pub(super) edns: Edns,
    /// The data of the first COOKIE option; others say nothing ([RFC 7873 §5]).
    ///
    /// [RFC 7873 §5]: https://www.rfc-editor.org/rfc/rfc7873#section-5
    pub(super) cookie: &'m [u8],
}

/// Reads a whole OPT record of the root. Unknown options and flags are passed over.
pub(super) fn opt(record: &[u8]) -> Option<Opt<'_>> {
    let (fixed, mut options) = record.split_first_chunk::<OPT_FIXED_LEN>()?;
    let field = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    if usize::from(field(9)) != options.len() {
        return None;
    }
    let mut edns = Edns {
        payload_bytes: field(3),
        version: fixed[6],
        dnssec_ok: field(7) & DNSSEC_OK != 0,
        nsid: false,
        padding: false,
        keepalive: false,
        client_subnet: false,
    };
    let mut cookie: &[u8] = &[];
    while !options.is_empty() {
        let (&[code_high, code_low, len_high, len_low], rest) = options.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([len_high, len_low]));
        let (data, behind) = rest.split_at_checked(length)?;
        options = behind;
        let code = u16::from_be_bytes([code_high, code_low]);
        if code == OPTION_COOKIE && cookie.is_empty() {
            if !can_be_cookie(length) {
                return None;
            }
            cookie = data;
        }
        edns.nsid |= code == OPTION_NSID;
        edns.padding |= code == OPTION_PADDING;
        edns.keepalive |= code == OPTION_KEEPALIVE;
        edns.client_subnet |= code == OPTION_CLIENT_SUBNET;
    }
    Some(Opt { edns, cookie })
}

/// The data of the first option with this code in a whole OPT record.
pub(super) fn option(record: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut options = record.get(OPT_FIXED_LEN..)?;
    loop {
        let (&[code_high, code_low, len_high, len_low], rest) = options.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([len_high, len_low]));
        let (data, behind) = rest.split_at_checked(length)?;
        if u16::from_be_bytes([code_high, code_low]) == wanted {
            return Some(data);
        }
        options = behind;
    }
}
