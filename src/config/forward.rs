use std::time::Duration;

use ipnet::IpNet;

use super::{
    file::{ForwardDomain, ForwardKeys},
    value::{Network, Upstream},
};
use crate::{
    dns::Name,
    forward::{Route, Settings},
};

/// How long a client waits at most: less than the five seconds after which stubs and dig ask again.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How many queries wait for upstreams at most.
const MAX_WAITING: usize = 4096;

/// How much memory answers of upstreams take: some 100,000 of them.
const CACHE_BYTES: u64 = 32 << 20;

/// How long answers may be given beyond their lifetime while upstreams fail: the least that
/// [RFC 8767 §5](https://www.rfc-editor.org/rfc/rfc8767#section-5) thinks of.
const SERVE_STALE: Duration = Duration::from_hours(24);

/// Where the machine's own upstreams are named.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The clients that names are looked up for by default: this machine, private networks (RFC 1918, RFC 6598, RFC 4193) and
/// the link (RFC 3927, RFC 4291).
const CLIENTS: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// Joins what was said of forwarding; `None` where nothing is forwarded.
pub(super) fn resolve(flags: Vec<Upstream>, keys: ForwardKeys) -> Option<Settings> {
    let upstreams = super::first_said(flags, keys.upstreams);
    let everything = upstreams.map(|upstreams| route(Name::root(), upstreams));
    let domains = keys.domains.into_iter();
    let domains = domains.map(|ForwardDomain { name, upstreams }| route(name.0, upstreams.0));
    let routes: Vec<Route> = everything.into_iter().chain(domains).collect();
    if routes.is_empty() {
        return None;
    }
    Some(Settings {
        routes,
        policy: keys.policy.map(|policy| policy.0).unwrap_or_default(),
        retry_after: keys.retry_after.map(|wait| wait.0),
        timeout: keys.timeout.map_or(TIMEOUT, |wait| wait.0),
        clients: super::first_said(Vec::new(), keys.clients).map_or_else(
            private_networks,
            |networks| {
                networks
                    .into_iter()
                    .map(|Network(network)| network)
                    .collect()
            },
        ),
        cache_bytes: keys.cache_size.map_or(CACHE_BYTES, |memory| memory.bytes),
        serve_stale: keys.serve_stale.map_or(SERVE_STALE, |period| period.0),
        resolv_conf: keys
            .resolv_conf
            .map_or_else(|| RESOLV_CONF.into(), |path| path.0),
        max_waiting: keys.max_waiting.map_or(MAX_WAITING, |limit| limit.0),
    })
}

fn route(domain: Name, upstreams: Vec<Upstream>) -> Route {
    Route {
        domain,
        upstreams: upstreams
            .into_iter()
            .map(|Upstream(endpoint)| endpoint)
            .collect(),
    }
}

fn private_networks() -> Vec<IpNet> {
    CLIENTS
        .iter()
        .map(|text| text.parse().expect("a network"))
        .collect()
}
