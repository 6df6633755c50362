//! The mesh that all programs ask for: a host of each kind, and what has to come back.

use std::{collections::BTreeSet, fs, net::IpAddr};

use crate::machine::{Machine, Reply};

/// The file of the wildcard, and the name below which each name is a host.
pub(crate) const WILDCARD: &str = "zones/apps.yaml";
const APPS: &str = "apps.internal.com";

/// A name with its addresses of both families.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) exists: bool,
    pub(crate) addresses: BTreeSet<IpAddr>,
}

impl Host {
    /// A name with these addresses; it exists unless it says otherwise.
    pub(crate) fn new(name: &'static str, addresses: impl IntoIterator<Item = String>) -> Self {
        let addresses = addresses.into_iter();
        Self {
            name,
            exists: !name.starts_with("nosuch."),
            addresses: addresses
                .map(|address| address.parse().expect("an address"))
                .collect(),
        }
    }
}

/// Every kind of name.
pub(crate) fn hosts() -> Vec<Host> {
    let v4 = |network: u8, count: u8| (1..=count).map(move |last| format!("10.{network}.0.{last}"));
    let v6 = |count: u8| (1..=count).map(|last| format!("2001:db8:1::{last}"));
    vec![
        Host::new("v4.internal.com", v4(1, 3)),
        Host::new("v6.internal.com", v6(2)),
        Host::new("both.internal.com", v4(1, 2).chain(v6(2))),
        Host::new("hundred.internal.com", v4(2, 100)),
        Host::new("nobody.internal.com", []),
        Host::new("nosuch.internal.com", []),
        Host::new("any.depth.apps.internal.com", v4(3, 1)),
    ]
}

/// The `number`th of many names that all exist: no cache has it.
pub(crate) fn fresh(number: usize) -> String {
    format!("n{number}.{APPS}")
}

/// The mesh of [`hosts`], in the machine's folder.
pub(crate) fn write(machine: &Machine) {
    // Selected by nothing that is there.
    let mut text = service_entry(
        "nobody.internal.com",
        "workloadSelector: {labels: {app: nobody}}",
    );
    for host in hosts() {
        if !host.name.ends_with(APPS) && !host.addresses.is_empty() {
            let addresses = host.addresses.iter();
            let endpoints = addresses.map(|address| format!("{{address: \"{address}\"}}"));
            let endpoints: Vec<String> = endpoints.collect();
            let entry = service_entry(host.name, &format!("endpoints: [{}]", endpoints.join(", ")));
            // Otherwise an answer holds as many as fit the asker's message, and no answer would be truncated.
            text += &entry.replace(
                "namespace: ns1",
                "namespace: ns1, annotations: {meshdns.io/max-addresses: \"0\"}",
            );
        }
    }
    machine.write("zones/hosts.yaml", &text);
    machine.write(WILDCARD, &wildcard(0));
}

/// The wildcard's ServiceEntry, with as many other hosts beside it.
pub(crate) fn wildcard(others: usize) -> String {
    let mut text = service_entry(&format!("'*.{APPS}'"), "endpoints: [{address: 10.3.0.1}]");
    for number in 0..others {
        let host = format!("other{number}.internal.com");
        text += &service_entry(&host, "endpoints: [{address: 10.4.0.1}]");
    }
    text
}

pub(crate) fn service_entry(host: &str, endpoints: &str) -> String {
    let name = host.trim_matches(['\'', '*', '.']);
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: ns1}}
spec:
  hosts: [{host}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  {endpoints}
"
    )
}

/// Replaces a file of the mesh as careful programs do.
pub(crate) fn replace(machine: &Machine, file: &str, text: &str) {
    let beside = machine.write("beside", text);
    fs::rename(beside, machine.path(file)).expect("a rename");
}

/// Asks a server in the machine for every kind of name; `more` are options of `dig`.
#[track_caller]
pub(crate) fn is_answered(machine: &Machine, server: &str, more: &[&str]) {
    for host in hosts() {
        for (record_type, is_v4) in [("A", true), ("AAAA", false)] {
            let mut expected = host.addresses.clone();
            expected.retain(|address| address.is_ipv4() == is_v4);
            let at = format!("@{server}");
            let arguments = [&[&at, host.name, record_type], more].concat();
            let reply = machine.dig(&arguments);
            let status = if host.exists { "NOERROR" } else { "NXDOMAIN" };
            let expected = Reply {
                status: status.to_owned(),
                addresses: expected,
            };
            assert_eq!(reply, expected, "dig {arguments:?}");
        }
    }
}
