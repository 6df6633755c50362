//! The addresses in an upstream's reply: rare, so that hickory-proto may read the names.

use std::net::IpAddr;

use hickory_proto::{
    rr::{Name as DecodedName, RData, Record},
    serialize::binary::{BinDecodable, BinDecoder},
};

use super::{HEADER_LEN, UpstreamReply};
use crate::dns::{Class, Name, RecordType};

/// More aliases in a row than this lead nowhere.
const MOST_ALIASES: usize = 16;

/// What a reply says of the addresses of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundAddresses {
    /// The aliases between the asked name and the addresses, in order.
    pub aliases: Vec<Name>,
    /// The addresses of the last of them.
    pub addresses: Vec<IpAddr>,
    /// The shortest TTL of all that was used; `None` where nothing was.
    pub ttl_seconds: Option<u32>,
}

/// Reads the addresses of type `record_type` that `reply` has for `name`, along its aliases; `None` where a record can't be
/// read.
pub fn find_addresses(
    reply: &UpstreamReply,
    name: &Name,
    record_type: RecordType,
) -> Option<FoundAddresses> {
    let records = answers(reply, name, record_type)?;
    let mut found = FoundAddresses {
        aliases: Vec::new(),
        addresses: Vec::new(),
        ttl_seconds: None,
    };
    let use_up = |found: &mut FoundAddresses, ttl: u32| {
        found.ttl_seconds = Some(found.ttl_seconds.map_or(ttl, |least| least.min(ttl)));
    };
    let mut owner = name.clone();
    while found.aliases.len() < MOST_ALIASES {
        let alias = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if plain(&record.name) == owner => {
                Some((plain(&target.0), record.ttl))
            }
            _ => None,
        });
        let Some((target, ttl)) = alias else { break };
        use_up(&mut found, ttl);
        found.aliases.push(target.clone());
        owner = target;
    }
    for record in records.iter().filter(|record| plain(&record.name) == owner) {
        let address: IpAddr = match &record.data {
            RData::A(v4) if record_type == RecordType::A => v4.0.into(),
            RData::AAAA(v6) if record_type == RecordType::AAAA => v6.0.into(),
            _ => continue,
        };
        use_up(&mut found, record.ttl);
        found.addresses.push(address);
    }
    Some(found)
}

/// The records of the answer section. Their pointers count from the start of the message, which is put in front of them
/// again.
fn answers(reply: &UpstreamReply, name: &Name, record_type: RecordType) -> Option<Vec<Record>> {
    let mut message = vec![0; HEADER_LEN];
    message.extend(name.as_wire());
    message.extend(record_type.0.to_be_bytes());
    message.extend(Class::IN.0.to_be_bytes());
    let records_at = message.len();
    message.extend(&reply.records);
    let mut decoder = BinDecoder::new(&message);
    decoder.read_slice(records_at).ok()?;
    let [count, ..] = reply.extents[0].counts;
    (0..count)
        .map(|_| Record::read(&mut decoder).ok())
        .collect()
}

fn plain(name: &DecodedName) -> Name {
    let mut wire = Vec::new();
    for label in name {
        wire.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    Name::from_lowercase_wire(&wire)
}
