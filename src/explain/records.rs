//! The records of an answer, as values that can be printed.

use std::{
    fmt::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::{
    answer::{Answer, Outcome},
    dns::{Name, RecordType},
    zone::Asker,
};

/// Type, class, TTL and RDATA length: what stands between a record's owner and its RDATA.
const FIXED_LEN: usize = 2 + 2 + 4 + 2;

/// A compressed owner: a pointer to the question's name.
const POINTER_LEN: usize = 2;

/// One record, as a zone file writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The owner's name.
    pub owner: Name,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The type.
    pub record_type: RecordType,
    /// The RDATA in text.
    pub data: String,
}

/// One line, as `dig` prints it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            owner,
            ttl,
            record_type,
            data,
        } = self;
        write!(f, "{owner} {ttl} IN {record_type} {data}")
    }
}

/// The answer and authority sections of `answer` to a question for `name`.
pub(super) fn sections(
    answer: &Answer<'_>,
    name: &Name,
    asker: Asker,
) -> (Vec<Record>, Vec<Record>) {
    let soa = |record: &[u8]| {
        let apex = &name.as_wire()[answer.apex_at.unwrap_or(0)..];
        vec![read(Name::from_lowercase_wire(apex), record).0]
    };
    match answer.outcome {
        Outcome::Addresses(addresses) => {
            let mut records = Vec::new();
            addresses.write(&mut records);
            (read_all(name, &records), Vec::new())
        }
        Outcome::Services(services) => {
            let mut records = Vec::new();
            let services = services.records(name.as_wire());
            for record in services.each(asker.locality) {
                record.write(services.ttl(), &mut records);
            }
            (read_all(name, &records), Vec::new())
        }
        Outcome::Pointer(pointer) => {
            let mut records = Vec::new();
            pointer.write(&mut records);
            (read_all(name, &records), Vec::new())
        }
        Outcome::NameServers { records, .. } | Outcome::Encoded { records, .. } => {
            (read_all(name, records), Vec::new())
        }
        Outcome::Soa(record) => (soa(record), Vec::new()),
        Outcome::Minimal(ttl) => {
            let minimal = Record {
                owner: name.clone(),
                ttl: ttl.as_secs(),
                record_type: RecordType::HINFO,
                data: "\"RFC8482\" \"\"".to_owned(),
            };
            (vec![minimal], Vec::new())
        }
        Outcome::NoData(record) | Outcome::NoName(record) => (Vec::new(), soa(record)),
        _ => (Vec::new(), Vec::new()),
    }
}

/// Reads records that are all owned by the question's name.
fn read_all(owner: &Name, mut records: &[u8]) -> Vec<Record> {
    let mut read_so_far = Vec::new();
    while let Some(record) = records.get(POINTER_LEN..) {
        let (record, rest) = read(owner.clone(), record);
        read_so_far.push(record);
        records = rest;
    }
    read_so_far
}

/// Reads a record whose owner is cut off, and returns what is behind it.
fn read(owner: Name, record: &[u8]) -> (Record, &[u8]) {
    let number = |at: usize| u16::from_be_bytes([record[at], record[at + 1]]);
    let record_type = RecordType(number(0));
    let ttl = u32::from(number(4)) << 16 | u32::from(number(6));
    let (rdata, rest) = record[FIXED_LEN..].split_at(number(8).into());
    let record = Record {
        owner,
        ttl,
        record_type,
        data: text(record_type, rdata),
    };
    (record, rest)
}

fn text(record_type: RecordType, rdata: &[u8]) -> String {
    match record_type {
        RecordType::A => {
            let octets: [u8; 4] = rdata.try_into().expect("an A record has four octets");
            Ipv4Addr::from(octets).to_string()
        }
        RecordType::AAAA => {
            let octets: [u8; 16] = rdata.try_into().expect("an AAAA record has sixteen");
            Ipv6Addr::from(octets).to_string()
        }
        RecordType::SOA => {
            let (name_server, rest) = split_name(rdata);
            let (mailbox, numbers) = split_name(rest);
            let mut fields = vec![name_server.to_string(), mailbox.to_string()];
            let numbers = numbers.chunks_exact(4).map(|octets| {
                u32::from_be_bytes(octets.try_into().expect("a chunk of four")).to_string()
            });
            fields.extend(numbers);
            fields.join(" ")
        }
        RecordType::SRV => {
            let (numbers, target) = rdata.split_at(6);
            let numbers = numbers.as_chunks().0.iter();
            let mut fields: Vec<String> = numbers
                .map(|octets| u16::from_be_bytes(*octets).to_string())
                .collect();
            fields.push(split_name(target).0.to_string());
            fields.join(" ")
        }
        RecordType::TXT => strings(rdata).join(" "),
        RecordType::HTTPS => https(rdata),
        _ => split_name(rdata).0.to_string(),
    }
}

/// The strings of a text, in quotes, as a zone file has them.
fn strings(mut rdata: &[u8]) -> Vec<String> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = rdata.split_first() {
        let (string, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        strings.push(format!("\"{}\"", escaped(string)));
        rdata = rest;
    }
    strings
}

/// As a zone file has it ([RFC 1035 §5.1](https://www.rfc-editor.org/rfc/rfc1035#section-5.1)).
fn escaped(string: &[u8]) -> String {
    let mut text = String::new();
    for byte in string {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => write!(text, "\\{byte:03}").expect("a string can be written to"),
        }
    }
    text
}

/// Priority, target and the parameters that we write: protocols and the port ([RFC 9460 §2.1]).
///
/// [RFC 9460 §2.1]: https://www.rfc-editor.org/rfc/rfc9460#section-2.1
fn https(rdata: &[u8]) -> String {
    let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let (priority, rest) = rdata.split_at(2);
    let (target, mut rest) = split_name(rest);
    let mut text = format!("{} {target}", number(priority));
    while rest.len() >= 4 {
        let (value, behind) = rest[4..].split_at(number(&rest[2..]).into());
        match number(rest) {
            1 => {
                let protocols = strings(value).join(",").replace('"', "");
                write!(text, " alpn=\"{protocols}\"")
            }
            3 => write!(text, " port={}", number(value)),
            key => write!(text, " key{key}"),
        }
        .expect("a string can be written to");
        rest = behind;
    }
    text
}

/// The name that stands, uncompressed, at the start of `bytes`, and what is behind it.
fn split_name(bytes: &[u8]) -> (Name, &[u8]) {
    let mut end = 0;
    while bytes[end] != 0 {
        end += 1 + usize::from(bytes[end]);
    }
    let (name, rest) = bytes.split_at(end + 1);
    (Name::from_lowercase_wire(name), rest)
}
