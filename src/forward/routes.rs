use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Weak},
};

use tracing::info;

use super::{
    Settings, Source, StartError, members::Members, own::Own, pool::Pool, question::Mark,
    system::ResolvConf, tls, upstream::Upstream,
};
use crate::{dns::Name, threads};

/// Who answers for which domain.
#[derive(Debug)]
pub(super) struct Routes {
    /// The longest domains first.
    routes: Vec<(Name, Arc<Pool>)>,
    /// Where a route's upstreams are named; `None` where there is no such route.
    system: Option<Arc<ResolvConf>>,
}

impl Routes {
    /// `own` is where this server answers. The upstreams of the routes that these replace stay what they are.
    pub(super) fn new(
        settings: &Settings,
        mark: Mark,
        own: &[SocketAddr],
        before: Option<&Self>,
    ) -> Result<Self, StartError> {
        let own = Own(own.to_vec());
        let sources = settings.routes.iter().flat_map(|route| &route.upstreams);
        let endpoints = sources.filter_map(|source| match source {
            Source::At(endpoint) => Some(endpoint),
            Source::System => None,
        });
        let tls = tls::connectors(endpoints.clone())?;
        for endpoint in endpoints {
            if own.holds(endpoint.address) {
                let upstream = endpoint.address;
                return Err(StartError::Itself { upstream });
            }
        }
        let mut sources = settings.routes.iter().flat_map(|route| &route.upstreams);
        let system = sources.any(|source| *source == Source::System).then(|| {
            let before = before.and_then(|before| before.system.as_deref());
            ResolvConf::read(&settings.resolv_conf, own, before)
        });
        let servers = system.as_ref().map(|conf| conf.servers());
        let servers = servers.unwrap_or_default();
        let mut known = before.map(Self::upstreams).unwrap_or_default();
        let (mut routes, mut following) = (Vec::new(), Vec::new());
        for route in &settings.routes {
            let members = Members {
                sources: route.upstreams.clone(),
                mark,
                retry_after: settings.retry_after,
                tls: tls.clone(),
            };
            let upstreams = members.upstreams(&servers, &known);
            known.extend(upstreams.iter().cloned());
            let pool = Arc::new(Pool::new(upstreams, settings.policy, settings.timeout));
            if route.upstreams.contains(&Source::System) {
                following.push((members, Arc::downgrade(&pool)));
            }
            routes.push((route.domain.clone(), pool));
        }
        if let Some(system) = &system {
            let take = move |servers: &[SocketAddr], file: &Path| {
                for (members, pool) in &following {
                    set_upstreams(members, pool, servers, file);
                }
            };
            let following = ResolvConf::follow(Arc::downgrade(system), take);
            tokio::spawn(threads::watched("resolv.conf".to_owned(), following));
        }
        routes.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.as_wire().len()));
        Ok(Self { routes, system })
    }

    /// The domains that upstreams are named for.
    pub(super) fn domains(&self) -> impl Iterator<Item = &Name> {
        self.routes.iter().map(|(domain, _)| domain)
    }

    /// Who answers for a name in lower-case wire form.
    pub(super) fn pool_for(&self, name: &[u8]) -> Option<&Arc<Pool>> {
        let mut routes = self.routes.iter();
        let route = routes.find(|(domain, _)| is_at_or_below(name, domain.as_wire()));
        route.map(|(_, pool)| pool)
    }

    /// The names of the upstreams that answer for a name, in order, and their domain.
    pub(super) fn of(&self, name: &Name) -> Option<(&Name, Vec<String>)> {
        let mut routes = self.routes.iter();
        let (domain, pool) = routes.find(|(domain, _)| name.is_at_or_below(domain))?;
        Some((domain, names(&pool.upstreams())))
    }

    /// Every upstream once, in the order of their addresses.
    pub(super) fn upstreams(&self) -> Vec<Arc<Upstream>> {
        let pools = self.routes.iter().map(|(_, pool)| pool.upstreams());
        let mut upstreams: Vec<_> = pools.flat_map(|pool| Vec::clone(&pool)).collect();
        upstreams.sort_by_cached_key(|upstream| upstream.endpoint.to_string());
        upstreams.dedup_by(|a, b| a.endpoint == b.endpoint);
        upstreams
    }
}

/// Gives a pool other upstreams because the machine uses others.
fn set_upstreams(members: &Members, pool: &Weak<Pool>, servers: &[SocketAddr], file: &Path) {
    if let Some(pool) = pool.upgrade() {
        let upstreams = members.upstreams(servers, &pool.upstreams());
        let names = names(&upstreams).join(" ");
        info!(upstreams = names, file = %file.display(), "other upstreams are asked");
        pool.set_upstreams(upstreams);
    }
}

fn names(upstreams: &[Arc<Upstream>]) -> Vec<String> {
    let names = upstreams
        .iter()
        .map(|upstream| upstream.endpoint.to_string());
    names.collect()
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
}
