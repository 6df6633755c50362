//! The upstreams of a route, of which some may be those that the machine itself uses.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use tracing::{info, warn};

use super::{
    Endpoint, Source, Transport, pool::Pool, question::Mark, routes::Own, tls::Connectors,
    upstream::Upstream,
};

/// How often `resolv.conf` is looked at. It is rewritten when the network changes.
const INTERVAL: Duration = Duration::from_secs(2);

/// More name servers than this are passed over; resolvers themselves take three.
const MOST_NAME_SERVERS: usize = 15;

/// The port of the servers that `resolv.conf` names.
const DNS_PORT: u16 = 53;

/// Who belongs to a route.
pub(super) struct Members {
    pub(super) sources: Vec<Source>,
    pub(super) resolv_conf: PathBuf,
    pub(super) own: Own,
    pub(super) mark: Mark,
    pub(super) retry_after: Option<Duration>,
    pub(super) tls: Option<Connectors>,
}

impl Members {
    /// The upstreams as they are to be; those that are `known` stay what they are.
    pub(super) fn upstreams(&self, known: &[Arc<Upstream>]) -> Vec<Arc<Upstream>> {
        let known = |endpoint: &Endpoint| {
            let mut known = known.iter();
            let known = known.find(|upstream| upstream.endpoint == *endpoint)?;
            known.health().set_patience(self.retry_after);
            Some(known.clone())
        };
        let new = |endpoint| {
            Arc::new(Upstream::new(
                endpoint,
                self.mark,
                self.retry_after,
                self.tls.clone(),
            ))
        };
        let endpoints = self.endpoints().into_iter();
        endpoints
            .map(|endpoint| known(&endpoint).unwrap_or_else(|| new(endpoint)))
            .collect()
    }

    /// Follows the changes of `resolv.conf` as long as there is the pool.
    pub(super) async fn follow(self, pool: Weak<Pool>) {
        let mut text = self.read();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(pool) = pool.upgrade() else { return };
            let next = self.read();
            if next == text {
                continue;
            }
            text = next;
            let upstreams = self.upstreams(&pool.upstreams());
            let names: Vec<_> = upstreams
                .iter()
                .map(|upstream| upstream.endpoint.to_string())
                .collect();
            info!(upstreams = names.join(" "), file = %self.resolv_conf.display(), "other upstreams are asked");
            pool.set_upstreams(upstreams);
        }
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for source in &self.sources {
            let next = match source {
                Source::At(endpoint) => vec![endpoint.clone()],
                Source::System => self.system(),
            };
            for endpoint in next {
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
        endpoints
    }

    /// The servers that `resolv.conf` names, except for this one.
    fn system(&self) -> Vec<Endpoint> {
        let text = self.read().unwrap_or_default();
        let addresses = name_servers(&text).filter(|address| !self.own.holds(*address));
        let endpoints: Vec<_> = addresses
            .take(MOST_NAME_SERVERS)
            .map(|address| Endpoint {
                transport: Transport::Udp,
                address,
            })
            .collect();
        if endpoints.is_empty() {
            warn!(file = %self.resolv_conf.display(), "it names no upstream besides this server");
        }
        endpoints
    }

    fn read(&self) -> Option<String> {
        std::fs::read_to_string(&self.resolv_conf).ok()
    }
}

/// The servers that a `resolv.conf` names; an interface behind `%` is of no use to us and such an address is passed over.
fn name_servers(text: &str) -> impl Iterator<Item = SocketAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let ip: IpAddr = match (words.next()?, words.next()) {
            ("nameserver", Some(address)) => address.parse().ok()?,
            _ => return None,
        };
        Some(SocketAddr::new(ip, DNS_PORT))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_name_servers_and_nothing_else() {
        let text = "# nameserver 192.0.2.9\nsearch a.test\nnameserver 192.0.2.1\n nameserver\t::1 \nnameserver\nnameserver fe80::1%eth0\noptions edns0\n";
        let found: Vec<_> = name_servers(text)
            .map(|address| address.to_string())
            .collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
