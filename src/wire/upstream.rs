//! The other side of a forwarder: a question to an upstream server, and its reply, written anew in a form that every client
//! can read.

mod layout;
mod left_out;
mod names;
mod records;

use self::records::{Ending, Sections, WrittenRecords};
use super::{
    AA, AD, CD, HEADER_LEN, OPCODE, OPTION_EXTENDED_ERROR, QR, RA, RD, TC,
    write::{OPT_FIXED_LEN, OPTION_HEADER_LEN, push_opt, push_option},
};
use crate::{
    answer::Query,
    dns::{Class, Rcode, RecordType},
};

/// The option that carries the marks of those through whom a question went: the first of those for local use
/// ([RFC 6891 §9]). A question that comes back to one of them is known by it.
///
/// [RFC 6891 §9]: https://www.rfc-editor.org/rfc/rfc6891#section-9
const OPTION_MARKS: u16 = 65_001;

/// What extended errors of a reply are kept at most, in bytes; the rest is left out.
const MAX_EXTENDED_ERRORS: usize = 256;

/// An info code of extended errors: no upstream could be reached.
const NO_REACHABLE_AUTHORITY: u16 = 22;

/// A question to an upstream server.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamQuestion<'q> {
    /// The message's id, which nobody else can guess.
    pub id: u16,
    /// The name in lower-case wire form.
    pub name: &'q [u8],
    /// The type asked for.
    pub record_type: RecordType,
    /// DO: DNSSEC records are wished for.
    pub dnssec_ok: bool,
    /// CD: the upstream is not to validate.
    pub checking_disabled: bool,
    /// The marks of those who asked before, and of this process. Empty for an OPT record without options, for servers that
    /// don't bear ours; `None` for no OPT record, for those that don't know it.
    pub marks: Option<&'q [u8]>,
}

/// How many bytes stand for one process. They are random.
pub const MARK_LEN: usize = 16;

/// An upstream's reply, free of what is between two neighbours only: id, flags, OPT. Names are compressed, and what nobody
/// needs comes last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamReply {
    /// The response code, the upper bits of the OPT record included.
    pub rcode: u16,
    /// TC, or the reply ends before its records do. Only the answers that are whole are kept of such a reply.
    pub truncated: bool,
    /// For how many seconds the reply may be kept; 0 where it may not ([RFC 2308](https://www.rfc-editor.org/rfc/rfc2308)).
    pub lifetime_seconds: u32,
    /// What the answer and authority sections say.
    pub content: Content,
    /// AD: the upstream says that the data is authentic.
    pub(super) authentic: bool,
    /// What may be passed on: everything, the same without the additional section, and without what nobody needs of the
    /// authority section, too.
    pub(super) extents: [Extent; 3],
    /// The records. Their compression pointers count from the start of a message whose question is as long as the one
    /// that was asked.
    pub(super) records: Box<[u8]>,
    /// Where in `records` the TTLs are.
    pub(super) ttl_at: Box<[u16]>,
    /// Options that tell more of an error, each with its code and length.
    pub(super) extended_errors: Box<[u8]>,
}

/// What a reply says, by its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// Records of the asked type, or what is told apart no further: failures, and replies that were cut.
    Data {
        /// Whether they stand behind aliases.
        is_aliased: bool,
    },
    /// No such name, or no such data ([RFC 2308 §2](https://www.rfc-editor.org/rfc/rfc2308#section-2)).
    Negative {
        /// Whether that is said of a name that the asked one is an alias of.
        is_aliased: bool,
    },
    /// Aliases without an end: neither data of the last one nor an SOA that says that there is none. Whoever asked has
    /// to ask on.
    OnlyAliases,
    /// Nothing: it is empty, and its sender neither looks names up nor speaks for the zone.
    Nothing,
}

/// A first part of the records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Extent {
    /// How many records each section has.
    pub(super) counts: [u16; 3],
    /// How many bytes they take.
    pub(super) length: u16,
}

impl UpstreamReply {
    /// SERVFAIL in place of a reply that nobody gave, which says so to those who understand
    /// ([RFC 8914 §4.23](https://www.rfc-editor.org/rfc/rfc8914#section-4.23)).
    pub fn none() -> Self {
        let mut extended_errors = Vec::new();
        push_option(
            &mut extended_errors,
            OPTION_EXTENDED_ERROR,
            &NO_REACHABLE_AUTHORITY.to_be_bytes(),
        );
        Self {
            extended_errors: extended_errors.into(),
            ..Self::empty(Rcode::ServFail as u16)
        }
    }

    /// SERVFAIL for a question that leads nowhere.
    pub fn failed() -> Self {
        Self::empty(Rcode::ServFail as u16)
    }

    fn empty(rcode: u16) -> Self {
        Self {
            rcode,
            truncated: false,
            lifetime_seconds: 0,
            content: Content::Data { is_aliased: false },
            authentic: false,
            extents: [Extent::default(); 3],
            records: Box::default(),
            ttl_at: Box::default(),
            extended_errors: Box::default(),
        }
    }

    /// Whether another upstream could not do better: the reply says what there is, or that there is nothing, and is whole.
    pub fn settles(&self) -> bool {
        !self.truncated && self.content != Content::Nothing && !is_failure(self.rcode)
    }

    /// Whether the reply says that there is no such name or no such data.
    pub fn is_negative(&self) -> bool {
        matches!(self.content, Content::Negative { .. })
    }

    /// Whether the asked name is an alias, and the question was not about that.
    pub fn has_aliases(&self) -> bool {
        matches!(
            self.content,
            Content::OnlyAliases
                | Content::Data { is_aliased: true }
                | Content::Negative { is_aliased: true }
        )
    }

    /// How much memory the reply takes, besides its own size.
    pub fn heap_bytes(&self) -> usize {
        self.records.len() + 2 * self.ttl_at.len() + self.extended_errors.len()
    }
}

/// Whether a response code says neither what there is nor that there is nothing.
fn is_failure(rcode: u16) -> bool {
    rcode != Rcode::NoError as u16 && rcode != Rcode::NxDomain as u16
}

/// Why a message is not the reply to a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotTheReply {
    /// It is no response, or has another id or question: somebody else's, or a forgery. The reply may still come.
    Foreign,
    /// It has the id and the question, and can't be read.
    Malformed,
}

/// Appends the message that asks `question`, with RD and AD: the latter says that AD in the reply is understood
/// ([RFC 6840 §5.7](https://www.rfc-editor.org/rfc/rfc6840#section-5.7)).
pub fn write_question(question: &UpstreamQuestion<'_>, out: &mut Vec<u8>) {
    let flags = RD | AD | if question.checking_disabled { CD } else { 0 };
    let additionals = u16::from(question.marks.is_some());
    for field in [question.id, flags, 1, 0, 0, additionals] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(question.name);
    out.extend_from_slice(&question.record_type.0.to_be_bytes());
    out.extend_from_slice(&Class::IN.0.to_be_bytes());
    match question.marks {
        None => {}
        Some([]) => push_opt(out, 0, question.dnssec_ok, 0),
        Some(marks) => {
            push_opt(out, 0, question.dnssec_ok, OPTION_HEADER_LEN + marks.len());
            push_option(out, OPTION_MARKS, marks);
        }
    }
}

/// Whether the client's query asks for data that nobody has validated ([RFC 4035 §3.2.2]).
///
/// `message` is one that [`super::parse()`] takes.
///
/// [RFC 4035 §3.2.2]: https://www.rfc-editor.org/rfc/rfc4035#section-3.2.2
pub fn checking_disabled(message: &[u8]) -> bool {
    u16::from_be_bytes([message[2], message[3]]) & CD != 0
}

/// The marks in `message`, the one that `query` was read from: the servers that the question has come through already.
pub fn marks<'m>(query: &Query<'_>, message: &'m [u8]) -> &'m [u8] {
    let opt = &message[HEADER_LEN + query.question.len()..];
    let options = match opt.get(OPT_FIXED_LEN..) {
        Some(options) if opt.starts_with(b"\0\0\x29") => options,
        _ => return &[],
    };
    let mut found = walk(options).filter(|(code, _)| *code == OPTION_MARKS);
    found.next().map_or(&[], |(_, marks)| marks)
}

/// The options of an OPT record, each as its code and data, up to the first that is not whole.
fn walk(mut options: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[code_high, code_low, len_high, len_low], rest) = options.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([len_high, len_low]));
        let (data, behind) = rest.split_at_checked(length)?;
        options = behind;
        Some((u16::from_be_bytes([code_high, code_low]), data))
    })
}

/// Reads a message of a stream as the reply to `question`, as [`read_reply`] does; but that one which ends before its records
/// do is malformed.
///
/// # Errors
///
/// [`NotTheReply`].
pub fn read_whole_reply(
    message: &[u8],
    question: &UpstreamQuestion<'_>,
) -> Result<UpstreamReply, NotTheReply> {
    let reply = read_reply(message, question)?;
    let says_so = u16::from_be_bytes([message[2], message[3]]) & TC != 0;
    if reply.truncated && !says_so {
        return Err(NotTheReply::Malformed);
    }
    Ok(reply)
}

/// Reads `message` as the reply to `question`.
///
/// A referral is SERVFAIL: it is no answer for those who wish names to be looked up ([RFC 1034 §5.3.3]). Of a failure, records
/// that can't be read are left out. An echo of the question is FORMERR.
///
/// # Errors
///
/// [`NotTheReply`], which says whether it is worth waiting for another message.
///
/// [RFC 1034 §5.3.3]: https://www.rfc-editor.org/rfc/rfc1034#section-5.3.3
pub fn read_reply(
    message: &[u8],
    question: &UpstreamQuestion<'_>,
) -> Result<UpstreamReply, NotTheReply> {
    let (header, body) = message
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(NotTheReply::Foreign)?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = field(2);
    if field(0) != question.id || flags & (QR | OPCODE) != QR {
        return Err(NotTheReply::Foreign);
    }
    let mut reply = UpstreamReply::empty(flags & 0xf);
    if body.is_empty() && is_failure(reply.rcode) {
        // The counts are often those of the question.
        return Ok(reply);
    }
    let records_at = match field(4) {
        0 => HEADER_LEN,
        1 => HEADER_LEN + question_len(body, question).ok_or(NotTheReply::Foreign)?,
        _ => return Err(NotTheReply::Foreign),
    };
    let mut sections = Sections::read(message, records_at, [field(6), field(8), field(10)]);
    let mut is_echo = false;
    if let Some(opt) = &sections.opt {
        let [upper, ..] = opt.ttl.to_be_bytes();
        reply.rcode |= u16::from(upper) << 4;
        reply.extended_errors = extended_errors(opt.data).into();
        is_echo = question
            .marks
            .is_some_and(|marks| walk(opt.data).any(|option| option == (OPTION_MARKS, marks)));
    }
    if records_at == HEADER_LEN {
        // Servers leave the question out where they could not read it.
        return if is_failure(reply.rcode) {
            Ok(reply)
        } else {
            Err(NotTheReply::Foreign)
        };
    }
    reply.truncated = flags & TC != 0;
    if !is_failure(reply.rcode) {
        reply.truncated |= sections.ending == Ending::Cut;
        let speaks = flags & (AA | RA) != 0;
        if is_echo && sections.is_empty() && !reply.truncated {
            return Ok(UpstreamReply::empty(Rcode::FormErr as u16));
        }
        if reply.rcode == 0 && !speaks && sections.refer() {
            reply.rcode = Rcode::ServFail as u16;
            return Ok(reply);
        }
        if !reply.truncated {
            reply.content = content(reply.rcode, &sections, question.record_type, speaks);
        }
    }
    reply.authentic = flags & AD != 0;
    if reply.truncated {
        sections.authorities.clear();
        sections.additionals.clear();
    }
    let is_positive = reply.rcode == 0 && sections.answer(question.record_type);
    let negative_ttl = sections.negative_ttl().filter(|_| !is_positive);
    let is_readable = sections.ending == Ending::Whole || reply.truncated;
    let written = is_readable
        .then(|| records::write(message, &sections, question.name, negative_ttl))
        .flatten();
    match written {
        Some(written) => {
            if (is_positive || negative_ttl.is_some()) && reply.settles() {
                reply.lifetime_seconds = written.least_ttl.unwrap_or(0);
            }
            reply.hold(written);
        }
        None if is_failure(reply.rcode) => {}
        None => return Err(NotTheReply::Malformed),
    }
    Ok(reply)
}

/// What the records of a whole reply say that is no failure; its sender `speaks` where it looks names up, or speaks for the
/// zone.
fn content(rcode: u16, sections: &Sections<'_>, asked: RecordType, speaks: bool) -> Content {
    let is_aliased = sections.alias(asked);
    if rcode == Rcode::NxDomain as u16 {
        Content::Negative { is_aliased }
    } else if sections.answer(asked) {
        Content::Data { is_aliased }
    } else if sections.negative_ttl().is_some() {
        Content::Negative { is_aliased }
    } else if is_aliased {
        Content::OnlyAliases
    } else if !sections.answers.is_empty() {
        Content::Data { is_aliased }
    } else if !speaks && sections.is_empty() {
        Content::Nothing
    } else {
        Content::Negative { is_aliased }
    }
}

impl UpstreamReply {
    fn hold(&mut self, written: WrittenRecords) {
        self.extents = written.extents;
        self.records = written.records;
        self.ttl_at = written.ttl_at;
    }
}

/// The length of the question, where that is the one that was asked: names compare without regard to case.
fn question_len(body: &[u8], question: &UpstreamQuestion<'_>) -> Option<usize> {
    let (name, rest) = body.split_at_checked(question.name.len())?;
    let [type_high, type_low] = question.record_type.0.to_be_bytes();
    let [class_high, class_low] = Class::IN.0.to_be_bytes();
    let is_asked = name.eq_ignore_ascii_case(question.name)
        && rest.starts_with(&[type_high, type_low, class_high, class_low]);
    is_asked.then_some(name.len() + 4)
}

/// The options that tell more of an error, as they stand in an OPT record's data.
fn extended_errors(options: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (code, data) in walk(options) {
        let fits = kept.len() + OPTION_HEADER_LEN + data.len() <= MAX_EXTENDED_ERRORS;
        let has_code = data.len() >= 2;
        if code == OPTION_EXTENDED_ERROR && has_code && fits {
            push_option(&mut kept, code, data);
        }
    }
    kept
}
