//! `endpoints`: which form of address each resolution takes.

use std::collections::HashSet;

use super::{
    super::{
        findings::Findings,
        host,
        object::{Endpoint, Resolution},
        value::{Entry, Fields, NodeId, quoted},
        workload::{self, Form, Holder, WorkloadSpec},
        workload_entry::{is_ip, selectable_labels},
    },
    ports::Port,
};
use crate::diagnostic::code;

/// The inline endpoints.
#[derive(Default)]
pub(super) struct Endpoints {
    count: usize,
    /// Those that could be read.
    pub(super) usable: Vec<Endpoint>,
}

impl Endpoints {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Reads `endpoints`.
pub(super) fn decode(
    findings: &mut Findings,
    spec: Fields<'_>,
    resolution: Option<Resolution>,
    ports: &[Port<'_>],
) -> Endpoints {
    let Some(list) = spec.get("endpoints") else {
        return Endpoints::default();
    };
    let Some(items) = findings.items(list, "`endpoints`") else {
        return Endpoints::default();
    };
    findings.check_count(list.id, items.len(), 4096, "`endpoints`");
    if resolution == Some(Resolution::DnsRoundRobin)
        && let Some(second) = items.get(1)
    {
        let message = "resolution DNS_ROUND_ROBIN takes one endpoint at most: keep one or use DNS";
        findings.error(second.id, code::ROUND_ROBIN_ENDPOINTS, message);
    }
    let port_names: HashSet<&str> = ports.iter().filter_map(Port::name).collect();
    let mut endpoints = Endpoints {
        count: items.len(),
        usable: Vec::new(),
    };
    for node in items {
        let Some(fields) = findings.fields(node, "an endpoint") else {
            continue;
        };
        let endpoint = workload::decode(findings, fields, Holder::Entry);
        match resolution {
            Some(Resolution::Static) => check_static(findings, &endpoint, node.id, &port_names),
            Some(Resolution::Dns | Resolution::DnsRoundRobin) => {
                check_dns(findings, &endpoint, node.id);
                check_ports(findings, &endpoint, &port_names);
            }
            // The endpoints must not be there at all, or nobody can say what they should be.
            Some(Resolution::None | Resolution::DynamicDns) | None => {}
        }
        if let Some(address) = workload::usable_address(findings, &endpoint) {
            endpoints.usable.push(Endpoint {
                address,
                labels: selectable_labels(&endpoint, &[]),
                attributes: endpoint.attributes(),
            });
        }
    }
    endpoints
}

fn check_static(
    findings: &mut Findings,
    endpoint: &WorkloadSpec<'_>,
    at: NodeId,
    ports: &HashSet<&str>,
) {
    workload::require_address(findings, endpoint, at);
    check_ports(findings, endpoint, ports);
    let Some(address) = endpoint.address else {
        return;
    };
    match address.form {
        Form::Unix if ports.len() != 1 => {
            let message = format!(
                "a unix endpoint needs exactly one service port, but there are {}",
                ports.len()
            );
            findings.error(address.at, code::UNIX_SERVICE_PORTS, message);
        }
        Form::Other if host::check_name(address.text).is_ok() => {
            let message = format!(
                "the endpoint {} is a name, and resolution STATIC takes IP addresses: use resolution DNS",
                quoted(address.text)
            );
            findings.error(address.at, code::STATIC_NAME, message);
        }
        Form::Other => findings.error(
            address.at,
            code::STATIC_NAME,
            workload::explain_address(address.text),
        ),
        Form::Unix | Form::Ip(_) => {}
    }
}

fn check_dns(findings: &mut Findings, endpoint: &WorkloadSpec<'_>, at: NodeId) {
    match (endpoint.address, endpoint.network) {
        (Some(address), _) => {
            let form = address.form;
            if form == Form::Unix {
                let message = format!(
                    "the endpoint {} is a socket, which resolution DNS can't use",
                    quoted(address.text)
                );
                findings.error(address.at, code::DNS_ENDPOINT, message);
            } else if !is_ip(form) && host::check_name(address.text).is_err() {
                findings.error(
                    address.at,
                    code::DNS_ENDPOINT,
                    workload::explain_address(address.text),
                );
            }
        }
        (None, Some(network)) => {
            let message = "the endpoint has no `address`, and resolution DNS can't use a network alone: write a name";
            findings.error(network.at, code::DNS_ENDPOINT, message);
        }
        (None, None) => workload::require_address(findings, endpoint, at),
    }
}

fn check_ports(findings: &mut Findings, endpoint: &WorkloadSpec<'_>, ports: &HashSet<&str>) {
    for Entry { key: port, .. } in endpoint
        .ports
        .iter()
        .filter(|port| !ports.contains(port.key.text))
    {
        let message = format!(
            "the ServiceEntry has no port {}: name one of its `ports`",
            quoted(port.text)
        );
        findings.error(port.id, code::ENDPOINT_PORT_UNKNOWN, message);
    }
}
