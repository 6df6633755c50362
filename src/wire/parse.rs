use super::{
    CookieQuery, HEADER_LEN, OPCODE, QR, RD,
    name::name_len,
    odd,
    opt::{OPT_START, Opt, opt},
    refusal::Refusal,
};
use crate::{
    answer::Query,
    dns::{Class, MAX_NAME_LEN, RecordType},
    zone::Asker,
};

/// Room for a question's name in lower case. Can be used again when the query is answered.
#[derive(Debug)]
pub struct NameBuffer([u8; Self::LEN]);

impl NameBuffer {
    /// A multiple of [`Self::STEP`] that holds every name.
    const LEN: usize = MAX_NAME_LEN.next_multiple_of(Self::STEP);
    /// Letters are turned by so many bytes at once, which suits the processor better than the exact length.
    const STEP: usize = 16;

    /// Lowers the case of a whole name in wire form.
    fn lower(&mut self, wire: &[u8]) -> &[u8] {
        self.0[..wire.len()].copy_from_slice(wire);
        let steps = wire.len().div_ceil(Self::STEP);
        for step in &mut self.0.as_chunks_mut::<{ Self::STEP }>().0[..steps] {
            // A label's length is at most 63 and so never looks like a letter.
            *step = step.map(|byte| byte.to_ascii_lowercase());
        }
        &self.0[..wire.len()]
    }
}

impl Default for NameBuffer {
    fn default() -> Self {
        Self([0; Self::LEN])
    }
}

/// Reads one message as a query, to be answered with the records that `turn` chooses. `buffer` takes the name.
///
/// # Errors
///
/// A [`Refusal`] for what is no query, or not one that can be answered; [`super::write_refusal`] writes what to send.
pub fn parse<'m>(
    message: &'m [u8],
    turn: u32,
    buffer: &'m mut NameBuffer,
) -> Result<Query<'m>, Refusal<'m>> {
    let Some((header, body)) = message.split_first_chunk::<HEADER_LEN>() else {
        return Err(Refusal::Ignore);
    };
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (id, flags) = (field(0), field(2));
    if flags & QR != 0 {
        return Err(Refusal::Ignore);
    }
    if flags & OPCODE != 0 {
        return Err(Refusal::NotImplemented { id, flags });
    }
    let malformed = |question| Refusal::Malformed {
        id,
        flags,
        question,
    };
    let question_count = field(4);
    let question = match question_count {
        1 => question(body).ok_or(malformed(&[][..]))?,
        0 => return Err(cookie_alone(header, body).unwrap_or(malformed(&[]))),
        _ => return Err(malformed(&[])),
    };
    let rest = &body[question.bytes.len()..];
    let opt = match (field(6), field(8), field(10)) {
        (0, 0, 0) if rest.is_empty() => None,
        (0, 0, 1) if rest.starts_with(OPT_START) => {
            Some(opt(rest).ok_or(malformed(question.bytes))?)
        }
        (0, 0, 0) => return Err(malformed(question.bytes)),
        (answers, authorities, additionals) => {
            let counts = [answers, authorities, additionals];
            let body_at = HEADER_LEN + question.bytes.len();
            match odd::opt_record(message, body_at, counts) {
                Ok(opt) => opt,
                Err(odd::Unanswerable::Malformed) => return Err(malformed(question.bytes)),
                Err(odd::Unanswerable::Signed { at }) => {
                    return Err(Refusal::UnknownKey {
                        id,
                        flags,
                        question: question.bytes,
                        signature: &message[at..],
                    });
                }
            }
        }
    };
    let (edns, cookie) = match opt {
        Some(Opt { edns, cookie }) => (Some(edns), cookie),
        None => (None, &[][..]),
    };
    Ok(Query {
        id,
        recursion_desired: flags & RD != 0,
        name: buffer.lower(question.name()),
        record_type: question.record_type,
        class: question.class,
        question: question.bytes,
        edns,
        cookie,
        turn,
        asker: &Asker::DIRECT,
    })
}

/// Reads a query that has no question and asks for a cookie: nothing but an OPT record stands in it.
#[cold]
fn cookie_alone<'m>(header: &[u8; HEADER_LEN], body: &'m [u8]) -> Option<Refusal<'m>> {
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let is_opt_alone = [field(6), field(8), field(10)] == [0, 0, 1] && body.starts_with(OPT_START);
    let Opt { edns, cookie } = is_opt_alone.then(|| opt(body)).flatten()?;
    // Whatever another version means by it.
    let is_ours = edns.version == 0 && !cookie.is_empty();
    is_ours.then_some(Refusal::CookieAlone(CookieQuery {
        id: field(0),
        flags: field(2),
        edns,
        cookie,
    }))
}

struct Question<'m> {
    bytes: &'m [u8],
    record_type: RecordType,
    class: Class,
}

impl<'m> Question<'m> {
    fn name(&self) -> &'m [u8] {
        &self.bytes[..self.bytes.len() - 4]
    }
}

/// Reads the only question. A compressed name is refused, as NSD and Knot do: it could point into the header only.
fn question(body: &[u8]) -> Option<Question<'_>> {
    let name_len = name_len(body)?;
    let &[type_high, type_low, class_high, class_low] = body.get(name_len..)?.first_chunk()?;
    Some(Question {
        bytes: &body[..name_len + 4],
        record_type: RecordType(u16::from_be_bytes([type_high, type_low])),
        class: Class(u16::from_be_bytes([class_high, class_low])),
    })
}
