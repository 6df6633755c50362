//! The SRV records of a service, written from a host's endpoints when they are asked for.

use std::net::IpAddr;

use super::{
    dashed::DashedLabel,
    encode::{FIXED_LEN, MAX_ANSWER_BYTES, QUESTION_NAME},
    endpoints::{Endpoint, EndpointAt, Endpoints},
    octets::V4_LEN,
    records::RRsets,
    services::Services,
};
use crate::{
    dns::{Class, MAX_NAME_LEN, RecordType, Ttl},
    manifest::ServicePort,
    mesh::Locality,
};

/// Priority, weight and port ([RFC 2782]).
///
/// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
const NUMBERS_LEN: usize = 6;

/// The SRV records of one port of a host ([RFC 2782]): one for each endpoint that answers, in the order for one message.
///
/// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
#[derive(Clone, Copy, Debug)]
pub struct ServiceRecords<'s> {
    ttl: Ttl,
    endpoints: Endpoints<'s>,
    port: &'s ServicePort,
    /// The host's name, in lower-case wire form.
    host: &'s [u8],
    /// Chooses which record comes first.
    turn: u32,
}

/// The same before its name is told: an answer is copied on its way, and most are smaller.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAnswer<'s> {
    octets: &'s [u8],
    services: &'s Services,
    v4_count: u32,
    ttl: Ttl,
    turn: u32,
    /// The number of the port among the host's.
    port: u16,
    /// Where the host begins in the name of the service.
    host_at: u8,
}

// What holds most answers, addresses, has its tag in a byte that this leaves free.
const _: () = assert!(size_of::<ServiceAnswer<'_>>() == 40);

impl<'s> ServiceAnswer<'s> {
    /// Where the service of this port is, whose host begins at `host_at` in its name; `None` where nobody offers it.
    pub(super) fn of(
        records: RRsets<'s>,
        services: &'s Services,
        (name, host_at): (&[u8], usize),
        port: u16,
        turn: u32,
    ) -> Option<Self> {
        let answer = Self {
            octets: records.octets.as_slice(),
            services,
            v4_count: u32::try_from(records.v4_bytes / V4_LEN).ok()?,
            ttl: records.ttl,
            turn,
            port,
            host_at: u8::try_from(host_at).ok()?,
        };
        services.ports.as_deref()?.get(usize::from(port))?;
        (!answer.records(name).is_empty()).then_some(answer)
    }

    /// Whether others get other priorities.
    pub fn depends_on_asker(&self) -> bool {
        self.endpoints().have_places()
    }

    /// The records of `name`, the service's in lower-case wire form.
    pub fn records<'n>(&self, name: &'n [u8]) -> ServiceRecords<'n>
    where
        's: 'n,
    {
        let ports = self.services.ports.as_deref().unwrap_or_default();
        ServiceRecords {
            ttl: self.ttl,
            endpoints: self.endpoints(),
            port: &ports[usize::from(self.port)],
            host: &name[usize::from(self.host_at)..],
            turn: self.turn,
        }
    }

    fn endpoints(&self) -> Endpoints<'s> {
        Endpoints {
            v4_count: self.v4_count as usize,
            octets: self.octets,
            targets: self.services.targets.as_deref(),
        }
    }
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRecord<'s> {
    /// Where the endpoint is.
    pub at: EndpointAt<'s>,
    priority: u16,
    weight: u16,
    port: u16,
    host: &'s [u8],
}

impl<'s> ServiceRecords<'s> {
    /// The TTL of the records, and of the addresses of their targets.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// How many records one message holds, and how many bytes they take.
    pub fn measure(&self) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for record in self.each(None) {
            let with_it = bytes + record.encoded_len();
            if with_it > MAX_ANSWER_BYTES {
                break;
            }
            (count, bytes) = (count + 1, with_it);
        }
        (count, bytes)
    }

    /// Whether there is no record.
    fn is_empty(&self) -> bool {
        self.each(None).next().is_none()
    }

    /// The records for a client at this place, from the turn's on.
    pub fn each(
        &self,
        place: Option<Locality>,
    ) -> impl Iterator<Item = ServiceRecord<'s>> + use<'s> {
        let Self {
            endpoints,
            port,
            host,
            ..
        } = *self;
        let count = endpoints.len();
        let first =
            usize::try_from((u64::from(self.turn) * count as u64) >> 32).expect("below the count");
        let is_like_the_one_before = |number: &usize| {
            *number > 0 && endpoints.get(number - 1).at == endpoints.get(*number).at
        };
        let first = (first..count).find(|number| !is_like_the_one_before(number));
        let first = first.unwrap_or(0);
        let numbers = (first..count).chain(0..first);
        numbers.filter_map(move |number| {
            let endpoint = endpoints.get(number);
            let record = ServiceRecord {
                at: endpoint.at,
                priority: priority(&endpoint, place),
                weight: endpoint.weight,
                port: endpoint.port(port),
                host,
            };
            let record = joined(record, &endpoint, number, endpoints, port)?;
            (record.target_len() <= MAX_NAME_LEN).then_some(record)
        })
    }
}

/// How soon a client at `place` is to try an endpoint: first those of its zone, then those of its region.
fn priority(endpoint: &Endpoint<'_>, place: Option<Locality>) -> u16 {
    let distance = place.map_or(0, |place| place.distance(endpoint.locality));
    u16::try_from(distance).expect("there are three distances")
}

/// Makes one record of those that differ in their weight alone, as endpoints do that have one address and the same port:
/// the first has the weights of all.
fn joined<'s>(
    mut record: ServiceRecord<'s>,
    endpoint: &Endpoint<'_>,
    number: usize,
    endpoints: Endpoints<'s>,
    port: &ServicePort,
) -> Option<ServiceRecord<'s>> {
    let is_same = |other: &Endpoint<'_>| {
        other.locality == endpoint.locality && other.port(port) == record.port
    };
    let is_here = |other: &Endpoint<'_>| other.at == endpoint.at;
    let mut before = (0..number).rev().map(|number| endpoints.get(number));
    if before
        .by_ref()
        .take_while(is_here)
        .any(|other| is_same(&other))
    {
        return None;
    }
    let behind = (number + 1..endpoints.len()).map(|number| endpoints.get(number));
    let same = behind.take_while(is_here).filter(is_same);
    let weight = same.fold(record.weight, |weight, other| {
        weight.saturating_add(other.weight)
    });
    record.weight = weight.min(crate::select::MAX_WEIGHT);
    Some(record)
}

impl ServiceRecord<'_> {
    /// How many bytes stand before the target in what [`ServiceRecord::write`] appends.
    pub const TARGET_AT: usize = FIXED_LEN + NUMBERS_LEN;

    /// How many bytes [`ServiceRecord::write`] appends.
    pub fn encoded_len(&self) -> usize {
        Self::TARGET_AT + self.target_len()
    }

    fn target_len(&self) -> usize {
        match self.at {
            EndpointAt::Address(address, _) => {
                DashedLabel::of(address).as_wire().len() + self.host.len()
            }
            EndpointAt::Name(name) => name.as_wire().len(),
        }
    }

    /// How long the host's name is in wire form.
    pub fn host_len(&self) -> usize {
        self.host.len()
    }

    /// The label below the host that is its target; `None` where that is a name of others.
    pub fn label(&self) -> Option<DashedLabel> {
        match self.at {
            EndpointAt::Address(address, _) => Some(DashedLabel::of(address)),
            EndpointAt::Name(_) => None,
        }
    }

    /// The addresses of its target.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (first, second) = match self.at {
            EndpointAt::Address(address, beside) => (Some(address), beside),
            EndpointAt::Name(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Appends the record, owned by the question's name. The target is not compressed ([RFC 2782]).
    ///
    /// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
    pub fn write(&self, ttl: Ttl, out: &mut Vec<u8>) {
        let rdata_len =
            u16::try_from(NUMBERS_LEN + self.target_len()).expect("a name has at most 255 bytes");
        out.extend_from_slice(&QUESTION_NAME);
        out.extend_from_slice(&RecordType::SRV.0.to_be_bytes());
        out.extend_from_slice(&Class::IN.0.to_be_bytes());
        out.extend_from_slice(&ttl.to_wire());
        out.extend_from_slice(&rdata_len.to_be_bytes());
        let numbers = [self.priority, self.weight, self.port];
        out.extend_from_slice(numbers.map(u16::to_be_bytes).as_flattened());
        match self.at {
            EndpointAt::Address(address, _) => {
                out.extend_from_slice(DashedLabel::of(address).as_wire());
                out.extend_from_slice(self.host);
            }
            EndpointAt::Name(name) => out.extend_from_slice(name.as_wire()),
        }
    }
}
