//! Answers that are written from endpoints: where a service is, with the addresses of its targets beside them as far as they fit,
//! and the name of an address.

use std::net::IpAddr;

use super::{
    AA, HEADER_LEN, QR, RD, TC, Written,
    write::{Opt, QUESTION_NAME},
};
use crate::{
    answer::{Answer, Query},
    dns::{Class, RecordType, Ttl},
    zone::{PointerRecord, ServiceRecord, ServiceRecords},
};

/// Type, class, TTL and RDATA length.
const BEHIND_OWNER_LEN: usize = 10;

/// The bits that make an offset a pointer, and the farthest that one leads.
const POINTER: u16 = 0xc000;
const MAX_OFFSET: usize = 0x3fff;

/// Appends the message that answers `query` with `services`, at most `limit_bytes` of it.
///
/// Records that do not fit are left out as a whole and TC set. Addresses of targets that do not fit are left out, and nobody is
/// told ([RFC 2181 §9]): who wants them asks for them.
///
/// [RFC 2181 §9]: https://www.rfc-editor.org/rfc/rfc2181#section-9
#[cold]
#[inline(never)] // Most answers are addresses: they don't pay for this.
pub(super) fn write_services(
    query: &Query<'_>,
    answer: &Answer<'_>,
    services: &ServiceRecords<'_>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    let start = out.len();
    let opt = query
        .edns
        .map(|edns| Opt::of(edns, query, answer, limit_bytes));
    let opt_len = opt.as_ref().map_or(0, Opt::len);
    let front = HEADER_LEN + query.question.len();
    let (mut count, mut records_len) = services.measure();
    let truncated = front + records_len + opt_len > limit_bytes;
    if truncated {
        (count, records_len) = (0, 0);
    }
    out.extend_from_slice(&[0; HEADER_LEN]);
    out.extend_from_slice(query.question);
    let place = query.asker.locality;
    for record in services.each(place).take(count) {
        record.write(services.ttl(), out);
    }
    debug_assert_eq!(out.len() - start, front + records_len, "as it was measured");
    let room = limit_bytes.saturating_sub(opt_len);
    let mut beside = Beside {
        ttl: services.ttl(),
        end: start + room,
        count: 0,
    };
    let mut record_at = front;
    let mut before = None;
    for record in services.each(place).take(count) {
        if before != Some(record.at) && !beside.add(query, &record, record_at, out) {
            break;
        }
        before = Some(record.at);
        record_at += record.encoded_len();
    }

    let counts = (count, beside.count);
    finish(query, answer, opt.as_ref(), counts, truncated, start, out)
}

/// The same with the name of an address.
#[cold]
#[inline(never)]
pub(super) fn write_pointer(
    query: &Query<'_>,
    answer: &Answer<'_>,
    pointer: &PointerRecord<'_>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    let start = out.len();
    let opt = query
        .edns
        .map(|edns| Opt::of(edns, query, answer, limit_bytes));
    out.extend_from_slice(&[0; HEADER_LEN]);
    out.extend_from_slice(query.question);
    let front = out.len();
    pointer.write(out);
    let truncated = out.len() - start + opt.as_ref().map_or(0, Opt::len) > limit_bytes;
    if truncated {
        out.truncate(front);
    }
    let counts = (usize::from(!truncated), 0);
    finish(query, answer, opt.as_ref(), counts, truncated, start, out)
}

/// Appends the OPT record, and writes the header of the message that starts at `start` and has so many answers and records
/// beside them.
fn finish(
    query: &Query<'_>,
    answer: &Answer<'_>,
    opt: Option<&Opt<'_>>,
    (answers, beside): (usize, u16),
    truncated: bool,
    start: usize,
    out: &mut Vec<u8>,
) -> Written {
    let flags = QR
        | (RD * u16::from(query.recursion_desired))
        | (AA * u16::from(answer.outcome.is_authoritative()))
        | (TC * u16::from(truncated))
        | (answer.outcome.rcode() as u16 & 0xf);
    let answers = u16::try_from(answers).expect("a message has fewer than 65,536 records");
    let additionals = beside + u16::from(opt.is_some());
    let header = [query.id, flags, 1, answers, 0, additionals];
    out[start..][..HEADER_LEN].copy_from_slice(header.map(u16::to_be_bytes).as_flattened());
    if let Some(opt) = opt {
        opt.write(answer.outcome.rcode(), out);
    }
    Written {
        bytes: out.len() - start,
        truncated,
        opt_bytes: opt.map_or(0, Opt::len),
    }
}

/// The addresses of targets, behind the answers.
struct Beside {
    ttl: Ttl,
    /// How far `out` may grow.
    end: usize,
    count: u16,
}

impl Beside {
    /// Appends the addresses of the target of `record`, which begins at `record_at` in the message. Tells whether they fit.
    fn add(
        &mut self,
        query: &Query<'_>,
        record: &ServiceRecord<'_>,
        record_at: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(label) = record.label() else {
            return true;
        };
        let target_at = record_at + ServiceRecord::TARGET_AT;
        for address in record.addresses() {
            let (v4, v6);
            let (record_type, data): (_, &[u8]) = match address {
                IpAddr::V4(address) => {
                    v4 = address.octets();
                    (RecordType::A, &v4)
                }
                IpAddr::V6(address) => {
                    v6 = address.octets();
                    (RecordType::AAAA, &v6)
                }
            };
            // Behind what a pointer reaches, only the host's part of the name is compressed: it is in the question.
            let is_far = target_at > MAX_OFFSET;
            let label_len = if is_far { label.as_wire().len() } else { 0 };
            let record_len = label_len + 2 + BEHIND_OWNER_LEN + data.len();
            if out.len() + record_len > self.end {
                return false;
            }
            let pointer = if is_far {
                out.extend_from_slice(label.as_wire());
                let before_host = query.name.len() - record.host_len();
                QUESTION_NAME + u16::try_from(before_host).expect("a name has at most 255 bytes")
            } else {
                POINTER | u16::try_from(target_at).expect("a pointer reaches it")
            };
            out.extend_from_slice(&pointer.to_be_bytes());
            out.extend_from_slice(&record_type.0.to_be_bytes());
            out.extend_from_slice(&Class::IN.0.to_be_bytes());
            out.extend_from_slice(&self.ttl.to_wire());
            let length = u16::try_from(data.len()).expect("an address is short");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(data);
            self.count += 1;
        }
        true
    }
}
