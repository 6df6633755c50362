//! Looks up names that are made from hosts, and what hosts answer besides addresses.

use super::{
    endpoints::Endpoints,
    made::{Made, MadeRecords, label_of, made_below},
    pointers::PointerRecord,
    records::{AddressRecords, RRset, RRsets},
    reverse,
    service_records::ServiceAnswer,
    services::Services,
    shard::Held,
    snapshot::{Found, Snapshot},
    texts::Records,
};
use crate::{
    dns::{Name, RecordType},
    manifest::MaxAddresses,
};
use std::net::IpAddr;

impl Snapshot {
    /// What `name` is, which exists because there are hosts below it, where it is made from a host as well.
    #[cold]
    #[inline(never)]
    pub(super) fn find_made(&self, name: &[u8]) -> Option<Found<'_>> {
        let (label, parent) = label_of(name)?;
        let host_at = 1 + label.len();
        let host = self.entry(parent)?;
        Some(Found::Made {
            apex_at: host_at + usize::from(host.apex_at),
            host_at,
            made: made_below(&host, name, host_at)?,
        })
    }

    /// The records of this type that `made`, the name whose host begins at `host_at` in `name`, has.
    pub fn records_of_made(
        &self,
        name: &[u8],
        host_at: usize,
        made: Made,
        record_type: RecordType,
        turn: u32,
    ) -> Option<MadeRecords<'_>> {
        if let Made::Address(address) = made {
            let record = PointerRecord {
                ttl: self.settings.ttl,
                address,
                host: self.host_of_address(address)?,
            };
            return (record_type == RecordType::PTR).then_some(MadeRecords::Pointer(record));
        }
        let host = self.entry(&name[host_at..])?;
        let Held::Records(records) = host.here() else {
            return None;
        };
        let services = host.services();
        match made {
            Made::Endpoint(address) if record_type.is_address() => {
                address_of_endpoint(records, services, address, record_type)
                    .map(MadeRecords::Addresses)
            }
            Made::Service(number) if record_type == RecordType::SRV => {
                ServiceAnswer::of(records, services?, (name, host_at), number, turn)
                    .map(MadeRecords::Services)
            }
            Made::GrpcConfig if record_type == RecordType::TXT => {
                encoded(&services?.texts.as_deref()?.grpc_config)
            }
            Made::Https(port) if record_type == RecordType::HTTPS => {
                encoded(services?.texts.as_deref()?.https_below(port)?)
            }
            _ => None,
        }
    }

    /// What `name` is, in a zone whose apex begins at `apex_at`, where it is the name of addresses that hosts answer with.
    #[cold]
    #[inline(never)]
    pub(super) fn find_pointer(&self, name: &[u8], apex_at: usize) -> Option<Found<'_>> {
        let addresses = reverse::addresses_below(name)?;
        let pointers = self.pointers.as_ref()?;
        let made = if addresses.start() == addresses.end() {
            pointers.host_of(*addresses.start())?;
            Made::Address(*addresses.start())
        } else {
            pointers.has_any(&addresses).then_some(Made::Between)?
        };
        Some(Found::Made {
            apex_at,
            host_at: 0,
            made,
        })
    }

    /// The host that `address` leads to.
    pub fn host_of_address(&self, address: IpAddr) -> Option<&Name> {
        self.pointers.as_ref()?.host_of(address)
    }

    /// Whether `made` has any record.
    pub fn has_records(&self, name: &[u8], host_at: usize, made: Made) -> bool {
        let has = |record_type| {
            let records = self.records_of_made(name, host_at, made, record_type, 0);
            records.is_some()
        };
        match made.only_type() {
            Some(record_type) => has(record_type),
            None => matches!(made, Made::Endpoint(_)),
        }
    }

    /// The records of this type, which are no addresses, that annotations give the host `name`.
    #[inline(never)] // Few ask for them.
    pub fn records_of_host(&self, name: &[u8], record_type: RecordType) -> Option<MadeRecords<'_>> {
        let texts = self.entry(name)?.services()?.texts.as_deref()?;
        match record_type {
            RecordType::TXT => encoded(&texts.own),
            RecordType::HTTPS => encoded(texts.https()?),
            _ => None,
        }
    }
}

fn encoded(records: &Records) -> Option<MadeRecords<'_>> {
    let Records { bytes, count } = records;
    (*count > 0).then_some(MadeRecords::Encoded {
        records: bytes,
        count: *count,
    })
}

/// The addresses of one type of the endpoint that is named after `address`.
fn address_of_endpoint<'s>(
    records: RRsets<'s>,
    services: Option<&'s Services>,
    address: IpAddr,
    record_type: RecordType,
) -> Option<AddressRecords<'s>> {
    let endpoints = Endpoints::of(records, services);
    let is_v4 = record_type == RecordType::A;
    let place = endpoints.place_beside(address, is_v4)?;
    let rrset: RRset<'s> = if is_v4 {
        records.a().only(place)
    } else {
        records.aaaa().only(place - records.a().len())
    };
    Some(rrset.rotated(0, MaxAddresses::All))
}
