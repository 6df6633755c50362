//! The other side of a forwarder: a question to an upstream server, and its reply, kept in the form in which it came.

use super::{
    AA, AD, CD, HEADER_LEN, OPCODE, OPTION_EXTENDED_ERROR, QR, RD, TC,
    name::name_len,
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

/// A TTL above this stands for 0 ([RFC 2181 §8](https://www.rfc-editor.org/rfc/rfc2181#section-8)).
pub(super) const MAX_TTL: u32 = i32::MAX as u32;

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
    /// The marks of those who asked before, and of this process; `None` for a message without OPT, for servers that don't
    /// know it.
    pub marks: Option<&'q [u8]>,
}

/// How many bytes stand for one process. They are random.
pub const MARK_LEN: usize = 16;

/// An upstream's reply, in the form in which it came and free of what is between two neighbours only: id, flags, OPT.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamReply {
    /// The response code, the upper bits of the OPT record included.
    pub rcode: u16,
    /// TC: the reply was cut.
    pub truncated: bool,
    /// Whether the reply had an OPT record.
    pub has_edns: bool,
    /// For how many seconds the reply may be kept; 0 where it may not ([RFC 2308](https://www.rfc-editor.org/rfc/rfc2308)).
    pub lifetime_seconds: u32,
    /// What the answer and authority sections say.
    pub content: Content,
    /// AD: the upstream says that the data is authentic.
    pub(super) authentic: bool,
    /// How many records each section has.
    pub(super) counts: [u16; 3],
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
    /// Records of the asked type, or nothing that is told apart here.
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
    /// Others are named who might know ([RFC 1034 §4.3.1](https://www.rfc-editor.org/rfc/rfc1034#section-4.3.1)).
    Referral,
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

    /// Whether the reply names others who might know, and says nothing itself.
    pub fn is_referral(&self) -> bool {
        self.content == Content::Referral
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

    fn empty(rcode: u16) -> Self {
        Self {
            rcode,
            truncated: false,
            has_edns: false,
            lifetime_seconds: 0,
            content: Content::Data { is_aliased: false },
            authentic: false,
            counts: [0; 3],
            records: Box::default(),
            ttl_at: Box::default(),
            extended_errors: Box::default(),
        }
    }

    /// How much memory the reply takes, besides its own size.
    pub fn heap_bytes(&self) -> usize {
        self.records.len() + 2 * self.ttl_at.len() + self.extended_errors.len()
    }
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
    if let Some(marks) = question.marks {
        push_opt(out, 0, question.dnssec_ok, OPTION_HEADER_LEN + marks.len());
        push_option(out, OPTION_MARKS, marks);
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

/// The marks in `message`, of which `query` was read: of whom the question has come through already.
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

/// Reads `message` as the reply to `question`.
///
/// # Errors
///
/// [`NotTheReply`], which says whether it is worth waiting for another message.
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
    let counts = [field(6), field(8), field(10)];
    let mut reply = UpstreamReply {
        truncated: flags & TC != 0,
        authentic: flags & AD != 0,
        ..UpstreamReply::empty(flags & 0xf)
    };
    match field(4) {
        // Servers leave the question out where they could not read it.
        0 if reply.rcode != 0 && reply.rcode != 3 && counts == [0; 3] => return Ok(reply),
        1 => {}
        _ => return Err(NotTheReply::Foreign),
    }
    let records = behind_question(body, question).ok_or(NotTheReply::Foreign)?;
    match Records::read(records, counts, question.record_type) {
        Some(read) => {
            read.finish(&mut reply, records, flags & AA != 0);
            Ok(reply)
        }
        // What was cut may end within a record.
        None if reply.truncated => Ok(reply),
        None => Err(NotTheReply::Malformed),
    }
}

/// What stands behind the question, where that is the one that was asked: names compare without regard to case.
fn behind_question<'m>(body: &'m [u8], question: &UpstreamQuestion<'_>) -> Option<&'m [u8]> {
    let (name, rest) = body.split_at_checked(question.name.len())?;
    let (fixed, records) = rest.split_first_chunk::<4>()?;
    let [type_high, type_low] = question.record_type.0.to_be_bytes();
    let [class_high, class_low] = Class::IN.0.to_be_bytes();
    let is_asked = name.eq_ignore_ascii_case(question.name)
        && *fixed == [type_high, type_low, class_high, class_low];
    is_asked.then_some(records)
}

/// What a walk over the records finds.
#[derive(Default)]
struct Records {
    counts: [u16; 3],
    ttl_at: Vec<u16>,
    /// How many bytes are passed on.
    length: usize,
    least_ttl: Option<u32>,
    has_asked_type: bool,
    /// Whether there are aliases, and the question was not about those.
    is_aliased: bool,
    has_name_servers: bool,
    /// The MINIMUM of the SOA in the authority section.
    negative_ttl: Option<u32>,
    /// The upper bits of the response code and the options, where there is an OPT record.
    opt: Option<(u8, Vec<u8>)>,
}

/// One record's place and fixed fields.
pub(super) struct Record<'m> {
    pub(super) kind: RecordType,
    ttl_at: usize,
    pub(super) ttl: [u8; 4],
    pub(super) data: &'m [u8],
    pub(super) end: usize,
}

impl Records {
    /// `None` where a record does not end in the message.
    fn read(bytes: &[u8], counts: [u16; 3], asked: RecordType) -> Option<Self> {
        let mut found = Self::default();
        let mut at = 0;
        let mut is_cut = false;
        for (section, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let record = Record::read(bytes, at)?;
                at = record.end;
                match record.kind {
                    // A record behind it may point past it and would be wrong without it; servers put it last, or
                    // only a signature behind it.
                    RecordType::OPT if section == 2 => {
                        is_cut = true;
                        found.opt = Some((record.ttl[0], extended_errors(record.data)));
                    }
                    RecordType::TSIG => is_cut = true,
                    _ if is_cut => {}
                    _ => found.add(&record, section, asked)?,
                }
            }
        }
        Some(found)
    }

    fn add(&mut self, record: &Record<'_>, section: usize, asked: RecordType) -> Option<()> {
        let ttl = match u32::from_be_bytes(record.ttl) {
            ttl @ ..=MAX_TTL => ttl,
            _ => 0,
        };
        self.counts[section] += 1;
        self.ttl_at.push(u16::try_from(record.ttl_at).ok()?);
        self.length = record.end;
        self.least_ttl = Some(self.least_ttl.map_or(ttl, |least| least.min(ttl)));
        let is_asked = record.kind == asked || asked == RecordType::ANY;
        self.has_asked_type |= section == 0 && is_asked;
        self.is_aliased |= section == 0 && record.kind == RecordType::CNAME && !is_asked;
        self.has_name_servers |= section == 1 && record.kind == RecordType::NS;
        if section == 1 && record.kind == RecordType::SOA {
            let minimum = record.data.last_chunk::<4>()?;
            self.negative_ttl = Some(u32::from_be_bytes(*minimum));
        }
        Some(())
    }

    fn finish(mut self, reply: &mut UpstreamReply, bytes: &[u8], is_authoritative: bool) {
        reply.has_edns = self.opt.is_some();
        if let Some((upper, extended_errors)) = self.opt.take() {
            reply.rcode |= u16::from(upper) << 4;
            reply.extended_errors = extended_errors.into();
        }
        let content = self.content(reply, is_authoritative);
        let lifetime = match (reply.rcode, self.negative_ttl) {
            _ if reply.truncated => None,
            (0, _) if self.has_asked_type => self.least_ttl,
            (0 | 3, Some(minimum)) => self.least_ttl.map(|least| least.min(minimum)),
            _ => None,
        };
        reply.lifetime_seconds = lifetime.unwrap_or(0);
        reply.content = content;
        reply.counts = self.counts;
        reply.records = bytes[..self.length].into();
        reply.ttl_at = self.ttl_at.into();
    }
}

impl Records {
    /// `reply` has its response code already.
    fn content(&self, reply: &UpstreamReply, is_authoritative: bool) -> Content {
        const NO_ERROR: u16 = Rcode::NoError as u16;
        const NO_NAME: u16 = Rcode::NxDomain as u16;
        let is_aliased = self.is_aliased;
        let [answers, ..] = self.counts;
        match reply.rcode {
            _ if reply.truncated => Content::Data { is_aliased: false },
            NO_NAME => Content::Negative { is_aliased },
            NO_ERROR if self.has_asked_type => Content::Data { is_aliased },
            NO_ERROR if self.negative_ttl.is_some() => Content::Negative { is_aliased },
            NO_ERROR if is_aliased => Content::OnlyAliases,
            NO_ERROR if answers == 0 && self.has_name_servers && !is_authoritative => {
                Content::Referral
            }
            NO_ERROR if answers == 0 => Content::Negative { is_aliased },
            _ => Content::Data { is_aliased: false },
        }
    }
}

impl<'m> Record<'m> {
    pub(super) fn read(bytes: &'m [u8], at: usize) -> Option<Self> {
        let fixed_at = at + owner_len(bytes.get(at..)?)?;
        let (fixed, rest) = bytes.get(fixed_at..)?.split_first_chunk::<10>()?;
        let [type_high, type_low, _, _, ttl @ .., length_high, length_low] = *fixed;
        let data_len = usize::from(u16::from_be_bytes([length_high, length_low]));
        Some(Self {
            kind: RecordType(u16::from_be_bytes([type_high, type_low])),
            ttl_at: fixed_at + 4,
            ttl,
            data: rest.get(..data_len)?,
            end: fixed_at + fixed.len() + data_len,
        })
    }
}

/// The length of the name that `bytes` begin with, which may end in a pointer. Where that points is not looked at: names
/// are passed on, not read.
fn owner_len(bytes: &[u8]) -> Option<usize> {
    const POINTER: u8 = 0xc0;
    if let Some(length) = name_len(bytes) {
        return Some(length);
    }
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            byte if byte >= POINTER => return Some(at + 2),
            byte @ 1..0x40 => at += 1 + usize::from(byte),
            _ => return None,
        }
    }
}

/// The options that tell more of an error, as they stand in an OPT record's data.
fn extended_errors(options: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (code, data) in walk(options) {
        let fits = kept.len() + OPTION_HEADER_LEN + data.len() <= MAX_EXTENDED_ERRORS;
        if code == OPTION_EXTENDED_ERROR && fits {
            push_option(&mut kept, code, data);
        }
    }
    kept
}
