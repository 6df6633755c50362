use super::{
    services::{write_pointer, write_services},
    write::{Written, write_message},
};
use crate::answer::{Answer, Outcome, Query};

/// Appends the message that answers `query`, at most `limit_bytes` of it.
///
/// What does not fit is left out as a whole and TC set: header, question and OPT remain, be the limit even less
/// ([RFC 2181 §9]). AD, RA, CD and Z are clear.
///
/// [RFC 2181 §9]: https://www.rfc-editor.org/rfc/rfc2181#section-9
#[inline] // It only leads on.
pub fn write(
    query: &Query<'_>,
    answer: &Answer<'_>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    match &answer.outcome {
        Outcome::Services(services) => write_services(query, answer, services, limit_bytes, out),
        Outcome::Pointer(pointer) => write_pointer(query, answer, pointer, limit_bytes, out),
        _ => write_message(query, answer, limit_bytes, out),
    }
}
