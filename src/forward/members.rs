use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{Endpoint, Source, Transport, question::Mark, tls::Connectors, upstream::Upstream};

/// Who belongs to a route.
#[derive(Clone)]
pub(super) struct Members {
    pub(super) sources: Vec<Source>,
    pub(super) mark: Mark,
    pub(super) retry_after: Option<Duration>,
    pub(super) tls: Option<Connectors>,
}

impl Members {
    /// The upstreams as they are to be where the machine itself uses `system`; those that are `known` stay what they are.
    pub(super) fn upstreams(
        &self,
        system: &[SocketAddr],
        known: &[Arc<Upstream>],
    ) -> Vec<Arc<Upstream>> {
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
        let endpoints = self.endpoints(system).into_iter();
        endpoints
            .map(|endpoint| known(&endpoint).unwrap_or_else(|| new(endpoint)))
            .collect()
    }

    /// Each endpoint once, in order.
    fn endpoints(&self, system: &[SocketAddr]) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for source in &self.sources {
            let next = match source {
                Source::At(endpoint) => vec![endpoint.clone()],
                Source::System => system.iter().copied().map(over_udp).collect(),
            };
            for endpoint in next {
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
        endpoints
    }
}

fn over_udp(address: SocketAddr) -> Endpoint {
    Endpoint {
        transport: Transport::Udp,
        address,
    }
}
