//! Answers to forwarded queries that are put together here, record by record.

use super::{
    AA, CD, HEADER_LEN, OPTION_EXTENDED_ERROR, QR, RA, RD, TC, Written,
    record::Record,
    write::{OPT_FIXED_LEN, OPTION_HEADER_LEN, push_opt, push_option},
};
use crate::{
    answer::Query,
    dns::{Class, Rcode, RecordType},
};

/// A pointer to the question's name, which stands behind the header.
pub(super) const QUESTION_NAME: u16 = 0xc00c;

/// The bits that make an offset a pointer.
const POINTER: u16 = 0xc000;

/// A message in the making, at the end of a buffer.
pub(super) struct Composed<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    answers: u16,
    authorities: u16,
}

impl<'o> Composed<'o> {
    /// Begins with room for the header, and the question of `query`.
    pub(super) fn new(query: &Query<'_>, out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        out.extend_from_slice(query.question);
        Self {
            out,
            start,
            answers: 0,
            authorities: 0,
        }
    }

    /// Adds a record to the answer section. Returns a pointer to where its data begins.
    pub(super) fn answer(
        &mut self,
        owner: u16,
        record_type: RecordType,
        ttl_seconds: u32,
        data: &[u8],
    ) -> u16 {
        self.answers += 1;
        self.out.extend_from_slice(&owner.to_be_bytes());
        self.out.extend_from_slice(&record_type.0.to_be_bytes());
        self.out.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.out.extend_from_slice(&ttl_seconds.to_be_bytes());
        let length = u16::try_from(data.len()).expect("data made here is short");
        self.out.extend_from_slice(&length.to_be_bytes());
        let at = self.out.len() - self.start;
        self.out.extend_from_slice(data);
        POINTER | u16::try_from(at).expect("a few names are shorter than 16 KiB")
    }

    /// Adds what `write` appends to the answer section: whole records, whose owners become `owner`. They begin with a pointer.
    pub(super) fn answers(&mut self, owner: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(self.out);
        let mut at = 0;
        while let Some(record) = Record::read(&self.out[start..], at) {
            let end = record.end;
            self.out[start + at..][..2].copy_from_slice(&owner.to_be_bytes());
            self.answers += 1;
            at = end;
        }
    }

    /// How much more fits a message of `limit_bytes` beside its OPT record.
    pub(super) fn room_bytes(&self, query: &Query<'_>, limit_bytes: usize) -> usize {
        let opt_bytes = query.edns.map_or(0, |_| OPT_FIXED_LEN);
        let used = self.out.len() - self.start + opt_bytes;
        limit_bytes.saturating_sub(used)
    }

    /// Adds an SOA record without its owner, which is `owner`, to the authority section.
    pub(super) fn soa(&mut self, owner: &[u8], behind_owner: &[u8]) {
        self.authorities += 1;
        self.out.extend_from_slice(owner);
        self.out.extend_from_slice(behind_owner);
    }

    /// Ends the message: where it is longer than `limit_bytes`, all records are left out and TC is set.
    ///
    /// Id, RD and CD are those of `query`, which stands in `message`; RA is set, AD clear.
    pub(super) fn finish(
        mut self,
        query: &Query<'_>,
        message: &[u8],
        rcode: Rcode,
        is_authoritative: bool,
        extended_error: Option<u16>,
        limit_bytes: usize,
    ) -> Written {
        let opt_bytes = query.edns.map_or(0, |_| OPT_FIXED_LEN);
        let truncated = self.out.len() - self.start + opt_bytes > limit_bytes;
        if truncated {
            self.out
                .truncate(self.start + HEADER_LEN + query.question.len());
            (self.answers, self.authorities) = (0, 0);
        }
        let asked = u16::from_be_bytes([message[2], message[3]]);
        let flags = QR
            | RA
            | (asked & (RD | CD))
            | (AA * u16::from(is_authoritative))
            | (TC * u16::from(truncated))
            | rcode as u16;
        let opts = u16::from(query.edns.is_some());
        let header = [query.id, flags, 1, self.answers, self.authorities, opts];
        self.out[self.start..][..HEADER_LEN]
            .copy_from_slice(header.map(u16::to_be_bytes).as_flattened());
        let opt_at = self.out.len();
        if let Some(edns) = query.edns {
            let error_len = OPTION_HEADER_LEN + 2;
            let used = self.out.len() - self.start + OPT_FIXED_LEN;
            let room = limit_bytes.saturating_sub(used);
            let extended_error = extended_error.filter(|_| error_len <= room);
            let options_len = extended_error.map_or(0, |_| error_len);
            push_opt(self.out, rcode as u16, edns.dnssec_ok, options_len);
            if let Some(code) = extended_error {
                push_option(self.out, OPTION_EXTENDED_ERROR, &code.to_be_bytes());
            }
        }
        Written {
            bytes: self.out.len() - self.start,
            truncated,
            opt_bytes: self.out.len() - opt_at,
        }
    }
}

/// The pointer to the name that begins `offset` bytes behind where `pointer` points.
pub(super) fn behind(pointer: u16, offset: usize) -> u16 {
    pointer + u16::try_from(offset).expect("a name has at most 255 bytes")
}
