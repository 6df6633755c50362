use super::{OPCODE, QR, RD};
use crate::dns::Rcode;

/// What is no query, or not one that a snapshot could answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal<'m> {
    /// Too short for a header, or a response: answering could start a loop, so nothing is sent.
    Ignore,
    /// An opcode other than QUERY. The rest of the message may mean anything and is not read.
    NotImplemented {
        /// The message's id.
        id: u16,
        /// The message's flags.
        flags: u16,
    },
    /// A query that breaks the rules of the format.
    Malformed {
        /// The message's id.
        id: u16,
        /// The message's flags.
        flags: u16,
        /// The question section; empty where that can't be read.
        question: &'m [u8],
    },
    /// A query signed with TSIG; no key is known here ([RFC 8945 §5.2.1]).
    ///
    /// [RFC 8945 §5.2.1]: https://www.rfc-editor.org/rfc/rfc8945#section-5.2.1
    UnknownKey {
        /// The message's id.
        id: u16,
        /// The message's flags.
        flags: u16,
        /// The question section.
        question: &'m [u8],
    },
}

impl Refusal<'_> {
    /// The response code; `None` where nothing is sent.
    pub fn rcode(&self) -> Option<Rcode> {
        match self {
            Self::Ignore => None,
            Self::NotImplemented { .. } => Some(Rcode::NotImp),
            Self::Malformed { .. } => Some(Rcode::FormErr),
            Self::UnknownKey { .. } => Some(Rcode::NotAuth),
        }
    }
}

/// Appends what to send for a refused message and returns its response code; `None` where nothing is to be sent.
///
/// The message is a header, and the question where it could be read. It has no OPT record: what can't be read
/// does not say that it would understand one.
pub fn write_refusal(refusal: &Refusal<'_>, out: &mut Vec<u8>) -> Option<Rcode> {
    let rcode = refusal.rcode()?;
    let (id, flags, question): (_, _, &[u8]) = match *refusal {
        Refusal::Ignore => return None,
        Refusal::NotImplemented { id, flags } => (id, flags, &[]),
        Refusal::Malformed {
            id,
            flags,
            question,
        }
        | Refusal::UnknownKey {
            id,
            flags,
            question,
        } => (id, flags, question),
    };
    let flags = QR | flags & (OPCODE | RD) | rcode as u16;
    let question_count = u16::from(!question.is_empty());
    for field in [id, flags, question_count, 0, 0, 0] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(question);
    Some(rcode)
}
