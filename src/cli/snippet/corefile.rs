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
# cache: not here. A share is kept by drawing addresses anew for each question. A kept answer is one draw for all who ask
#   meanwhile, and all of them begin with the same address. meshdns answers from memory, it bears the questions.
#   Where CoreDNS has to keep answers, take both of these, and see that meshdns knows CoreDNS (below):
#     cache {
#         success 9984 5 0
#         denial 9984 5 0
#     }
#     loadbalance
# forward: no transport is forced, a question that came over TCP goes on over TCP.
# Who asks for many gets addresses of all sides of a share in one answer, if meshdns knows him. It finds CoreDNS's Pods by
#   their label where it follows the cluster; elsewhere list their addresses under `forwarders` in its configuration.";

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
{bind}    forward . {servers} {{
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
# A NodeLocal DNSCache that follows this ConfigMap makes a server block with `cache 30` of it. No answer is kept for longer
# than its TTL, but for these 5 s all who ask on a node begin with one address. Where that is too coarse for a share, leave
# stubDomains alone and take `meshdns snippet node-local-dns`.
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
