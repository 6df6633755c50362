use super::{CookieQuery, OPCODE, QR, RD, name::name_len};
use crate::dns::Rcode;

/// BADKEY, a TSIG error ([RFC 8945 §3](https://www.rfc-editor.org/rfc/rfc8945#section-3)).
const TSIG_BAD_KEY: u16 = 17;

/// What fits 512 bytes beside the longest question and the fixed parts.
const MAX_BAD_KEY_LEN: usize = 200;

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
    /// A query without a question that asks for a cookie alone ([RFC 7873 §5.4]): [`super::write_cookie`] writes it, and for
    /// servers without cookies the message is malformed.
    ///
    /// [RFC 7873 §5.4]: https://www.rfc-editor.org/rfc/rfc7873#section-5.4
    CookieAlone(CookieQuery<'m>),
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
        /// The TSIG record.
        signature: &'m [u8],
    },
}

impl Refusal<'_> {
    /// The response code; `None` where nothing is sent.
    pub fn rcode(&self) -> Option<Rcode> {
        match self {
            Self::Ignore => None,
            Self::NotImplemented { .. } => Some(Rcode::NotImp),
            Self::Malformed { .. } | Self::CookieAlone(_) => Some(Rcode::FormErr),
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
    let nothing: &[u8] = &[];
    let (id, flags, question, signature) = match *refusal {
        Refusal::Ignore => return None,
        Refusal::NotImplemented { id, flags }
        | Refusal::CookieAlone(CookieQuery { id, flags, .. }) => (id, flags, nothing, None),
        Refusal::Malformed {
            id,
            flags,
            question,
        } => (id, flags, question, None),
        Refusal::UnknownKey {
            id,
            flags,
            question,
            signature,
        } => (id, flags, question, BadKey::read(signature)),
    };
    let flags = QR | flags & (OPCODE | RD) | rcode as u16;
    let questions = u16::from(!question.is_empty());
    let additionals = u16::from(signature.is_some());
    for field in [id, flags, questions, 0, 0, additionals] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(question);
    if let Some(signature) = signature {
        signature.write(id, out);
    }
    Some(rcode)
}

/// What of a query's TSIG record comes back to say that its key is not known ([RFC 8945 §5.2.1], [§4.2]).
///
/// [RFC 8945 §5.2.1]: https://www.rfc-editor.org/rfc/rfc8945#section-5.2.1
/// [§4.2]: https://www.rfc-editor.org/rfc/rfc8945#section-4.2
struct BadKey<'m> {
    /// The key's name, type, class and TTL.
    front: &'m [u8],
    /// The algorithm's name, the time and the fudge.
    algorithm_and_time: &'m [u8],
}

impl<'m> BadKey<'m> {
    /// `None` where a name is compressed, which no signer does, or too long for an answer of 512 bytes.
    fn read(record: &'m [u8]) -> Option<Self> {
        let (front, rest) = record.split_at_checked(name_len(record)? + 8)?;
        let data = rest.get(2..)?;
        let algorithm_and_time = data.get(..name_len(data)? + 8)?;
        (front.len() + algorithm_and_time.len() <= MAX_BAD_KEY_LEN).then_some(Self {
            front,
            algorithm_and_time,
        })
    }

    fn write(&self, id: u16, out: &mut Vec<u8>) {
        let data_len = u16::try_from(self.algorithm_and_time.len() + 8).expect("two names fit");
        out.extend_from_slice(self.front);
        out.extend_from_slice(&data_len.to_be_bytes());
        out.extend_from_slice(self.algorithm_and_time);
        // No signature, and no other data.
        for field in [0, id, TSIG_BAD_KEY, 0] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}
