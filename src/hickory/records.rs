use std::net::IpAddr;

use hickory_server::proto::{
    rr::{
        DNSClass, Name as HickoryName, RData, Record,
        rdata::{HINFO, TXT},
    },
    serialize::binary::{BinDecodable, BinDecoder},
};

use crate::{
    answer::{Answer, Outcome, Query},
    wire::HEADER_LEN,
    zone::ServiceRecords,
};

/// The wire form of a name that is the question's ([RFC 1035 §4.1.4](https://www.rfc-editor.org/rfc/rfc1035#section-4.1.4)).
const QUESTION_NAME: [u8; 2] = [0xc0, 0x0c];

/// How long who the server is may be kept, in seconds: not at all, for the next question may reach another replica.
const IDENTITY_TTL: u32 = 0;

/// The records of an answer.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    /// What nobody misses where it does not fit.
    pub(super) additionals: Vec<Record>,
}

impl Sections {
    /// The records of `answer` to `query`.
    pub(super) fn of(query: &Query<'_>, answer: &Answer<'_>) -> Self {
        let answers = |answers| Self {
            answers,
            ..Self::default()
        };
        match answer.outcome {
            Outcome::Addresses(addresses) => {
                let mut records = Vec::with_capacity(addresses.encoded_len());
                addresses.write(&mut records);
                answers(decode(query, &records, addresses.count()))
            }
            Outcome::Services(services) => {
                let services = services.records(query.name);
                let (mut records, mut count) = (Vec::new(), 0);
                for record in services.each(query.asker.locality) {
                    record.write(services.ttl(), &mut records);
                    count += 1;
                }
                Self {
                    additionals: addresses_of(query, &services),
                    ..answers(decode(query, &records, count))
                }
            }
            Outcome::Pointer(pointer) => {
                let mut records = Vec::new();
                pointer.write(&mut records);
                answers(decode(query, &records, 1))
            }
            Outcome::NameServers { records, count } | Outcome::Encoded { records, count } => {
                answers(decode(query, records, count))
            }
            Outcome::Soa(soa) => answers(decode(query, &[&QUESTION_NAME, soa].concat(), 1)),
            Outcome::Minimal(ttl) => {
                let hinfo = HINFO::new("RFC8482".to_owned(), String::new());
                let name = question_name(query);
                let record = Record::from_rdata(name, ttl.as_secs(), RData::HINFO(hinfo));
                answers(vec![record])
            }
            Outcome::Identity(text) => {
                let text = &text.as_bytes()[..text.len().min(255)];
                let data = RData::TXT(TXT::from_bytes(vec![text]));
                let mut record = Record::from_rdata(question_name(query), IDENTITY_TTL, data);
                record.dns_class = DNSClass::CH;
                answers(vec![record])
            }
            Outcome::NoData(soa) | Outcome::NoName(soa) => {
                let apex_at = answer.apex_at.expect("a negative answer has a zone");
                let name = &query.question[..query.name.len()];
                let soa = [&name[apex_at..], soa].concat();
                Self {
                    authorities: decode(query, &soa, 1),
                    ..Self::default()
                }
            }
            Outcome::NotOurs
            | Outcome::OtherClass
            | Outcome::Transfer
            | Outcome::MetaType
            | Outcome::MailType
            | Outcome::BadVersion
            | Outcome::NotReady => Self::default(),
        }
    }
}

fn question_name(query: &Query<'_>) -> HickoryName {
    let mut decoder = BinDecoder::new(query.question);
    HickoryName::read(&mut decoder).expect("a question begins with a name")
}

/// Reads records that a snapshot holds. Their pointers lead to the question's name.
fn decode(query: &Query<'_>, records: &[u8], count: usize) -> Vec<Record> {
    let message = [&[0; HEADER_LEN], query.question, records].concat();
    let mut decoder = BinDecoder::new(&message);
    decoder
        .read_slice(HEADER_LEN + query.question.len())
        .expect("the records stand behind the question");
    let record = |_| Record::read(&mut decoder).expect("a snapshot holds whole records");
    (0..count).map(record).collect()
}

/// The addresses of the targets, in the order of the records.
fn addresses_of(query: &Query<'_>, services: &ServiceRecords<'_>) -> Vec<Record> {
    let mut addresses = Vec::new();
    let mut before = None;
    for record in services.each(query.asker.locality) {
        if let Some(parts) = record.below_host()
            && before != Some(record.at)
        {
            let wire = parts.concat();
            let name = HickoryName::read(&mut BinDecoder::new(&wire)).expect("a whole name");
            let data = |address| match address {
                IpAddr::V4(address) => RData::A(address.into()),
                IpAddr::V6(address) => RData::AAAA(address.into()),
            };
            let ttl = services.ttl().as_secs();
            let records = record.at.addresses().map(data);
            addresses.extend(records.map(|data| Record::from_rdata(name.clone(), ttl, data)));
        }
        before = Some(record.at);
    }
    addresses
}
