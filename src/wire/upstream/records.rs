use super::{
    Extent,
    layout::{Field, layout},
    names::{Names, read_name},
};
use crate::{
    dns::{Class, RecordType},
    wire::{HEADER_LEN, record::Record},
};

/// A TTL above this stands for 0 ([RFC 2181 §8](https://www.rfc-editor.org/rfc/rfc2181#section-8)).
const MAX_TTL: u32 = i32::MAX as u32;

const NSEC: RecordType = RecordType(47);
const NSEC3: RecordType = RecordType(50);
const RRSIG: RecordType = RecordType(46);

/// How the records of a message end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// All are there.
    Whole,
    /// The message ends before they do.
    Cut,
    /// One can't be read.
    Malformed,
}

/// The records of a message, without those that are between two neighbours only.
pub(super) struct Sections<'m> {
    pub(super) answers: Vec<Record<'m>>,
    pub(super) authorities: Vec<Record<'m>>,
    pub(super) additionals: Vec<Record<'m>>,
    /// The first OPT record of the root in the additional section; elsewhere it says nothing ([RFC 6891 §6.1.1]).
    ///
    /// [RFC 6891 §6.1.1]: https://www.rfc-editor.org/rfc/rfc6891#section-6.1.1
    pub(super) opt: Option<Record<'m>>,
    pub(super) ending: Ending,
}

impl<'m> Sections<'m> {
    /// Reads as many records of each section as `counts` says, from `at` on.
    pub(super) fn read(message: &'m [u8], mut at: usize, counts: [u16; 3]) -> Self {
        let mut read = Self {
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            opt: None,
            ending: Ending::Whole,
        };
        for (section, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                let Some(record) = Record::read(message, at) else {
                    read.ending = ending(message, at);
                    return read;
                };
                at = record.end;
                match record.kind {
                    RecordType::OPT
                        if section == 2 && read.opt.is_none() && message[record.owner_at] == 0 =>
                    {
                        read.opt = Some(record);
                    }
                    // The types of questions, signatures and keys of messages are no records of a name.
                    RecordType::OPT | RecordType(249..=255) => {}
                    _ if record.class != Class::IN => {}
                    _ => read.section(section).push(record),
                }
            }
        }
        read
    }

    fn section(&mut self, section: usize) -> &mut Vec<Record<'m>> {
        match section {
            0 => &mut self.answers,
            1 => &mut self.authorities,
            _ => &mut self.additionals,
        }
    }

    /// Whether there is no record at all.
    pub(super) fn is_empty(&self) -> bool {
        let sections = [&self.answers, &self.authorities, &self.additionals];
        sections.iter().all(|section| section.is_empty())
    }

    /// Whether there is a record of the type that was asked for.
    pub(super) fn answer(&self, asked: RecordType) -> bool {
        asked == RecordType::ANY && !self.answers.is_empty()
            || self.answers.iter().any(|record| record.kind == asked)
    }

    /// Whether there are aliases, and the question was not about those.
    pub(super) fn alias(&self, asked: RecordType) -> bool {
        let is_asked = asked == RecordType::CNAME || asked == RecordType::ANY;
        !is_asked
            && self
                .answers
                .iter()
                .any(|record| record.kind == RecordType::CNAME)
    }

    /// For how long the SOA says that there is no such name or record ([RFC 2308 §5]).
    ///
    /// [RFC 2308 §5]: https://www.rfc-editor.org/rfc/rfc2308#section-5
    pub(super) fn negative_ttl(&self) -> Option<u32> {
        let mut authorities = self.authorities.iter();
        let soa = authorities.find(|record| record.kind == RecordType::SOA)?;
        let minimum = u32::from_be_bytes(*soa.data.last_chunk()?);
        Some(sane(minimum).min(sane(soa.ttl)))
    }

    /// Whether the authority section names servers that might know, in place of an answer.
    pub(super) fn refer(&self) -> bool {
        let has = |kind| self.authorities.iter().any(|record| record.kind == kind);
        self.answers.is_empty() && has(RecordType::NS) && !has(RecordType::SOA)
    }
}

/// Why there is no record at `at`.
fn ending(message: &[u8], at: usize) -> Ending {
    let mut label_at = at;
    loop {
        match message.get(label_at) {
            _ if label_at - at > crate::dns::MAX_NAME_LEN => return Ending::Malformed,
            None | Some(0 | 0xc0..) => return Ending::Cut,
            Some(&length @ 1..0x40) => label_at += 1 + usize::from(length),
            Some(_) => return Ending::Malformed,
        }
    }
}

fn sane(ttl: u32) -> u32 {
    if ttl > MAX_TTL { 0 } else { ttl }
}

/// Records in the form in which they are passed on.
pub(super) struct WrittenRecords {
    pub(super) extents: [Extent; 3],
    pub(super) records: Box<[u8]>,
    pub(super) ttl_at: Box<[u16]>,
    pub(super) least_ttl: Option<u32>,
}

/// Writes `sections` of `message` anew: what is needed least comes last, and names are compressed. The SOA of a negative
/// answer has `negative_ttl`.
///
/// `None` where a name or the length of data is wrong, or where all of it does not fit a message.
pub(super) fn write(
    message: &[u8],
    sections: &Sections<'_>,
    question_name: &[u8],
    negative_ttl: Option<u32>,
) -> Option<WrittenRecords> {
    let mut writer = Writer {
        names: Names::behind_question(question_name),
        start: HEADER_LEN + question_name.len() + 4,
        name: Vec::new(),
        ttl_at: Vec::new(),
        least_ttl: None,
    };
    for record in &sections.answers {
        writer.push(message, record, record.ttl)?;
    }
    let (needed, optional): (Vec<_>, Vec<_>) =
        sections.authorities.iter().partition(|one| is_needed(one));
    for record in &needed {
        let negative = negative_ttl.filter(|_| record.kind == RecordType::SOA);
        writer.push(message, record, negative.unwrap_or(record.ttl))?;
    }
    let counts = [sections.answers.len(), needed.len(), 0];
    let needed = writer.extent(counts)?;
    for record in optional {
        writer.push(message, record, record.ttl)?;
    }
    let counts = [sections.answers.len(), sections.authorities.len(), 0];
    let without_additionals = writer.extent(counts)?;
    for record in &sections.additionals {
        writer.push(message, record, record.ttl)?;
    }
    let whole = writer.extent([counts[0], counts[1], sections.additionals.len()])?;
    Some(WrittenRecords {
        extents: [whole, without_additionals, needed],
        records: writer.names.out[writer.start..].into(),
        ttl_at: writer.ttl_at.into(),
        least_ttl: writer.least_ttl,
    })
}

/// Whether an answer means less without this record of its authority section: it says for how long there is no such name or
/// record, or proves that.
fn is_needed(record: &Record<'_>) -> bool {
    let of_proofs = |kind| [RecordType::SOA, NSEC, NSEC3].contains(&kind);
    let covers = || record.data.first_chunk().copied().map(u16::from_be_bytes);
    of_proofs(record.kind)
        || record.kind == RRSIG && covers().is_some_and(|kind| of_proofs(RecordType(kind)))
}

struct Writer {
    names: Names,
    /// Where the records begin.
    start: usize,
    /// Room for a name.
    name: Vec<u8>,
    ttl_at: Vec<u16>,
    least_ttl: Option<u32>,
}

impl Writer {
    fn push(&mut self, message: &[u8], record: &Record<'_>, ttl: u32) -> Option<()> {
        let ttl = sane(ttl);
        self.least_ttl = Some(self.least_ttl.map_or(ttl, |least| least.min(ttl)));
        read_name(message, record.owner_at, &mut self.name)?;
        self.names.push(&self.name);
        self.bytes(&record.kind.0.to_be_bytes());
        self.bytes(&record.class.0.to_be_bytes());
        self.ttl_at.push(self.place()?);
        self.bytes(&ttl.to_be_bytes());
        let length_at = self.names.out.len();
        self.bytes(&[0; 2]);
        self.data(message, record)?;
        let length = u16::try_from(self.names.out.len() - length_at - 2).ok()?;
        self.names.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    fn data(&mut self, message: &[u8], record: &Record<'_>) -> Option<()> {
        let (mut at, end) = (record.data_at(), record.end);
        for &field in layout(record.kind) {
            at = match field {
                Field::Bytes(length) => self.copy(message, at, at + length, end)?,
                Field::Text => self.text(message, at, end)?,
                Field::Texts => {
                    at = self.text(message, at, end)?;
                    while at < end {
                        at = self.text(message, at, end)?;
                    }
                    at
                }
                Field::Name | Field::FullName => {
                    let behind = read_name(message, at, &mut self.name)?;
                    if let Field::Name = field {
                        self.names.push(&self.name);
                    } else {
                        self.names.out.extend_from_slice(&self.name);
                    }
                    behind
                }
                Field::Parameters => {
                    are_parameters(&message[at..end])?;
                    self.copy(message, at, end, end)?
                }
                Field::Rest => self.copy(message, at, end, end)?,
            };
            if at > end {
                return None;
            }
        }
        (at == end).then_some(())
    }

    fn text(&mut self, message: &[u8], at: usize, end: usize) -> Option<usize> {
        let length = *message[..end].get(at)?;
        self.copy(message, at, at + 1 + usize::from(length), end)
    }

    /// Copies what stands from `from` to `to`, which is to lie within the data, and returns `to`.
    fn copy(&mut self, message: &[u8], from: usize, to: usize, end: usize) -> Option<usize> {
        self.bytes(message[..end].get(from..to)?);
        Some(to)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.names.out.extend_from_slice(bytes);
    }

    /// Where the next byte stands among the records, in a message over TCP.
    fn place(&self) -> Option<u16> {
        u16::try_from(self.names.out.len() - self.start).ok()
    }

    fn extent(&self, counts: [usize; 3]) -> Option<Extent> {
        let [answers, authorities, additionals] = counts.map(|count| u16::try_from(count).ok());
        Some(Extent {
            counts: [answers?, authorities?, additionals?],
            length: self.place()?,
        })
    }
}

/// `None` where keys do not grow or a value is not whole.
fn are_parameters(mut bytes: &[u8]) -> Option<()> {
    let mut last = None;
    while !bytes.is_empty() {
        let (&[key_high, key_low, length_high, length_low], rest) = bytes.split_first_chunk()?;
        let key = u16::from_be_bytes([key_high, key_low]);
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        bytes = rest.get(usize::from(u16::from_be_bytes([length_high, length_low]))..)?;
    }
    Some(())
}
