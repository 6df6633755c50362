//! What the mesh knows better than the upstream that was asked.

use crate::{
    answer::{Answer, Outcome, Query},
    dns::Rcode,
    forward::Passed,
    wire,
};

/// Amends the upstream's reply to `query` that stands behind `start` in `out`, where `answer` is the mesh's own.
///
/// A name that exists in the mesh exists, whatever others say: their NXDOMAIN becomes "no data"
/// ([RFC 8020 §2](https://www.rfc-editor.org/rfc/rfc8020#section-2)). And a host of the mesh is no alias: one that leads
/// elsewhere would be followed for addresses, too, and so the mesh's answer takes its place. And where a part of the mesh
/// can't be read, nobody is told that a name has nothing that may be in there.
pub(super) fn amend(
    query: &Query<'_>,
    answer: &Answer<'_>,
    passed: Passed,
    limit_bytes: usize,
    start: usize,
    out: &mut Vec<u8>,
) -> Passed {
    let others = answer.others;
    let is_host = others.is_none_or(|others| others.is_host);
    if others.is_none() || is_host && wire::answers_with_alias(&out[start..]) {
        return replace(query, answer, limit_bytes, start, out);
    }
    let may_be_ours = others.is_some_and(|others| others.may_be_ours);
    if may_be_ours && wire::answers_nothing(&out[start..]) {
        let unknown = Answer {
            outcome: Outcome::NotReady,
            ..*answer
        };
        return replace(query, &unknown, limit_bytes, start, out);
    }
    let exists = others.is_some_and(|others| others.name_exists);
    if exists && passed.rcode == Some(Rcode::NxDomain) {
        wire::clear_rcode(&mut out[start..]);
        return Passed {
            rcode: Some(Rcode::NoError),
            ..passed
        };
    }
    passed
}

/// Writes `answer` in the place of what stands behind `start`.
fn replace(
    query: &Query<'_>,
    answer: &Answer<'_>,
    limit_bytes: usize,
    start: usize,
    out: &mut Vec<u8>,
) -> Passed {
    out.truncate(start);
    let written = wire::write(query, answer, limit_bytes, out);
    Passed {
        rcode: Some(answer.outcome.rcode()),
        truncated: written.truncated,
        opt_bytes: written.opt_bytes,
    }
}
