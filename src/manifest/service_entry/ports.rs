//! `ports`: what SRV records are made from. Their protocols decide what may stand together.

use super::super::{
    findings::Findings,
    host,
    object::{Resolution, ServicePort, Transport},
    value::{Fields, NodeId, Value, is_port, quoted},
    workload::Stated,
};
use crate::diagnostic::{Code, code};

const FIELDS: &[&str] = &["number", "protocol", "name", "targetPort"];

/// One service port, as far as it could be read.
pub(super) struct Port<'a> {
    at: NodeId,
    name: Option<Stated<'a>>,
    number: Option<u16>,
    target: Option<u16>,
    /// Where the protocol stands, or the port where it is not set.
    protocol_at: NodeId,
    protocol: Protocol,
}

/// What matters of a protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Unset,
    Tcp,
    Udp,
    Http,
    Http2,
    HttpProxy,
    Grpc,
    GrpcWeb,
    Https,
    Tls,
    /// A database protocol, which is TCP by another name.
    Database,
    /// An error was reported: no rule builds on it.
    Unknown,
}

impl Protocol {
    fn from_text(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "" => Self::Unset,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "http" => Self::Http,
            "http2" => Self::Http2,
            "http_proxy" => Self::HttpProxy,
            "grpc" => Self::Grpc,
            "grpc-web" => Self::GrpcWeb,
            "https" => Self::Https,
            "tls" => Self::Tls,
            "mongo" | "redis" | "mysql" => Self::Database,
            _ => Self::Unknown,
        }
    }

    /// Whether a proxy can tell hosts apart on one port: by the HTTP host or the TLS server name.
    fn names_its_host(self) -> bool {
        !matches!(self, Self::Unset | Self::Tcp | Self::Udp | Self::Database)
    }

    /// Whether Istio counts the protocol as TCP.
    fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::Https | Self::Tls | Self::Database)
    }
}

impl Port<'_> {
    /// The port's name where it has one.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.map(|name| name.text)
    }

    /// The port, where all of it could be read.
    pub(super) fn usable(&self) -> Option<ServicePort> {
        Some(ServicePort {
            name: self.name()?.into(),
            number: self.number?,
            target: self.target.filter(|target| Some(*target) != self.number),
            transport: match self.protocol {
                Protocol::Udp => Transport::Udp,
                _ => Transport::Tcp,
            },
            is_https: self.protocol == Protocol::Https,
        })
    }
}

/// Reads `ports`.
pub(super) fn decode<'a>(findings: &mut Findings, spec: Fields<'a>) -> Vec<Port<'a>> {
    let mut ports: Vec<Port<'a>> = Vec::new();
    let Some(list) = spec.get("ports") else {
        return ports;
    };
    let Some(items) = findings.items(list, "`ports`") else {
        return ports;
    };
    findings.check_count(list.id, items.len(), 256, "`ports`");
    // What is over the limit is an error already, and comparing it would take its square.
    for node in items.iter().take(256) {
        let Some(fields) = findings.fields(node, "a port") else {
            continue;
        };
        let port = port(findings, fields);
        if let Some(name) = port.name
            && ports.iter().any(|other| other.name() == Some(name.text))
        {
            let message = format!("two ports have the name {}: rename one", quoted(name.text));
            findings.error(name.at, code::PORT_NAME_TAKEN, message);
        }
        if let (Some(number), Some(node)) = (port.number, fields.get("number"))
            && ports.iter().any(|other| other.number == port.number)
        {
            let message = format!("two ports have the number {number}: change one");
            findings.error(node.id, code::PORT_NUMBER_TAKEN, message);
        }
        ports.push(port);
    }
    ports
}

fn port<'a>(findings: &mut Findings, fields: Fields<'a>) -> Port<'a> {
    findings.check_known(fields, FIELDS);
    if fields.get("number").is_none() {
        findings.error(
            fields.id,
            code::PORT_NUMBER,
            "the port's `number` is missing: use 1 to 65535",
        );
    }
    let number = port_number(findings, fields, "number", code::PORT_NUMBER);
    let target = port_number(findings, fields, "targetPort", code::TARGET_PORT);
    let (protocol_at, protocol) = protocol(findings, fields);
    Port {
        at: fields.id,
        name: name(findings, fields),
        number,
        target,
        protocol_at,
        protocol,
    }
}

fn port_number(findings: &mut Findings, fields: Fields<'_>, name: &str, code: Code) -> Option<u16> {
    let node = fields.get(name)?;
    let number = match node.value {
        Value::Int(number) => number,
        _ => findings.integer(node, format_args!("`{name}`"))?,
    };
    if is_port(number) {
        return u16::try_from(number).ok();
    }
    findings.error(
        node.id,
        code,
        format!("`{name}` is {}: use 1 to 65535", node.shown()),
    );
    None
}

fn name<'a>(findings: &mut Findings, fields: Fields<'a>) -> Option<Stated<'a>> {
    let Some(node) = fields.get("name") else {
        findings.error(
            fields.id,
            code::PORT_NAME,
            "the port's `name` is missing: write one, such as `http`",
        );
        return None;
    };
    let text = findings.text(node, "a port's `name`")?;
    if !host::is_label(text) {
        let message = format!(
            "the port name {} is malformed: use at most 63 letters, digits and `-`, with a letter or digit at both \
             ends",
            quoted(text)
        );
        findings.error(node.id, code::PORT_NAME, message);
    }
    Some(Stated { at: node.id, text })
}

fn protocol(findings: &mut Findings, fields: Fields<'_>) -> (NodeId, Protocol) {
    let Some(node) = fields.get("protocol") else {
        return (fields.id, Protocol::Unset);
    };
    let Some(text) = findings.text(node, "`protocol`") else {
        return (node.id, Protocol::Unknown);
    };
    let protocol = Protocol::from_text(text);
    if protocol == Protocol::Unknown {
        let message = format!(
            "`protocol` has no value {}: use one of HTTP, HTTPS, GRPC, GRPC-Web, HTTP2, HTTP_PROXY, MONGO, TCP, TLS, \
             UDP, REDIS, MYSQL",
            quoted(text)
        );
        findings.error(node.id, code::PROTOCOL, message);
    }
    (node.id, protocol)
}

/// The rules that join ports, hosts, `addresses` and `resolution`.
pub(super) fn check_against(
    findings: &mut Findings,
    ports: &[Port<'_>],
    hosts: usize,
    has_addresses: bool,
    resolution: Option<Resolution>,
) {
    let Some(resolution) = resolution else { return };
    if resolution == Resolution::DynamicDns {
        check_dynamic(findings, ports);
    }
    if hosts < 2 || resolution == Resolution::None {
        return;
    }
    if let Some(port) = ports.iter().find(|port| !port.protocol.names_its_host()) {
        let message = "several hosts share this port, whose protocol (TCP unless it is set) can't tell them apart: \
                       use HTTP or TLS, or one ServiceEntry a host";
        findings.error(port.protocol_at, code::SEVERAL_HOSTS_TCP, message);
    }
    let is_dns = matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    if let Some(port) = ports
        .iter()
        .find(|port| port.protocol.is_tcp())
        .filter(|_| is_dns && has_addresses)
    {
        let message =
            "several hosts share the `addresses` and this TCP port: use one ServiceEntry a host";
        findings.warning(port.protocol_at, code::SEVERAL_HOSTS_ADDRESSES, message);
    }
}

fn check_dynamic(findings: &mut Findings, ports: &[Port<'_>]) {
    let taken = [
        Protocol::Http,
        Protocol::Http2,
        Protocol::Grpc,
        Protocol::Tls,
        Protocol::Unknown,
    ];
    for port in ports.iter().filter(|port| !taken.contains(&port.protocol)) {
        let message = "resolution DYNAMIC_DNS takes the protocols HTTP, HTTP2, GRPC and TLS alone";
        findings.error(port.protocol_at, code::DYNAMIC_DNS_PROTOCOL, message);
    }
}

/// Warns of TCP ports that no address tells apart from others.
pub(super) fn warn_of_tcp(findings: &mut Findings, ports: &[Port<'_>]) {
    for port in ports
        .iter()
        .filter(|port| matches!(port.protocol, Protocol::Unset | Protocol::Tcp))
    {
        let message = "a TCP port (or one without protocol) needs `addresses` here: Istio allocates none for this \
                       ServiceEntry";
        findings.warning(port.at, code::TCP_WITHOUT_ADDRESSES, message);
    }
}
