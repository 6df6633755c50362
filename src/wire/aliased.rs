use super::{
    Age, Alias, Written,
    composed::{Composed, QUESTION_NAME, behind},
    relay::{STALE_ANSWER, STALE_TTL},
};
use crate::{
    answer::{Answer, Outcome, Query},
    dns::RecordType,
};

/// Appends the answer to a `query`, which stands in `message`, for a name that is an alias of one of ours
/// ([RFC 1034 §4.3.2], step 3a).
///
/// `aliases` lead there, and are of this `age`; `answer` is what we answer for the last of them. AA is clear, for the answer
/// begins at a name that is not ours, and so is AD. What does not fit `limit_bytes` is left out as a whole and TC set.
///
/// [RFC 1034 §4.3.2]: https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2
pub fn write_aliased(
    query: &Query<'_>,
    message: &[u8],
    aliases: &[Alias],
    age: Age,
    answer: &Answer<'_>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    let mut composed = Composed::new(query, out);
    let mut owner = QUESTION_NAME;
    let mut last: &[u8] = query.name;
    for alias in aliases {
        let ttl_seconds = match age {
            Age::Fresh(seconds) => alias.ttl_seconds.saturating_sub(seconds),
            Age::Stale => STALE_TTL,
        };
        last = alias.target.as_wire();
        owner = composed.answer(owner, RecordType::CNAME, ttl_seconds, last);
    }
    match answer.outcome {
        Outcome::Addresses(addresses) => {
            let addresses = addresses.fit(composed.room_bytes(query, limit_bytes));
            composed.answers(owner, |out| addresses.write(out));
        }
        Outcome::Services(services) => composed.answers(owner, |out| {
            let services = services.records(last);
            for record in services.each(query.asker.locality) {
                record.write(services.ttl(), out);
            }
        }),
        Outcome::Pointer(pointer) => composed.answers(owner, |out| pointer.write(out)),
        Outcome::NameServers { records, .. } | Outcome::Encoded { records, .. } => {
            composed.answers(owner, |out| out.extend_from_slice(records));
        }
        Outcome::Soa(soa) => composed.answers(owner, |out| {
            out.extend_from_slice(&owner.to_be_bytes());
            out.extend_from_slice(soa);
        }),
        Outcome::NoData(soa) | Outcome::NoName(soa) => {
            let apex_at = answer.apex_at.expect("a negative answer has a zone");
            if last[apex_at] == 0 {
                composed.soa(&[0], soa);
            } else {
                composed.soa(&behind(owner, apex_at).to_be_bytes(), soa);
            }
        }
        // Asked with a type that is no one's own; the aliases are all there is.
        _ => {}
    }
    let extended_error = (age == Age::Stale).then_some(STALE_ANSWER);
    composed.finish(
        query,
        message,
        answer.outcome.rcode(),
        false,
        extended_error,
        limit_bytes,
    )
}
