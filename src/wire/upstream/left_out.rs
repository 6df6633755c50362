//! What is not passed on of a reply that is held: records of names that somebody else answers for.

use super::{
    UpstreamReply,
    names::read_name,
    records::{self, Ending, Sections},
};
use crate::{
    dns::{Name, RecordType},
    wire::{aliases::message, record::Record},
};

impl UpstreamReply {
    /// Whether the reply to a question for `name` and `record_type` has a record of another name, or of another type.
    pub fn says_more(&self, name: &Name, record_type: RecordType) -> bool {
        self.any(name, record_type, |owner, kind| {
            kind != record_type || owner != name.as_wire()
        })
    }

    /// Whether `is_it` holds for the owner, in lower-case wire form, and the type of any record. A signature has the type
    /// that it covers.
    pub fn any(
        &self,
        name: &Name,
        record_type: RecordType,
        is_it: impl Fn(&[u8], RecordType) -> bool,
    ) -> bool {
        let (message, records_at) = message(self, name, record_type);
        let sections = Sections::read(&message, records_at, self.extents[0].counts);
        let mut owner = Vec::new();
        let all = [
            &sections.answers,
            &sections.authorities,
            &sections.additionals,
        ];
        let mut all = all.into_iter().flatten();
        all.any(|record| is_it(owner_of(&message, record, &mut owner), subject(record)))
    }

    /// The same without the records for which `is_left_out`, which is asked as in [`UpstreamReply::any`].
    #[must_use]
    pub fn without(
        &self,
        name: &Name,
        record_type: RecordType,
        is_left_out: impl Fn(&[u8], RecordType) -> bool,
    ) -> Self {
        let (message, records_at) = message(self, name, record_type);
        let mut sections = Sections::read(&message, records_at, self.extents[0].counts);
        let mut owner = Vec::new();
        for section in [
            &mut sections.answers,
            &mut sections.authorities,
            &mut sections.additionals,
        ] {
            section.retain(|record| {
                !is_left_out(owner_of(&message, record, &mut owner), subject(record))
            });
        }
        let written = records::write(&message, &sections, name.as_wire(), None);
        let Some(written) = written.filter(|_| sections.ending == Ending::Whole) else {
            return Self::failed();
        };
        let mut reply = self.clone();
        reply.hold(written);
        reply
    }
}

/// The owner of a record in lower case, written to `owner`.
fn owner_of<'o>(message: &[u8], record: &Record<'_>, owner: &'o mut Vec<u8>) -> &'o [u8] {
    read_name(message, record.owner_at, owner)
        .expect("a reply is held with names that can be read");
    owner.make_ascii_lowercase();
    owner
}

/// What a record is about: a signature about the type that it covers.
fn subject(record: &Record<'_>) -> RecordType {
    const RRSIG: RecordType = RecordType(46);
    match record.data.first_chunk().copied().map(u16::from_be_bytes) {
        Some(covered) if record.kind == RRSIG => RecordType(covered),
        _ => record.kind,
    }
}
