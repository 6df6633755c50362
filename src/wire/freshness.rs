use super::{HEADER_LEN, name::name_len, record::Record};
use crate::dns::RecordType;

/// For how many seconds an answer may be kept by those who don't read what is in it, as HTTP caches do ([RFC 8484 §5.1]):
/// the least TTL of its answer section; where that is empty, what the SOA in the authority section says of "no such name" and
/// "no such record"; 0 without one.
///
/// `message` is one that this module wrote.
///
/// [RFC 8484 §5.1]: https://www.rfc-editor.org/rfc/rfc8484#section-5.1
pub fn freshness_seconds(message: &[u8]) -> u32 {
    read(message).unwrap_or(0)
}

/// `None` where there is no such record.
fn read(message: &[u8]) -> Option<u32> {
    let field = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?));
    let (questions, answers, authorities) = (field(4)?, field(6)?, field(8)?);
    let mut at = HEADER_LEN;
    for _ in 0..questions {
        at += name_len(message.get(at..)?)? + 4;
    }
    let mut least: Option<u32> = None;
    for _ in 0..answers {
        let record = Record::read(message, at)?;
        at = record.end;
        least = Some(least.map_or(record.ttl, |least| least.min(record.ttl)));
    }
    if least.is_some() {
        return least;
    }
    for _ in 0..authorities {
        let record = Record::read(message, at)?;
        at = record.end;
        if record.kind == RecordType::SOA {
            let minimum = u32::from_be_bytes(*record.data.last_chunk()?);
            return Some(minimum.min(record.ttl));
        }
    }
    None
}
