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
    zone::{EndpointAt, PointerRecord, ServiceAnswer, ServiceRecord},
};

/// A pointer, type, class, TTL and RDATA length.
const FIXED_LEN: usize = 12;

/// The bits that make an offset a pointer, and the farthest that one leads.
const POINTER: u16 = 0xc000;
const MAX_OFFSET: u16 = 0x3fff;

/// Appends the message that answers `query` with `services`, at most `limit_bytes` of it.
///
/// Records that do not fit are left out as a whole and TC set. Addresses of targets that do not fit are left out, and nobody is
/// told ([RFC 2181 §9]): who wants them asks for them.
///
/// [RFC 2181 §9]: https://www.rfc-editor.org/rfc/rfc2181#section-9
#[inline(never)] // Most answers are addresses: they don't pay for this.
pub(super) fn write_services(
    query: &Query<'_>,
    answer: &Answer<'_>,
    services: &ServiceAnswer<'_>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    let (start, opt) = begin(query, answer, limit_bytes, out);
    let front = out.len();
    let end = start + limit_bytes.saturating_sub(opt.as_ref().map_or(0, Opt::len));
    let services = services.records(query.name);
    let place = query.asker.locality;
    let mut count = 0;
    for record in services.each(place) {
        record.write(services.ttl(), out);
        count += 1;
        if out.len() > end {
            break;
        }
    }
    let truncated = out.len() > end;
    if truncated {
        out.truncate(front);
        count = 0;
    }
    let mut beside = Beside {
        ttl: services.ttl(),
        start,
        end,
        host_at: query.name.len() - services.host_len(),
        count: 0,
    };
    let mut record_at = front - start;
    let mut before = None;
    for at in services.targets().take(count) {
        let rdata_at = record_at + FIXED_LEN;
        let target_at = record_at + ServiceRecord::TARGET_AT;
        if before != Some(at) && !beside.add(at, target_at, out) {
            break;
        }
        before = Some(at);
        let length = [out[start + rdata_at - 2], out[start + rdata_at - 1]];
        record_at = rdata_at + usize::from(u16::from_be_bytes(length));
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
    let (start, opt) = begin(query, answer, limit_bytes, out);
    let front = out.len();
    pointer.write(out);
    let truncated = out.len() - start + opt.as_ref().map_or(0, Opt::len) > limit_bytes;
    if truncated {
        out.truncate(front);
    }
    let counts = (usize::from(!truncated), 0);
    finish(query, answer, opt.as_ref(), counts, truncated, start, out)
}

/// Appends room for the header, and the question. Returns where the message starts, and the OPT record that it is to have.
fn begin<'s>(
    query: &Query<'_>,
    answer: &Answer<'s>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> (usize, Option<Opt<'s>>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    out.extend_from_slice(query.question);
    let opt = query.edns;
    let opt = opt.map(|edns| Opt::of(edns, query, answer, limit_bytes));
    (start, opt)
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
    /// Where the message starts in `out`, and how far `out` may grow.
    start: usize,
    end: usize,
    /// Where the host begins in the question's name.
    host_at: usize,
    count: u16,
}

impl Beside {
    /// Appends the addresses of an endpoint, whose name begins at `target_at` in the message. Tells whether they fit.
    fn add(&mut self, at: EndpointAt<'_>, target_at: usize, out: &mut Vec<u8>) -> bool {
        for address in at.addresses() {
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
            let label_at = self.start + target_at;
            // Behind what a pointer reaches, only the host's part of the name is compressed: it is in the question.
            let (label_len, pointer) = match u16::try_from(target_at) {
                Ok(target_at) if target_at <= MAX_OFFSET => (0, POINTER | target_at),
                _ => {
                    let host_at =
                        u16::try_from(self.host_at).expect("a name has at most 255 bytes");
                    (1 + usize::from(out[label_at]), QUESTION_NAME + host_at)
                }
            };
            if out.len() + label_len + FIXED_LEN + data.len() > self.end {
                return false;
            }
            let length = u16::try_from(data.len()).expect("an address is short");
            let mut fixed = [0; FIXED_LEN];
            fixed[..2].copy_from_slice(&pointer.to_be_bytes());
            fixed[2..4].copy_from_slice(&record_type.0.to_be_bytes());
            fixed[4..6].copy_from_slice(&Class::IN.0.to_be_bytes());
            fixed[6..10].copy_from_slice(&self.ttl.to_wire());
            fixed[10..].copy_from_slice(&length.to_be_bytes());
            out.extend_from_within(label_at..label_at + label_len);
            out.extend_from_slice(&fixed);
            out.extend_from_slice(data);
            self.count += 1;
        }
        true
    }
}
