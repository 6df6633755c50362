use super::{
    AD, CD, HEADER_LEN, MAX_UDP_BYTES, OPTION_EXTENDED_ERROR, QR, RA, RD, TC,
    upstream::{Extent, UpstreamReply},
    write::{OPT_FIXED_LEN, push_opt, push_option},
};
use crate::{answer::Query, dns::Rcode};

/// The TTL of what is passed on beyond its lifetime ([RFC 8767 §4](https://www.rfc-editor.org/rfc/rfc8767#section-4)).
pub(super) const STALE_TTL: u32 = 30;

/// How the option says so that tells more of an error ([RFC 8914 §4.4, §4.20](https://www.rfc-editor.org/rfc/rfc8914)).
pub(super) const STALE_ANSWER: u16 = 3;
const STALE_NO_NAME: u16 = 19;
const STALE_ERROR_LEN: usize = 6;

/// How old a reply is that is passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Age {
    /// So many seconds, within its lifetime: the TTLs are that much shorter.
    Fresh(u32),
    /// Older than it should be; passed on because nobody has a newer one.
    Stale,
}

/// What [`relay`] appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Relayed {
    /// The response code that the client gets.
    pub rcode: u16,
    /// Whether TC is set.
    pub truncated: bool,
    /// How many bytes at the end are the OPT record's; 0 where there is none.
    pub opt_bytes: usize,
}

/// Appends an upstream's `reply` as the answer to a client's `query`, which stands in `message`.
///
/// Id, question and its case, RD and CD are the client's; AA is clear, for we do not speak for the zone; RA is set; AD is
/// passed on to those who understand it ([RFC 6840 §5.8]). Response codes that have no place in the header are between two
/// neighbours, and become SERVFAIL.
///
/// Where not everything fits `limit_bytes`, the additional section goes first, then what nobody needs of the authority
/// section; then all records, and TC is set ([RFC 2181 §9]). A limit above [`MAX_UDP_BYTES`] is a stream's, where TC would say
/// that there is nothing: what does not fit there, or was cut by the upstream, is SERVFAIL.
///
/// [RFC 2181 §9]: https://www.rfc-editor.org/rfc/rfc2181#section-9
/// [RFC 6840 §5.8]: https://www.rfc-editor.org/rfc/rfc6840#section-5.8
pub fn relay(
    query: &Query<'_>,
    message: &[u8],
    reply: &UpstreamReply,
    age: Age,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Relayed {
    let asked = u16::from_be_bytes([message[2], message[3]]);
    let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
    let is_stale = age == Age::Stale;
    let fixed_len = HEADER_LEN + query.question.len() + query.edns.map_or(0, |_| OPT_FIXED_LEN);
    let mut extents = reply.extents.iter();
    let fitting = extents.find(|extent| fixed_len + usize::from(extent.length) <= limit_bytes);
    let is_cut = reply.truncated || fitting.is_none();
    let is_stream = limit_bytes > MAX_UDP_BYTES;
    let extent = match fitting {
        Some(extent) if !(is_cut && is_stream) => *extent,
        _ => Extent::default(),
    };
    let rcode = if is_cut && is_stream || reply.rcode > 0xf {
        Rcode::ServFail as u16
    } else {
        reply.rcode
    };
    let truncated = is_cut && !is_stream;

    let mut flags = QR | RA | asked & (RD | CD) | rcode;
    if reply.authentic && (dnssec_ok || asked & AD != 0) {
        flags |= AD;
    }
    if truncated {
        flags |= TC;
    }
    let counts = extent.counts;
    let opts = u16::from(query.edns.is_some());
    for field in [query.id, flags, 1, counts[0], counts[1], counts[2] + opts] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(query.question);
    push_records(reply, extent, age, out);
    let opt_at = out.len();
    if query.edns.is_some() {
        let options_len = reply.extended_errors.len() + if is_stale { STALE_ERROR_LEN } else { 0 };
        let options_fit = fixed_len + options_len + usize::from(extent.length) <= limit_bytes;
        push_opt(
            out,
            rcode,
            dnssec_ok,
            if options_fit { options_len } else { 0 },
        );
        if options_fit {
            out.extend_from_slice(&reply.extended_errors);
        }
        if options_fit && is_stale {
            let no_name = reply.rcode == Rcode::NxDomain as u16;
            let error = if no_name { STALE_NO_NAME } else { STALE_ANSWER };
            push_option(out, OPTION_EXTENDED_ERROR, &error.to_be_bytes());
        }
    }
    Relayed {
        rcode,
        truncated,
        opt_bytes: out.len() - opt_at,
    }
}

/// Sets RA in an answer that stands in `message`; nothing where there is none.
pub fn set_recursion_available(message: &mut [u8]) {
    let [_, low] = RA.to_be_bytes();
    if let Some(flags) = message.get_mut(3) {
        *flags |= low;
    }
}

/// The TTLs stand in the order of the records.
fn push_records(reply: &UpstreamReply, extent: Extent, age: Age, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&reply.records[..usize::from(extent.length)]);
    let count: usize = extent.counts.map(usize::from).iter().sum();
    for &at in &reply.ttl_at[..count] {
        let at = start + usize::from(at);
        let field = out[at..]
            .first_chunk_mut::<4>()
            .expect("a TTL stands in the records");
        let ttl = match age {
            Age::Fresh(0) => return,
            Age::Fresh(seconds) => u32::from_be_bytes(*field).saturating_sub(seconds),
            Age::Stale => STALE_TTL,
        };
        *field = ttl.to_be_bytes();
    }
}
