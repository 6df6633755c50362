//! `hosts`.

use super::super::{
    findings::Findings,
    host,
    object::Resolution,
    value::{Fields, quoted},
    workload::Stated,
};
use crate::{diagnostic::code, dns::Name};

/// The hosts as stated, and those that can answer.
#[derive(Default)]
pub(super) struct Hosts<'a> {
    pub(super) stated: Vec<Stated<'a>>,
    /// Once each.
    pub(super) names: Vec<Name>,
}

/// Reads `hosts`, each by itself.
pub(super) fn decode<'a>(
    findings: &mut Findings,
    spec: Fields<'a>,
    resolution: Option<Resolution>,
) -> Hosts<'a> {
    let mut hosts = Hosts::default();
    let missing = "there is no host: write at least one in `hosts`";
    let Some(list) = spec.get("hosts") else {
        findings.error(spec.id, code::NO_HOSTS, missing);
        return hosts;
    };
    let Some(items) = findings.items(list, "`hosts`") else {
        return hosts;
    };
    if items.is_empty() {
        findings.error(list.id, code::NO_HOSTS, missing);
    }
    findings.check_count(list.id, items.len(), 256, "`hosts`");
    // What is over the limit is an error already, and comparing it would take its square.
    for node in items.iter().take(256) {
        let Some(text) = findings.text(node, "a host") else {
            continue;
        };
        let host = Stated { at: node.id, text };
        hosts.stated.push(host);
        if let Some(name) = name(findings, host, resolution)
            && !hosts.names.contains(&name)
        {
            hosts.names.push(name);
        }
    }
    hosts
}

/// The name that a host answers for.
fn name(findings: &mut Findings, host: Stated<'_>, resolution: Option<Resolution>) -> Option<Name> {
    let Stated { at, text } = host;
    if text == "*" {
        findings.error(
            at,
            code::HOST_ANY,
            "the host `*` stands for every name: write a domain, such as `*.example.com`",
        );
        return None;
    }
    if let Err(error) = host::check_host(text) {
        findings.error(at, error.code(), format!("host {}", error.explain(text)));
        return None;
    }
    if text.starts_with('*') && !text.starts_with("*.") {
        // With DYNAMIC_DNS Istio finds nothing to warn of; DNS has no such wildcard either way.
        if resolution != Some(Resolution::DynamicDns) {
            let message = format!(
                "the host {} is no wildcard in DNS and answers nothing: write `*.`",
                quoted(text)
            );
            findings.warning(at, code::HOST_PARTIAL_WILDCARD, message);
        }
        return None;
    }
    let name = Name::from_text(text)
        .ok()
        .filter(|name| name.as_wire() != b"\x01*\0");
    if name.is_none() {
        let message = format!(
            "the host {} is no name that a DNS message can carry: it answers nothing",
            quoted(text)
        );
        findings.warning(at, code::HOST_UNUSABLE, message);
    }
    name
}

/// The rules that join hosts and `resolution`.
pub(super) fn check_against(
    findings: &mut Findings,
    hosts: &Hosts<'_>,
    resolution: Option<Resolution>,
    without_endpoints: bool,
) {
    let valid = hosts
        .stated
        .iter()
        .filter(|host| host.text != "*" && host::check_host(host.text).is_ok());
    match resolution {
        Some(Resolution::Dns | Resolution::DnsRoundRobin) if without_endpoints => {
            for host in valid.filter(|host| host::check_name(host.text).is_err()) {
                let message = format!(
                    "the host {} can't be looked up: without `endpoints`, resolution DNS needs full names",
                    quoted(host.text)
                );
                findings.error(host.at, code::WILDCARD_NEEDS_ENDPOINTS, message);
            }
        }
        Some(Resolution::DynamicDns) => {
            for host in valid.filter(|host| !host.text.starts_with('*')) {
                let message = format!(
                    "the host {} is no wildcard: resolution DYNAMIC_DNS takes wildcards alone",
                    quoted(host.text)
                );
                findings.error(host.at, code::DYNAMIC_DNS_HOST, message);
            }
        }
        _ => {}
    }
}
