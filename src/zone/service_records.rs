//! The SRV records of a service, written from a host's endpoints when they are asked for.

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
    /// The first label of the target, where that is a name below the host.
    label: Option<DashedLabel>,
    /// The target, or what of it is behind the label: the host's name.
    name: &'s [u8],
    priority: u16,
    weight: u16,
    port: u16,
}

impl<'s> ServiceRecords<'s> {
    /// The TTL of the records, and of the addresses of their targets.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Whether there is no record.
    fn is_empty(&self) -> bool {
        self.endpoints().next().is_none()
    }

    /// The records for a client at this place, from the turn's on: as many as one message holds.
    pub fn each(
        &self,
        place: Option<Locality>,
    ) -> impl Iterator<Item = ServiceRecord<'s>> + use<'s> {
        let Self { port, host, .. } = *self;
        let records = self.endpoints().map(move |(endpoint, weight)| {
            let (label, name) = match endpoint.at {
                EndpointAt::Address(address, _) => (Some(DashedLabel::of(address)), host),
                EndpointAt::Name(name) => (None, name.as_wire()),
            };
            ServiceRecord {
                at: endpoint.at,
                label,
                name,
                priority: priority(&endpoint, place),
                weight,
                port: endpoint.port(port),
            }
        });
        let mut bytes = 0;
        records.take_while(move |record| {
            bytes += record.encoded_len();
            bytes <= MAX_ANSWER_BYTES
        })
    }

    /// Where the endpoints of the records are, in the same order.
    pub fn targets(&self) -> impl Iterator<Item = EndpointAt<'s>> + use<'s> {
        self.endpoints().map(|(endpoint, _)| endpoint.at)
    }

    /// How long the name is that targets are below.
    pub fn host_len(&self) -> usize {
        self.host.len()
    }

    /// The endpoints that have a record, and its weight.
    fn endpoints(&self) -> impl Iterator<Item = (Endpoint<'s>, u16)> + use<'s> {
        let Self {
            endpoints,
            port,
            host,
            ..
        } = *self;
        let count = endpoints.len();
        let are_distinct = endpoints.are_distinct();
        let first =
            usize::try_from((u64::from(self.turn) * count as u64) >> 32).expect("below the count");
        let is_like_the_one_before = |number: &usize| {
            *number > 0 && endpoints.get(number - 1).at == endpoints.get(*number).at
        };
        let first = if are_distinct {
            first
        } else {
            let mut behind = (first..count).filter(|number| !is_like_the_one_before(number));
            behind.next().unwrap_or(0)
        };
        let numbers = (first..first + count).map(move |number| {
            if number < count {
                number
            } else {
                number - count
            }
        });
        let with_weights = numbers.filter_map(move |number| {
            let endpoint = endpoints.get(number);
            let weight = if are_distinct {
                endpoint.weight
            } else {
                joined_weight(&endpoint, number, endpoints, port)?
            };
            Some((endpoint, weight))
        });
        with_weights.filter(|(endpoint, _)| has_name(endpoint.at, host))
    }
}

/// Whether the name of an endpoint is none that is too long.
fn has_name(at: EndpointAt<'_>, host: &[u8]) -> bool {
    if host.len() + DashedLabel::MAX_WIRE_LEN <= MAX_NAME_LEN {
        return true;
    }
    match at {
        EndpointAt::Address(address, _) => {
            DashedLabel::of(address).as_wire().len() + host.len() <= MAX_NAME_LEN
        }
        EndpointAt::Name(_) => true,
    }
}

/// How soon a client at `place` is to try an endpoint: first those of its zone, then those of its region.
fn priority(endpoint: &Endpoint<'_>, place: Option<Locality>) -> u16 {
    let distance = place.map_or(0, |place| place.distance(endpoint.locality));
    u16::try_from(distance).expect("there are three distances")
}

/// The weight of an endpoint and of those that differ from it in their weight alone, as endpoints do that have one address and the
/// same port: the first has the weights of all, and the others have no record.
fn joined_weight(
    endpoint: &Endpoint<'_>,
    number: usize,
    endpoints: Endpoints<'_>,
    port: &ServicePort,
) -> Option<u16> {
    let is_here = |other: &Endpoint<'_>| other.at == endpoint.at;
    let is_same = |other: &Endpoint<'_>| {
        other.locality == endpoint.locality && other.port(port) == endpoint.port(port)
    };
    let before = (0..number).rev().map(|number| endpoints.get(number));
    if before.take_while(is_here).any(|other| is_same(&other)) {
        return None;
    }
    let behind = (number + 1..endpoints.len()).map(|number| endpoints.get(number));
    let same = behind.take_while(is_here).filter(is_same);
    let weight = same.fold(endpoint.weight, |weight, other| {
        weight.saturating_add(other.weight)
    });
    Some(weight.min(crate::select::MAX_WEIGHT))
}

impl ServiceRecord<'_> {
    /// How many bytes stand before the target in what [`ServiceRecord::write`] appends.
    pub const TARGET_AT: usize = FIXED_LEN + NUMBERS_LEN;

    /// How many bytes [`ServiceRecord::write`] appends.
    pub fn encoded_len(&self) -> usize {
        Self::TARGET_AT + self.target_len()
    }

    fn target_len(&self) -> usize {
        self.target().map(<[u8]>::len).iter().sum()
    }

    /// The label of the target, and the rest of it.
    fn target(&self) -> [&[u8]; 2] {
        let label = self.label.as_ref().map_or(&[][..], DashedLabel::as_wire);
        [label, self.name]
    }

    /// The target in its two parts, where it is a name below the host: its label, and the host.
    pub fn below_host(&self) -> Option<[&[u8]; 2]> {
        self.label.is_some().then(|| self.target())
    }

    /// Appends the record, owned by the question's name. The target is not compressed ([RFC 2782]).
    ///
    /// [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782
    pub fn write(&self, ttl: Ttl, out: &mut Vec<u8>) {
        let rdata_len =
            u16::try_from(NUMBERS_LEN + self.target_len()).expect("a name has at most 255 bytes");
        let mut fixed = [0; Self::TARGET_AT];
        fixed[..2].copy_from_slice(&QUESTION_NAME);
        fixed[2..4].copy_from_slice(&RecordType::SRV.0.to_be_bytes());
        fixed[4..6].copy_from_slice(&Class::IN.0.to_be_bytes());
        fixed[6..10].copy_from_slice(&ttl.to_wire());
        let numbers = [rdata_len, self.priority, self.weight, self.port];
        fixed[10..].copy_from_slice(numbers.map(u16::to_be_bytes).as_flattened());
        out.extend_from_slice(&fixed);
        for part in self.target() {
            out.extend_from_slice(part);
        }
    }
}
