//! Names below a host that nothing is stored for: they are made when they are asked for.
//!
//! | Name | Is there | Has |
//! | --- | --- | --- |
//! | `_http._tcp.<host>` | for a port of that name and transport | SRV |
//! | `_tcp.<host>`, `_udp.<host>`, `_https.<host>` | while there are such names below it | nothing |
//! | `10-0-1-11.<host>` | while the host answers with the address | A and AAAA of that endpoint |
//! | `_grpc_config.<host>` | by annotation | TXT |
//! | `_8443._https.<host>` | by annotation, for a port that is not 443 | HTTPS |
//! | `11.1.0.10.in-addr.arpa` | in a declared zone, while a host answers with the address | PTR |
//!
//! A host of such a name beats it, and it beats a wildcard. Below a wildcard nothing is made: it would not stand at one name.

use std::net::IpAddr;

use super::{
    dashed,
    pointers::PointerRecord,
    records::{AddressRecords, RRset, RRsets},
    reverse,
    service_records::ServiceRecords,
    services::{Endpoints, Services},
    shard::{Entry, Held},
    snapshot::{Found, Snapshot},
    texts::Records,
};
use crate::{
    dns::{Name, RecordType},
    manifest::{MaxAddresses, Transport},
};

/// What a name is that is made when it is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// The name of one endpoint, by its address.
    Endpoint(IpAddr),
    /// A service: the number of its port among the host's.
    Service(u16),
    /// Where gRPC looks for its config.
    GrpcConfig,
    /// HTTPS at this port.
    Https(u16),
    /// The name of an address, which leads to the name of an endpoint.
    Address(IpAddr),
    /// It has names below it.
    Between,
}

/// The records of a name that is made when it is asked for, and of a host those that are no addresses.
#[derive(Clone, Copy, Debug)]
pub enum MadeRecords<'s> {
    /// The addresses of one endpoint.
    Addresses(AddressRecords<'s>),
    /// Where a service is.
    Services(ServiceRecords<'s>),
    /// The name of an endpoint.
    Pointer(PointerRecord<'s>),
    /// Records as a message has them, each owned by the question's name.
    Encoded {
        /// The records.
        records: &'s [u8],
        /// How many they are.
        count: usize,
    },
}

impl Made {
    /// Whether the mesh has records of this type at the name, be they none at present.
    pub fn has(self, record_type: RecordType) -> bool {
        match self {
            Self::Endpoint(_) => record_type.is_address(),
            Self::Service(_) => record_type == RecordType::SRV,
            Self::GrpcConfig => record_type == RecordType::TXT,
            Self::Https(_) => record_type == RecordType::HTTPS,
            Self::Address(_) => record_type == RecordType::PTR,
            Self::Between => false,
        }
    }

    /// The type of its records.
    fn only_type(self) -> Option<RecordType> {
        match self {
            Self::Endpoint(_) | Self::Between => None,
            Self::Service(_) => Some(RecordType::SRV),
            Self::GrpcConfig => Some(RecordType::TXT),
            Self::Https(_) => Some(RecordType::HTTPS),
            Self::Address(_) => Some(RecordType::PTR),
        }
    }
}

/// Whether the first label of `name` may be of one that is made: all others are told apart by one byte.
#[inline] // Asked for each name that does not exist by itself.
pub(super) fn may_be_made(name: &[u8]) -> bool {
    matches!(name.get(1), Some(b'_' | b'0'..=b'9' | b'a'..=b'f'))
}

impl Snapshot {
    /// What `name` is, which exists because there are hosts below it, where it is made from a host as well.
    #[cold]
    #[inline(never)]
    pub(super) fn find_made(&self, name: &[u8]) -> Option<Found<'_>> {
        let (label, parent) = label_of(name)?;
        let host_at = 1 + label.len();
        made_below(&self.entry(parent)?, name, host_at)
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
                let ports = services?.ports.as_deref()?;
                let services = ServiceRecords {
                    ttl: records.ttl,
                    endpoints: Endpoints::of(records, services),
                    port: ports.get(usize::from(number))?,
                    host: host.name,
                    turn,
                };
                (!services.is_empty()).then_some(MadeRecords::Services(services))
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

/// What `name` is, in which `host` begins at `host_at`, where it is made from that.
#[cold]
#[inline(never)] // Most names are none: they don't pay for this.
pub(super) fn made_below<'s>(host: &Entry<'s>, name: &[u8], host_at: usize) -> Option<Found<'s>> {
    let Held::Records(records) = host.here() else {
        return None;
    };
    let labels = &name[..host_at];
    let (first, rest) = label_of(labels)?;
    let made = if rest.is_empty() {
        match directly_below(records, host.services(), first)? {
            DirectlyBelow::Made(made) => made,
            DirectlyBelow::Of(_) | DirectlyBelow::Https => Made::Between,
        }
    } else {
        let services = host.services()?;
        let (second, others) = label_of(rest)?;
        if !others.is_empty() {
            return None;
        }
        let label = first.strip_prefix(b"_")?;
        match directly_below(records, Some(services), second)? {
            DirectlyBelow::Of(transport) => Made::Service(port_number(services, transport, label)?),
            DirectlyBelow::Https => Made::Https(https_port(services, label)?),
            DirectlyBelow::Made(_) => return None,
        }
    };
    Some(Found::Made {
        apex_at: host_at + usize::from(host.apex_at),
        host_at,
        made,
    })
}

/// The first label of what is left of a name, and what is behind it.
fn label_of(labels: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = labels.split_first()?;
    rest.split_at_checked((*length).into())
}

/// What a label means directly below a host.
enum DirectlyBelow {
    Made(Made),
    /// The services of a transport.
    Of(Transport),
    Https,
}

fn directly_below(
    records: RRsets<'_>,
    services: Option<&Services>,
    label: &[u8],
) -> Option<DirectlyBelow> {
    let texts = || services?.texts.as_deref();
    let transport = |transport| {
        let has_ports = services?.ports_of(transport).next().is_some();
        has_ports.then_some(DirectlyBelow::Of(transport))
    };
    match label {
        b"_tcp" => transport(Transport::Tcp),
        b"_udp" => transport(Transport::Udp),
        b"_https" => texts()?.has_https_below().then_some(DirectlyBelow::Https),
        b"_grpc_config" => {
            let has_config = texts()?.grpc_config.count > 0;
            has_config.then_some(DirectlyBelow::Made(Made::GrpcConfig))
        }
        label => {
            let address = dashed::address_of(label)?;
            Endpoints::of(records, services).place_of(address)?;
            Some(DirectlyBelow::Made(Made::Endpoint(address)))
        }
    }
}

/// The number among the host's ports of the one with this name, in lower case.
fn port_number(services: &Services, transport: Transport, name: &[u8]) -> Option<u16> {
    let mut ports = services.ports.as_deref()?.iter();
    let is_it = |name: &[u8], other: &str| other.as_bytes().eq_ignore_ascii_case(name);
    let number = ports.position(|port| port.transport == transport && is_it(name, &port.name))?;
    u16::try_from(number).ok()
}

/// The port of HTTPS that a label is the number of.
fn https_port(services: &Services, label: &[u8]) -> Option<u16> {
    let port: u16 = std::str::from_utf8(label).ok()?.parse().ok()?;
    let is_spelt_so = !label.starts_with(b"0") && !label.starts_with(b"+");
    let is_there = is_spelt_so && services.texts.as_deref()?.https_below(port).is_some();
    is_there.then_some(port)
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
