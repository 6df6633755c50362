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
    endpoints::Endpoints,
    pointers::PointerRecord,
    records::{AddressRecords, RRsets},
    service_records::ServiceAnswer,
    services::Services,
    shard::{Entry, Held},
};
use crate::{dns::RecordType, manifest::Transport};

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
    Services(ServiceAnswer<'s>),
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
    pub(super) fn only_type(self) -> Option<RecordType> {
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

/// What `name` is, in which `host` begins at `host_at`, where it is made from that.
#[cold]
#[inline(never)] // Most names are none: they don't pay for this.
pub(super) fn made_below(host: &Entry<'_>, name: &[u8], host_at: usize) -> Option<Made> {
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
    Some(made)
}

/// The first label of what is left of a name, and what is behind it.
pub(super) fn label_of(labels: &[u8]) -> Option<(&[u8], &[u8])> {
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
