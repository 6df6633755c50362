//! Writes records as messages have them.

use crate::dns::{Class, RecordType, Ttl};

/// The wire form of a name that is the question's: a pointer to offset 12 ([RFC 1035 §4.1.4]).
///
/// [RFC 1035 §4.1.4]: https://www.rfc-editor.org/rfc/rfc1035#section-4.1.4
pub(super) const QUESTION_NAME: [u8; 2] = [0xc0, 0x0c];

/// Owner pointer, type, class, TTL, RDATA length.
pub(super) const FIXED_LEN: usize = 12;

/// How many bytes of answer records a message of 64 KiB holds beside the longest question and a generous OPT record.
pub(super) const MAX_ANSWER_BYTES: usize = 65_535 - 12 - 259 - 512;

/// Appends one record whose owner is the question's name.
///
/// # Panics
///
/// Where `rdata` is longer than 65,535 bytes.
pub(super) fn push_record(out: &mut Vec<u8>, record_type: RecordType, ttl: Ttl, rdata: &[u8]) {
    out.extend(QUESTION_NAME);
    push_behind_owner(out, record_type, ttl, rdata);
}

/// Appends what follows a record's owner name: type, class IN, TTL, RDATA length, RDATA.
pub(super) fn push_behind_owner(
    out: &mut Vec<u8>,
    record_type: RecordType,
    ttl: Ttl,
    rdata: &[u8],
) {
    out.extend(record_type.0.to_be_bytes());
    out.extend(Class::IN.0.to_be_bytes());
    out.extend(ttl.as_secs().to_be_bytes());
    out.extend(
        u16::try_from(rdata.len())
            .expect("RDATA has a 16-bit length")
            .to_be_bytes(),
    );
    out.extend(rdata);
}
