use super::{
    AA, DNSSEC_OK, HEADER_LEN, MAX_UDP_BYTES, OPTION_EXTENDED_ERROR, OPTION_NSID, QR, RD, TC,
};
use crate::{
    answer::{Answer, Edns, ExtendedError, Outcome, Query},
    dns::{Class, Rcode, RecordType},
    zone::AddressRecords,
};

/// What every receiver takes over UDP ([RFC 1035 §2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)).
const MIN_UDP_BYTES: usize = 512;

/// A pointer to the question's name, which stands behind the header.
pub(super) const QUESTION_NAME: u16 = 0xc00c;

/// The longest text of a TXT record of one string.
const MAX_TEXT_LEN: usize = 255;

/// "RFC8482" and an empty string ([RFC 8482 §4.2](https://www.rfc-editor.org/rfc/rfc8482#section-4.2)).
const MINIMAL_HINFO: &[u8] = b"\x07RFC8482\0";

const FIXED_LEN: usize = 12;
pub(super) const OPT_FIXED_LEN: usize = 11;
pub(super) const OPTION_HEADER_LEN: usize = 4;
const EXTENDED_ERROR_LEN: usize = OPTION_HEADER_LEN + 2;

/// What [`super::write()`] appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// How many bytes.
    pub bytes: usize,
    /// Whether the records were left out because they did not fit.
    pub truncated: bool,
    /// How many of the bytes, at their end, are the OPT record's; 0 where there is none.
    pub opt_bytes: usize,
}

/// How large an answer may be over UDP: what the client takes, but at least 512 bytes and at most [`MAX_UDP_BYTES`].
pub fn udp_limit_bytes(query: &Query<'_>) -> usize {
    query.edns.map_or(MIN_UDP_BYTES, |edns| {
        usize::from(edns.payload_bytes).clamp(MIN_UDP_BYTES, MAX_UDP_BYTES)
    })
}

/// Writes what [`super::write`] does not leave to others.
pub(super) fn write_message(
    query: &Query<'_>,
    answer: &Answer<'_>,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    let start = out.len();
    let mut body = Body::of(query, answer);
    let opt = query
        .edns
        .map(|edns| Opt::of(edns, query, answer, limit_bytes));
    let opt_len = opt.as_ref().map_or(0, Opt::len);
    let around = HEADER_LEN + query.question.len() + opt_len;
    let mut length = around + body.len();
    if length > limit_bytes {
        body.fit(limit_bytes.saturating_sub(around));
        length = around + body.len();
    }
    let truncated = length > limit_bytes;
    let body = if truncated { Body::default() } else { body };

    let outcome = &answer.outcome;
    let flags = QR
        | (RD * u16::from(query.recursion_desired))
        | (AA * u16::from(outcome.is_authoritative()))
        | (TC * u16::from(truncated))
        | (outcome.rcode() as u16 & 0xf);
    let header = [
        query.id,
        flags,
        1,
        body.answers,
        body.authorities,
        u16::from(opt.is_some()),
    ];
    out.extend_from_slice(header.map(u16::to_be_bytes).as_flattened());
    out.extend_from_slice(query.question);
    body.write(out);
    if let Some(opt) = opt {
        opt.write(outcome.rcode(), out);
    }
    Written {
        bytes: out.len() - start,
        truncated,
        opt_bytes: opt_len,
    }
}

/// Appends the answer to `query` that says nothing but that it is to be asked over TCP.
pub fn write_cut(query: &Query<'_>, out: &mut Vec<u8>) -> Written {
    let start = out.len();
    let flags = QR | TC | (RD * u16::from(query.recursion_desired));
    let opts = u16::from(query.edns.is_some());
    let header = [query.id, flags, 1, 0, 0, opts];
    out.extend_from_slice(header.map(u16::to_be_bytes).as_flattened());
    out.extend_from_slice(query.question);
    if let Some(edns) = query.edns {
        push_opt(out, Rcode::NoError as u16, edns.dnssec_ok, 0);
    }
    Written {
        bytes: out.len() - start,
        truncated: true,
        opt_bytes: query.edns.map_or(0, |_| OPT_FIXED_LEN),
    }
}

/// The records of a message: addresses, or a short run of bytes made here and one that the snapshot holds.
#[derive(Default)]
struct Body<'s> {
    answers: u16,
    authorities: u16,
    addresses: Option<AddressRecords<'s>>,
    made: Made,
    held: &'s [u8],
}

impl<'s> Body<'s> {
    fn of(query: &Query<'_>, answer: &Answer<'s>) -> Self {
        let count = |records| u16::try_from(records).expect("a snapshot cuts to one message");
        let one_answer = |made, held| Self {
            answers: 1,
            made,
            held,
            ..Self::default()
        };
        match answer.outcome {
            Outcome::Addresses(addresses) => Self {
                answers: count(addresses.count()),
                addresses: Some(addresses),
                ..Self::default()
            },
            Outcome::NameServers {
                records,
                count: records_count,
            }
            | Outcome::Encoded {
                records,
                count: records_count,
            } => Self {
                answers: count(records_count),
                held: records,
                ..Self::default()
            },
            Outcome::Soa(soa) => one_answer(Made::owner(QUESTION_NAME), soa),
            Outcome::Minimal(ttl) => one_answer(
                Made::record(
                    RecordType::HINFO,
                    Class::IN,
                    ttl.as_secs(),
                    MINIMAL_HINFO.len(),
                ),
                MINIMAL_HINFO,
            ),
            Outcome::Identity(text) => {
                let text = &text.as_bytes()[..text.len().min(MAX_TEXT_LEN)];
                let mut made = Made::record(RecordType::TXT, Class::CH, 0, 1 + text.len());
                made.push(&[u8::try_from(text.len()).expect("cut to 255 bytes")]);
                one_answer(made, text)
            }
            Outcome::NoData(soa) | Outcome::NoName(soa) => Self {
                authorities: 1,
                made: apex_owner(query, answer.apex_at),
                held: soa,
                ..Self::default()
            },
            // Written elsewhere.
            Outcome::Services(_)
            | Outcome::Pointer(_)
            | Outcome::NotOurs
            | Outcome::OtherClass
            | Outcome::Transfer
            | Outcome::MetaType
            | Outcome::MailType
            | Outcome::BadVersion
            | Outcome::NotReady => Self::default(),
        }
    }

    fn len(&self) -> usize {
        let addresses = self
            .addresses
            .as_ref()
            .map_or(0, AddressRecords::encoded_len);
        addresses + self.made.as_bytes().len() + self.held.len()
    }

    /// As many addresses as fit, where fewer do as well.
    #[cold]
    fn fit(&mut self, room_bytes: usize) {
        if let Some(addresses) = &mut self.addresses {
            *addresses = addresses.fit(room_bytes);
            self.answers = u16::try_from(addresses.count()).expect("fewer than fit a message");
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        if let Some(addresses) = &self.addresses {
            addresses.write(out);
        }
        out.extend_from_slice(self.made.as_bytes());
        out.extend_from_slice(self.held);
    }
}

/// The owner of the zone's SOA: a pointer into the question's name, except for the root, which is shorter written out.
fn apex_owner(query: &Query<'_>, apex_at: Option<usize>) -> Made {
    let apex_at = apex_at.expect("a negative answer has a zone");
    if query.name[apex_at] == 0 {
        let mut root = Made::default();
        root.push(&[0]);
        return root;
    }
    let offset = u16::try_from(apex_at).expect("a name has at most 255 bytes");
    Made::owner(QUESTION_NAME + offset)
}

/// The first bytes of a record: at most an owner, the fixed fields and the length of a text.
#[derive(Default)]
struct Made {
    bytes: [u8; FIXED_LEN + 1],
    length: usize,
}

impl Made {
    fn owner(pointer: u16) -> Self {
        let mut made = Self::default();
        made.push(&pointer.to_be_bytes());
        made
    }

    fn record(record_type: RecordType, class: Class, ttl_seconds: u32, data_len: usize) -> Self {
        let data_len = u16::try_from(data_len).expect("RDATA made here is short");
        let mut made = Self::owner(QUESTION_NAME);
        made.push(&record_type.0.to_be_bytes());
        made.push(&class.0.to_be_bytes());
        made.push(&ttl_seconds.to_be_bytes());
        made.push(&data_len.to_be_bytes());
        made
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The OPT record of an answer.
pub(super) struct Opt<'s> {
    dnssec_ok: bool,
    extended_error: Option<ExtendedError>,
    nsid: Option<&'s [u8]>,
}

impl<'s> Opt<'s> {
    /// Leaves an identifier out that would not even fit a message without records.
    #[allow(
        clippy::inline_always,
        reason = "it is called once, for most queries, and what is given back would go through memory"
    )]
    #[inline(always)]
    pub(super) fn of(
        edns: Edns,
        query: &Query<'_>,
        answer: &Answer<'s>,
        limit_bytes: usize,
    ) -> Self {
        let mut opt = Self {
            dnssec_ok: edns.dnssec_ok,
            extended_error: answer.outcome.extended_error(),
            nsid: answer.nsid,
        };
        if HEADER_LEN + query.question.len() + opt.len() > limit_bytes {
            opt.nsid = None;
        }
        opt
    }

    fn options_len(&self) -> usize {
        self.extended_error.map_or(0, |_| EXTENDED_ERROR_LEN)
            + self.nsid.map_or(0, |nsid| OPTION_HEADER_LEN + nsid.len())
    }

    pub(super) fn len(&self) -> usize {
        OPT_FIXED_LEN + self.options_len()
    }

    #[allow(
        clippy::inline_always,
        reason = "it is called once, for most queries, and what is given back would go through memory"
    )]
    #[inline(always)]
    pub(super) fn write(&self, rcode: Rcode, out: &mut Vec<u8>) {
        push_opt(out, rcode as u16, self.dnssec_ok, self.options_len());
        if let Some(error) = self.extended_error {
            push_option(out, OPTION_EXTENDED_ERROR, &(error as u16).to_be_bytes());
        }
        if let Some(nsid) = self.nsid {
            push_option(out, OPTION_NSID, nsid);
        }
    }
}

/// Appends a whole `option` to the message in `out` that ends with an OPT record of `opt_bytes`; nothing where there is none.
/// Returns how long the record is.
#[inline] // Called once an answer with a cookie.
pub(super) fn add_option(option: &[u8], opt_bytes: usize, out: &mut Vec<u8>) -> usize {
    if opt_bytes < OPT_FIXED_LEN {
        return opt_bytes;
    }
    let length_at = out.len() - opt_bytes + OPT_FIXED_LEN - 2;
    out.extend_from_slice(option);
    let opt_bytes = opt_bytes + option.len();
    let options_len = u16::try_from(opt_bytes - OPT_FIXED_LEN).expect("options fit the message");
    out[length_at..length_at + 2].copy_from_slice(&options_len.to_be_bytes());
    opt_bytes
}

/// Appends an OPT record up to its options, which take `options_len` bytes.
pub(super) fn push_opt(out: &mut Vec<u8>, rcode: u16, dnssec_ok: bool, options_len: usize) {
    let payload = u16::try_from(MAX_UDP_BYTES).expect("fits 16 bits");
    let options_len = u16::try_from(options_len).expect("options fit the message");
    let flags = if dnssec_ok { DNSSEC_OK } else { 0 };
    let [_, extended_rcode] = (rcode >> 4).to_be_bytes();
    let mut fixed = [0; OPT_FIXED_LEN];
    fixed[1..3].copy_from_slice(&RecordType::OPT.0.to_be_bytes());
    fixed[3..5].copy_from_slice(&payload.to_be_bytes());
    fixed[5] = extended_rcode;
    fixed[7..9].copy_from_slice(&flags.to_be_bytes());
    fixed[9..11].copy_from_slice(&options_len.to_be_bytes());
    out.extend_from_slice(&fixed);
}

pub(super) fn push_option(out: &mut Vec<u8>, code: u16, data: &[u8]) {
    let len = u16::try_from(data.len()).expect("options fit the message");
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(data);
}
