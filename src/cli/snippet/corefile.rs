//! Clusters: CoreDNS and those that are built on it or configured like it.

use serde_json::{Map, Value};

use super::{Mesh, Server, SnippetError, at_most};

/// CoreDNS refuses a `forward` with more upstreams.
const MOST_UPSTREAMS: usize = 15;

/// Where a node's own cache answers, by convention.
const NODE_LOCAL: &str = "169.254.20.10";

/// The cluster's own resolver, for a shell with `kubectl`.
const CLUSTER_DNS: &str =
    "$(kubectl -n kube-system get service kube-dns -o jsonpath={.spec.clusterIP})";

/// Why the lines of a server block are what they are.
const REASONS: &str = "\
# cache: keeps no answer for longer than its TTL, 5 s at most. The third number is the shortest time; without it CoreDNS
#   keeps every answer for 5 s. All who ask meanwhile get the addresses in one order: without `cache` each question gets
#   an order of its own.
# loadbalance: not here, for it would undo an order that meshdns chose. Where every address is as good as the others,
#   it spreads clients that ask a cached answer.
# forward: no transport is forced, a question that came over TCP goes on over TCP.";

pub(super) fn coredns(mesh: &Mesh) -> Result<String, SnippetError> {
    let block = block(mesh, "CoreDNS", "")?;
    Ok(format!(
        "\
# CoreDNS: a server block, beside the block of `.` in the Corefile.
#   kubectl -n kube-system edit configmap coredns
# Where the cluster's owner has a place for additions, as in coredns-custom, it goes there.
{REASONS}
{block}
{}",
        mesh.check("#", CLUSTER_DNS),
    ))
}

pub(super) fn node_local_dns(mesh: &Mesh) -> Result<String, SnippetError> {
    let bind = format!("    bind {NODE_LOCAL}\n");
    let block = block(mesh, "NodeLocal DNSCache", &bind)?;
    Ok(format!(
        "\
# NodeLocal DNSCache: a server block of its Corefile, for clusters without stubDomains in kube-dns's ConfigMap.
#   kubectl -n kube-system edit configmap node-local-dns
# bind: the same addresses as in the other blocks.
{REASONS}
{block}
{}",
        mesh.check("#", NODE_LOCAL),
    ))
}

/// A server block for all zones.
fn block(mesh: &Mesh, program: &'static str, bind: &str) -> Result<String, SnippetError> {
    at_most(mesh, MOST_UPSTREAMS, program)?;
    let zones = mesh.zones(" ", |zone| format!("{zone}:53"));
    let servers = mesh.servers(" ", Server::as_socket);
    Ok(format!(
        "\
{zones} {{
    errors
{bind}    cache {{
        success 9984 5 0
        denial 9984 5 0
    }}
    forward . {servers} {{
        policy round_robin
        max_fails 2
    }}
}}"
    ))
}

pub(super) fn kube_dns(mesh: &Mesh) -> Result<String, SnippetError> {
    at_most(mesh, MOST_UPSTREAMS, "kube-dns")?;
    if let Some(zone) = mesh.zones.iter().find(|zone| zone.contains('_')) {
        return Err(SnippetError::Underscore(zone.clone()));
    }
    let servers: Vec<Value> = mesh
        .servers
        .iter()
        .map(|server| server.as_socket().into())
        .collect();
    let domains = mesh.zones.iter().cloned();
    let domains: Map<String, Value> = domains.map(|zone| (zone, servers.clone().into())).collect();
    Ok(format!(
        "\
# kube-dns: kubectl apply -f this file. Are there other stubDomains already? Then add these to them by
#   kubectl -n kube-system edit configmap kube-dns
# A NodeLocal DNSCache that follows this ConfigMap makes a server block with `cache 30` of it, which does no harm: no
# answer is kept for longer than its TTL.
apiVersion: v1
kind: ConfigMap
metadata:
  name: kube-dns
  namespace: kube-system
data:
  stubDomains: |
    {}
{}",
        Value::from(domains),
        mesh.check("#", CLUSTER_DNS),
    ))
}
