use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use super::{
    Settings, Source, StartError, pool::Pool, question::Mark, system, tls, upstream::Upstream,
};
use crate::dns::Name;

/// Who answers for which domain.
#[derive(Debug)]
pub(super) struct Routes(
    /// The longest domains first.
    Vec<(Name, Arc<Pool>)>,
);

/// Where this server answers.
#[derive(Clone, Debug)]
pub(super) struct Own(Vec<SocketAddr>);

impl Routes {
    /// `own` is where this server answers. Upstreams that are `known` stay what they are.
    pub(super) fn new(
        settings: &Settings,
        mark: Mark,
        own: &[SocketAddr],
        known: &[Arc<Upstream>],
    ) -> Result<Self, StartError> {
        let own = Own(own.to_vec());
        let sources = settings.routes.iter().flat_map(|route| &route.upstreams);
        let endpoints = sources.filter_map(|source| match source {
            Source::At(endpoint) => Some(endpoint),
            Source::System => None,
        });
        let tls = tls::connectors(endpoints)?;
        let mut known = known.to_vec();
        let mut routes = Vec::new();
        for route in &settings.routes {
            let members = system::Members {
                sources: route.upstreams.clone(),
                resolv_conf: settings.resolv_conf.clone(),
                own: own.clone(),
                mark,
                retry_after: settings.retry_after,
                tls: tls.clone(),
            };
            for source in &route.upstreams {
                if let Source::At(endpoint) = source
                    && own.holds(endpoint.address)
                {
                    let upstream = endpoint.address;
                    return Err(StartError::Itself { upstream });
                }
            }
            let upstreams = members.upstreams(&known);
            known.extend(upstreams.iter().cloned());
            let pool = Arc::new(Pool::new(upstreams, settings.policy, settings.timeout));
            if route.upstreams.contains(&Source::System) {
                tokio::spawn(members.follow(Arc::downgrade(&pool)));
            }
            routes.push((route.domain.clone(), pool));
        }
        routes.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.as_wire().len()));
        Ok(Self(routes))
    }

    /// Who answers for a name in lower-case wire form.
    pub(super) fn pool_for(&self, name: &[u8]) -> Option<&Arc<Pool>> {
        let route = self
            .0
            .iter()
            .find(|(domain, _)| is_at_or_below(name, domain.as_wire()));
        route.map(|(_, pool)| pool)
    }

    /// The names of the upstreams that answer for a name, in order, and their domain.
    pub(super) fn of(&self, name: &Name) -> Option<(&Name, Vec<String>)> {
        let mut routes = self.0.iter();
        let (domain, pool) = routes.find(|(domain, _)| name.is_at_or_below(domain))?;
        let upstreams = pool.upstreams();
        let names = upstreams
            .iter()
            .map(|upstream| upstream.endpoint.to_string());
        Some((domain, names.collect()))
    }

    /// Every upstream once, in the order of their addresses.
    pub(super) fn upstreams(&self) -> Vec<Arc<Upstream>> {
        let pools = self.0.iter().map(|(_, pool)| pool.upstreams());
        let mut upstreams: Vec<_> = pools.flat_map(|pool| Vec::clone(&pool)).collect();
        upstreams.sort_by_cached_key(|upstream| upstream.endpoint.to_string());
        upstreams.dedup_by(|a, b| a.endpoint == b.endpoint);
        upstreams
    }
}

impl Own {
    /// Whether a question to `address` would come to this server.
    pub(super) fn holds(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|own| {
            let is_same = own.ip() == address.ip();
            let is_any = own.ip().is_unspecified() && own.is_ipv4() == address.is_ipv4();
            own.port() == address.port() && (is_same || is_any && is_of_this_machine(address))
        })
    }
}

/// Only a machine's own address can be bound.
fn is_of_this_machine(address: SocketAddr) -> bool {
    UdpSocket::bind((address.ip(), 0)).is_ok()
}

fn is_at_or_below(name: &[u8], domain: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > domain.len() {
        rest = &rest[1 + usize::from(rest[0])..];
    }
    rest == domain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &[u8], domain: &[u8], expected: bool) {
        assert_eq!(is_at_or_below(name, domain), expected);
    }

    #[test]
    fn domains_end_at_labels() {
        check(b"\x03www\x04test\0", b"\0", true);
        check(b"\x03www\x04test\0", b"\x04test\0", true);
        check(b"\x04test\0", b"\x04test\0", true);
        check(b"\x05atest\0", b"\x04test\0", false);
        check(b"\0", b"\x04test\0", false);
        check(b"\x03www\x05tests\0", b"\x04test\0", false);
    }

    #[test]
    fn a_wildcard_address_is_every_address_of_the_machine() {
        let address = |text: &str| text.parse().expect("an address");
        let own = Own(vec![address("0.0.0.0:53"), address("192.0.2.1:5300")]);
        assert!(own.holds(address("127.0.0.1:53")));
        assert!(!own.holds(address("127.0.0.1:54")));
        assert!(
            !own.holds(address("192.0.2.1:53")),
            "it is another machine's"
        );
        assert!(own.holds(address("192.0.2.1:5300")));
        assert!(!own.holds(address("[::1]:53")));
    }
}
