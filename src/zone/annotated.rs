//! What annotations ask for, made into texts.

use super::{
    HostRecords,
    endpoints::Endpoints,
    services::Services,
    texts::{HTTPS_PORT, Records, Texts},
};
use crate::{
    dns::{Name, RecordType, Ttl},
    manifest::{ServicePort, TrafficNotes},
};

/// The longest string of a TXT record ([RFC 1035 §3.3.14](https://www.rfc-editor.org/rfc/rfc1035#section-3.3.14)).
const MAX_STRING_LEN: usize = 255;

/// The keys of SVCB parameters ([RFC 9460 §14.3.2](https://www.rfc-editor.org/rfc/rfc9460#section-14.3.2)).
const KEY_ALPN: u16 = 1;
const KEY_PORT: u16 = 3;

/// What the annotations of a host's ServiceEntries, the oldest first, ask for; `None` where that is nothing.
pub(super) fn texts_of<'n>(
    host: &Name,
    notes: &(impl Iterator<Item = &'n TrafficNotes> + Clone),
    records: &HostRecords,
    services: &Services,
    ttl: Ttl,
) -> Option<Texts> {
    let mut said = Texts::default();
    if let Some(notes) = notes.clone().find(|notes| !notes.texts.is_empty()) {
        let records = notes.texts.iter().map(|text| text_rdata(text));
        said.own = Records::of(RecordType::TXT, ttl, records);
    }
    if let Some(config) = notes.clone().find_map(|notes| notes.grpc_config.as_deref()) {
        let rdata = text_rdata(&format!("grpc_config={config}"));
        said.grpc_config = Records::of(RecordType::TXT, ttl, [rdata].into_iter());
    }
    if let Some(notes) = notes.clone().find(|notes| !notes.https.is_empty()) {
        let ports = services.ports.as_deref().unwrap_or_default().iter();
        let https = ports.filter(|port| port.is_https).filter_map(|port| {
            let endpoints = Endpoints::of(records.rrsets(), Some(services));
            let reached = reached_port(endpoints, port)?;
            let rdata = https_rdata(host, &notes.https, port.number, reached);
            let records = Records::of(RecordType::HTTPS, ttl, [rdata].into_iter());
            Some((port.number, records))
        });
        said.https = https.collect();
    }
    (said != Texts::default()).then_some(said)
}

/// A text in strings, each as long as may be.
fn text_rdata(text: &str) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(text.len() + 1 + text.len() / MAX_STRING_LEN);
    if text.is_empty() {
        rdata.push(0);
    }
    for string in text.as_bytes().chunks(MAX_STRING_LEN) {
        rdata.push(u8::try_from(string.len()).expect("cut to 255 bytes"));
        rdata.extend(string);
    }
    rdata
}

/// The port at which all endpoints are reached; `None` where they differ, for a record says one for all.
fn reached_port(endpoints: Endpoints<'_>, port: &ServicePort) -> Option<u16> {
    let mut ports = (0..endpoints.len()).map(|number| endpoints.get(number).port(port));
    let first = ports.next().unwrap_or(port.target.unwrap_or(port.number));
    ports.all(|other| other == first).then_some(first)
}

/// `1 . alpn=h2,http/1.1`: the data of an HTTPS record ([RFC 9460 §2.2]) for `port` of `host`, whose endpoints have it at `reached`.
/// Without address hints, which would lead past shares and health.
///
/// [RFC 9460 §2.2]: https://www.rfc-editor.org/rfc/rfc9460#section-2.2
fn https_rdata(host: &Name, protocols: &[Box<str>], port: u16, reached: u16) -> Vec<u8> {
    let mut rdata = 1_u16.to_be_bytes().to_vec();
    // Below the host, the name itself has no addresses.
    let root = Name::root();
    let target = if port == HTTPS_PORT { &root } else { host };
    rdata.extend(target.as_wire());
    let mut alpn = Vec::new();
    for protocol in protocols {
        alpn.push(u8::try_from(protocol.len()).expect("the reader takes at most 255 bytes"));
        alpn.extend(protocol.as_bytes());
    }
    push_parameter(&mut rdata, KEY_ALPN, &alpn);
    if reached != port {
        push_parameter(&mut rdata, KEY_PORT, &reached.to_be_bytes());
    }
    rdata
}

fn push_parameter(rdata: &mut Vec<u8>, key: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("32 protocols are the most");
    rdata.extend(key.to_be_bytes());
    rdata.extend(length.to_be_bytes());
    rdata.extend(value);
}
