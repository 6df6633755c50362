//! The records of an answer, as values that can be printed.

use std::fmt;

use crate::{
    dns::{Name, RecordType},
    zone::{HostRecords, Owner, Snapshot},
};

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

/// The answer section for `name`, which `owner` says what it has.
pub(super) fn answer(
    snapshot: &Snapshot,
    name: &Name,
    owner: Owner<'_>,
    record_type: RecordType,
) -> Vec<Record> {
    let settings = snapshot.settings();
    let record = |data: String| Record {
        owner: name.clone(),
        ttl: settings.ttl.as_secs(),
        record_type,
        data,
    };
    let addresses = owner.records.into_iter().flat_map(HostRecords::addresses);
    match record_type {
        RecordType::A => addresses
            .filter(std::net::IpAddr::is_ipv4)
            .map(|ip| record(ip.to_string()))
            .collect(),
        RecordType::AAAA => addresses
            .filter(std::net::IpAddr::is_ipv6)
            .map(|ip| record(ip.to_string()))
            .collect(),
        RecordType::NS if owner.apex_at == 0 => {
            let names = settings.name_servers.iter();
            names.map(|name| record(name.to_string())).collect()
        }
        RecordType::SOA if owner.apex_at == 0 => vec![soa(snapshot, name)],
        _ => Vec::new(),
    }
}

/// The SOA record of the zone with this apex.
pub(super) fn soa(snapshot: &Snapshot, apex: &Name) -> Record {
    const TYPE_CLASS_TTL_LENGTH: usize = 2 + 2 + 4 + 2;
    let rdata = &snapshot.soa_behind_owner()[TYPE_CLASS_TTL_LENGTH..];
    let (name_server, rest) = split_name(rdata);
    let (mailbox, numbers) = split_name(rest);
    let numbers = numbers
        .chunks_exact(4)
        .map(|octets| u32::from_be_bytes(octets.try_into().expect("chunks of four")).to_string());
    let mut data = vec![name_server.to_string(), mailbox.to_string()];
    data.extend(numbers);
    Record {
        owner: apex.clone(),
        ttl: snapshot.settings().negative_ttl.as_secs(),
        record_type: RecordType::SOA,
        data: data.join(" "),
    }
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
