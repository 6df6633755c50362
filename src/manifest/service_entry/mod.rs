//! `ServiceEntry`: its fields in turn, each with its rules, then the rules that join them.

mod addresses;
mod endpoints;
mod export_to;
mod hosts;
mod ports;
mod selector;

use super::{
    findings::{Findings, nearest},
    labels,
    metadata::Decoded,
    object::{EndpointSource, Resolution, ServiceEntry},
    value::{Entry, Fields, Node, NodeId, Value, quoted},
};
use crate::diagnostic::code;

const FIELDS: &[&str] = &[
    "hosts",
    "addresses",
    "ports",
    "location",
    "resolution",
    "endpoints",
    "workloadSelector",
    "exportTo",
    "subjectAltNames",
];

const RESOLUTIONS: &[&str] = &["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"];

const LOCATIONS: &[&str] = &["MESH_EXTERNAL", "MESH_INTERNAL"];

/// The label that opts a `ServiceEntry` out of Istio's IP allocation.
const ALLOCATION_LABEL: &str = "networking.istio.io/enable-autoallocate-ip";

const WAYPOINT_LABEL: &str = "istio.io/use-waypoint";

/// Reads a ServiceEntry's `spec`.
pub(super) fn decode(
    findings: &mut Findings,
    spec: Fields<'_>,
    decoded: Decoded<'_>,
) -> Option<ServiceEntry> {
    let (metadata, noted) = (decoded.metadata, decoded.noted);
    findings.check_known(spec, FIELDS);
    let resolution = resolution(findings, spec);
    let location = enumerated(findings, spec, "location", LOCATIONS);
    let hosts = hosts::decode(findings, spec, resolution);
    let addresses = addresses::decode(findings, spec, resolution);
    let ports = ports::decode(findings, spec);
    let selector = selector::decode(findings, spec);
    let endpoints = endpoints::decode(findings, spec, resolution, &ports);
    let export = export_to::decode(findings, spec, &metadata.namespace);
    check_alternative_names(findings, spec);

    check_exclusions(findings, spec, resolution);
    hosts::check_against(findings, &hosts, resolution, endpoints.is_empty());
    ports::check_against(
        findings,
        &ports,
        hosts.stated.len(),
        !addresses.stated.is_empty(),
        resolution,
    );
    if addresses.stated.is_empty() && !istio_allocates(resolution, decoded.labels) {
        ports::warn_of_tcp(findings, &ports);
    }
    if resolution == Some(Resolution::DynamicDns) && location == Some("MESH_INTERNAL") {
        check_waypoint(findings, spec, decoded.labels);
    }
    let endpoints = match selector {
        Some(labels) => EndpointSource::Selector(labels),
        None if endpoints.is_empty() => EndpointSource::Neither,
        None => EndpointSource::Inline(endpoints.usable),
    };
    Some(ServiceEntry {
        metadata,
        hosts: hosts.names,
        addresses: addresses.usable,
        resolution: resolution?,
        ports: ports.iter().filter_map(ports::Port::usable).collect(),
        endpoints,
        export,
        notes: noted.notes,
        traffic: noted.traffic,
    })
}

/// `resolution`; `None` where it is wrong, so that no rule builds on a guess.
fn resolution(findings: &mut Findings, spec: Fields<'_>) -> Option<Resolution> {
    if spec.get("resolution").is_none() {
        return Some(Resolution::None);
    }
    Some(
        match enumerated(findings, spec, "resolution", RESOLUTIONS)? {
            "NONE" => Resolution::None,
            "STATIC" => Resolution::Static,
            "DNS" => Resolution::Dns,
            "DNS_ROUND_ROBIN" => Resolution::DnsRoundRobin,
            _ => Resolution::DynamicDns,
        },
    )
}

fn enumerated(
    findings: &mut Findings,
    spec: Fields<'_>,
    name: &str,
    known: &[&'static str],
) -> Option<&'static str> {
    let node = spec.get(name)?;
    if let Value::Int(number) = node.value {
        let message = format!(
            "`{name}` is the number {number}: write its name, one of {}",
            known.join(", ")
        );
        findings.error(node.id, code::WRONG_TYPE, message);
        return None;
    }
    let text = findings.text(node, format_args!("`{name}`"))?;
    let found = known.iter().find(|known| **known == text).copied();
    if found.is_none() {
        let hint = match nearest(text, known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("use one of {}", known.join(", ")),
        };
        findings.error(
            node.id,
            code::UNKNOWN_ENUM,
            format!("`{name}` has no value {}: {hint}", quoted(text)),
        );
    }
    found
}

fn check_alternative_names(findings: &mut Findings, spec: Fields<'_>) {
    let names = spec
        .get("subjectAltNames")
        .and_then(|node| findings.items(node, "`subjectAltNames`"));
    for node in names.unwrap_or_default() {
        findings.text(node, "an entry of `subjectAltNames`");
    }
}

/// The rules on which fields may stand together; the CRD counts an empty list as set.
fn check_exclusions(findings: &mut Findings, spec: Fields<'_>, resolution: Option<Resolution>) {
    let (selector, endpoints) = (spec.get("workloadSelector"), spec.get("endpoints"));
    if let (Some(_), Some(endpoints)) = (selector, endpoints) {
        let message = "both `workloadSelector` and `endpoints` are set: keep one";
        findings.error(endpoints.id, code::SELECTOR_AND_ENDPOINTS, message);
    }
    match resolution {
        Some(Resolution::None) => {
            if let Some(endpoints) = endpoints {
                let message = "`endpoints` need a resolution: set `resolution: STATIC` (or DNS), or take them out";
                findings.error(endpoints.id, code::NONE_WITH_ENDPOINTS, message);
            }
            if let Some(selector) = selector {
                let message = "`workloadSelector` with resolution NONE, which is for connections that know their \
                               address: set `resolution: STATIC`";
                findings.warning(selector.id, code::NONE_WITH_SELECTOR, message);
            }
        }
        Some(Resolution::DynamicDns) => {
            for (name, node) in [
                ("addresses", spec.get("addresses")),
                ("endpoints", endpoints),
            ] {
                if let Some(at) = node.and_then(not_empty) {
                    let message = format!("resolution DYNAMIC_DNS has no `{name}`: take them out");
                    findings.error(at, code::DYNAMIC_DNS_FIELD, message);
                }
            }
        }
        _ => {}
    }
}

fn not_empty(node: &Node<'_>) -> Option<NodeId> {
    match &node.value {
        Value::List(items) if !items.is_empty() => Some(node.id),
        _ => None,
    }
}

/// Whether Istio gives the hosts addresses of its own, which tell TCP services apart.
fn istio_allocates(resolution: Option<Resolution>, labels: &[Entry<'_>]) -> bool {
    resolution != Some(Resolution::None)
        && !labels::get(labels, ALLOCATION_LABEL)
            .is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

fn check_waypoint(findings: &mut Findings, spec: Fields<'_>, labels: &[Entry<'_>]) {
    let waypoint =
        labels::get(labels, WAYPOINT_LABEL).filter(|value| !matches!(*value, "" | "none"));
    if let (Some(waypoint), Some(resolution)) = (waypoint, spec.get("resolution")) {
        let message = format!(
            "resolution DYNAMIC_DNS inside the mesh can't go through the waypoint {}: take the label \
             `{WAYPOINT_LABEL}` out or set `location: MESH_EXTERNAL`",
            quoted(waypoint)
        );
        findings.error(resolution.id, code::DYNAMIC_DNS_WAYPOINT, message);
    }
}
