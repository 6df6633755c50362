use std::net::IpAddr;

use hickory_proto::rr::RData;

use super::{
    UpstreamReply,
    aliases::{aliases, plain, sections},
};
use crate::dns::{Name, RecordType};

/// What a reply says of the addresses of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundAddresses {
    /// The addresses at the end of its aliases.
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
    let [records, _] = sections(reply, name, record_type)?;
    let aliases = aliases(reply, name, record_type)?;
    let owner = aliases.last().map_or(name, |alias| &alias.target);
    let mut ttls: Vec<u32> = aliases.iter().map(|alias| alias.ttl_seconds).collect();
    let mut addresses = Vec::new();
    for record in records
        .iter()
        .filter(|record| plain(&record.name) == *owner)
    {
        let address: IpAddr = match &record.data {
            RData::A(v4) if record_type == RecordType::A => v4.0.into(),
            RData::AAAA(v6) if record_type == RecordType::AAAA => v6.0.into(),
            _ => continue,
        };
        ttls.push(record.ttl);
        addresses.push(address);
    }
    Some(FoundAddresses {
        addresses,
        ttl_seconds: ttls.into_iter().min(),
    })
}
