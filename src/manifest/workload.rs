//! The fields that `WorkloadEntries`, inline endpoints and `WorkloadGroup` templates share, with the CRD's rules for them.
//!
//! What differs (whether an address is needed, and in what form) is for the object that holds them.

use std::{borrow::Cow, num::NonZeroU32};

use super::{
    address::{self, Ip},
    attributes::Attributes,
    findings::Findings,
    host,
    labels::{self, Judge},
    object::Address,
    value::{Entry, Fields, Key, Node, NodeId, Value, is_port, quoted},
};
use crate::diagnostic::code;

/// How an address on a unix socket begins.
const UNIX_PREFIX: &str = "unix://";

const FIELDS: &[&str] = &[
    "address",
    "ports",
    "labels",
    "network",
    "locality",
    "weight",
    "serviceAccount",
];

/// A `WorkloadEntry`'s spec as it was read.
#[derive(Default)]
pub(super) struct WorkloadSpec<'a> {
    /// Not empty.
    pub(super) address: Option<StatedAddress<'a>>,
    /// Not empty.
    pub(super) network: Option<Stated<'a>>,
    pub(super) locality: Option<&'a str>,
    pub(super) labels: Cow<'a, [Entry<'a>]>,
    /// `ports`, by name.
    pub(super) ports: &'a [Entry<'a>],
    /// 0 where there is none.
    weight: u32,
}

impl WorkloadSpec<'_> {
    /// What answers are weighed by, and the ports that they tell.
    pub(super) fn attributes(&self) -> Attributes {
        let ports = self.ports.iter().filter_map(|Entry { key, value }| {
            let number = value
                .as_whole()
                .and_then(|number| u16::try_from(number).ok());
            Some((Box::from(key.text), number?))
        });
        let mut ports: Box<[_]> = ports.collect();
        ports.sort_unstable();
        Attributes {
            weight: NonZeroU32::new(self.weight).unwrap_or(NonZeroU32::MIN),
            ports,
        }
    }
}

/// A text and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated<'a> {
    pub(super) at: NodeId,
    pub(super) text: &'a str,
}

/// What an address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Ip(Ip),
    Unix,
    /// A name, or nothing of the kind: the caller says which.
    Other,
}

/// An address, its place and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatedAddress<'a> {
    pub(super) at: NodeId,
    pub(super) text: &'a str,
    pub(super) form: Form,
}

impl<'a> From<Stated<'a>> for StatedAddress<'a> {
    fn from(Stated { at, text }: Stated<'a>) -> Self {
        let form = if text.starts_with(UNIX_PREFIX) {
            Form::Unix
        } else {
            address::ip(text).map_or(Form::Other, Form::Ip)
        };
        Self { at, text, form }
    }
}

/// Whose labels are judged: a template's are not, as its webhook does not look at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holder {
    Entry,
    Template,
}

/// Reads the fields of a `WorkloadEntry`'s spec.
pub(super) fn decode<'a>(
    findings: &mut Findings,
    fields: Fields<'a>,
    holder: Holder,
) -> WorkloadSpec<'a> {
    findings.check_known(fields, FIELDS);
    let mut spec = WorkloadSpec {
        address: text(findings, fields, "address", 256).map(StatedAddress::from),
        network: text(findings, fields, "network", 2048),
        locality: text(findings, fields, "locality", 2048).map(|locality| locality.text),
        ..WorkloadSpec::default()
    };
    text(findings, fields, "serviceAccount", 253);
    spec.weight = weight(findings, fields).unwrap_or_default();
    if let Some(node) = fields.get("labels") {
        let labels = findings.texts(node, "`labels`").unwrap_or_default();
        findings.check_count(node.id, labels.len(), 256, "`labels`");
        if holder == Holder::Entry {
            labels::check(findings, &labels, Judge::Istio);
        }
        spec.labels = labels;
    }
    if let Some(node) = fields.get("ports") {
        spec.ports = ports(findings, node);
    }
    if let Some(address) = spec.address.filter(|address| address.form == Form::Unix) {
        check_unix(findings, address, fields.get("ports"));
    }
    spec
}

/// Refuses a spec with neither address nor network, and warns of one with a network alone.
pub(super) fn require_address(findings: &mut Findings, spec: &WorkloadSpec<'_>, at: NodeId) {
    match (&spec.address, &spec.network) {
        (Some(_), _) => {}
        (None, Some(network)) => {
            let message = format!(
                "there is no `address`, only the network {}: it adds no answer",
                quoted(network.text)
            );
            findings.warning(network.at, code::NETWORK_ONLY, message);
        }
        (None, None) => findings.error(
            at,
            code::NO_ADDRESS,
            "`address` is missing: write an IP address or a name",
        ),
    }
}

/// The address in the form that answers are made from; warns of one that no answer can hold.
pub(super) fn usable_address(findings: &mut Findings, spec: &WorkloadSpec<'_>) -> Option<Address> {
    let Some(address) = spec.address else {
        return spec
            .network
            .map(|network| Address::Network(network.text.into()));
    };
    Some(match address.form {
        Form::Ip(Ip::Plain(ip)) => Address::Ip(ip),
        Form::Ip(Ip::Zoned) => {
            let message = format!(
                "the address {} has a zone, which no DNS answer can hold: it adds no answer",
                quoted(address.text)
            );
            findings.warning(address.at, code::ADDRESS_ZONE, message);
            Address::Name(address.text.into())
        }
        Form::Unix => Address::Unix(address.text.into()),
        Form::Other => Address::Name(address.text.into()),
    })
}

/// Says what is wrong with a text that should be an address.
pub(super) fn explain_address(text: &str) -> String {
    let hint = match host::check_name(text) {
        _ if text.starts_with("unix:") => "a socket is written `unix:///absolute/path`".to_owned(),
        _ if address::block(text).is_some() => {
            "a block is no address: write one of its addresses".to_owned()
        }
        _ if text.matches(':').count() == 1 || text.starts_with('[') => {
            "write the address alone, without port".to_owned()
        }
        Err(host::HostError::Numeric(_)) => {
            "an IPv4 address has four numbers from 0 to 255, and a name does not end with a number"
                .to_owned()
        }
        Err(host::HostError::Label(label)) if label.contains('*') => {
            "an address has no wildcard".to_owned()
        }
        Err(host::HostError::Label(label)) if !label.contains(':') => {
            format!(
                "it is no IP address, and a name can't have the label {}",
                quoted(label)
            )
        }
        _ => "write an IP address or a name".to_owned(),
    };
    format!("the address {} can't be used: {hint}", quoted(text))
}

fn text<'a>(
    findings: &mut Findings,
    fields: Fields<'a>,
    name: &str,
    limit: usize,
) -> Option<Stated<'a>> {
    let node = fields.get(name)?;
    if let Some(text) = node.as_text().filter(|text| text.len() <= limit) {
        return (!text.is_empty()).then_some(Stated { at: node.id, text });
    }
    let what = format_args!("`{name}`");
    let text = findings.text(node, what)?;
    findings.check_length(node.id, text, limit, what);
    Some(Stated { at: node.id, text })
}

fn weight(findings: &mut Findings, fields: Fields<'_>) -> Option<u32> {
    let node = fields.get("weight")?;
    let number = findings.integer(node, "`weight`")?;
    let weight = u32::try_from(number).ok();
    if weight.is_none() {
        let message = format!("`weight` is {}: use 0 to 4294967295", node.shown());
        findings.error(node.id, code::WEIGHT, message);
    }
    weight
}

fn ports<'a>(findings: &mut Findings, node: &Node<'a>) -> &'a [Entry<'a>] {
    let Some(fields) = findings.fields(node, "`ports`") else {
        return &[];
    };
    findings.check_count(node.id, fields.entries.len(), 128, "`ports`");
    for entry in fields.entries {
        check_port(findings, &entry.key, &entry.value);
    }
    fields.entries
}

fn check_port(findings: &mut Findings, key: &Key<'_>, value: &Node<'_>) {
    // The CRD wants fewer than 63 characters where the webhook takes 63.
    if !host::is_label(key.text) || key.text.len() > 62 {
        let message = format!(
            "the port name {} is malformed: use at most 62 letters, digits and `-`, with a letter or digit at both \
             ends",
            quoted(key.text)
        );
        findings.error(key.id, code::PORT_MAP, message);
    }
    if matches!(value.value, Value::Int(number) if is_port(number)) {
        return;
    }
    let what = format!("the port {}", quoted(key.text));
    if findings
        .integer(value, &what)
        .is_some_and(|number| !is_port(number))
    {
        let message = format!("{what} is {}: use 1 to 65535", value.shown());
        findings.error(value.id, code::PORT_MAP, message);
    }
}

fn check_unix(findings: &mut Findings, address: StatedAddress<'_>, ports: Option<&Node<'_>>) {
    let path = &address.text[UNIX_PREFIX.len()..];
    if !path.starts_with(['/', '@']) || path.ends_with('/') {
        let message = format!(
            "the unix address {} is no socket: write `unix:///absolute/path` or `unix://@name`",
            quoted(address.text)
        );
        findings.error(address.at, code::UNIX_PATH, message);
    }
    if let Some(ports) = ports {
        findings.error(
            ports.id,
            code::UNIX_PORTS,
            "a unix address has no ports: take `ports` out",
        );
    }
}
