//! What there is to see of upstreams, for those who look.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::forwarder::Forwarder;
use crate::dns::Name;

/// A route and its upstreams.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// The domain that they are asked for.
    pub domain: Name,
    /// Them, in the order in which they are asked.
    pub upstreams: Vec<String>,
}

/// An upstream.
#[derive(Clone, Debug)]
pub struct UpstreamView {
    /// Its address, as the configuration has it.
    pub name: String,
    /// Whether it answers.
    pub is_up: bool,
    /// How many questions were sent to it.
    pub asked: u64,
    /// How many of them got no reply in time.
    pub unanswered: u64,
    /// How long a reply takes at present.
    pub takes: Option<Duration>,
}

/// What is kept of answers.
#[derive(Clone, Copy, Debug)]
pub struct CacheView {
    /// How many answers.
    pub entries: usize,
    /// How much memory they take.
    pub bytes: u64,
    /// How many questions were answered from it.
    pub hits: u64,
    /// For how many an upstream had to be asked.
    pub misses: u64,
    /// How many answers were too old, and given for want of others.
    pub stale: u64,
}

impl Forwarder {
    /// The routes, the most specific first.
    pub fn route_views(&self) -> Vec<RouteView> {
        let domains = self.routes.domains();
        let views = domains.map(|domain| RouteView {
            domain: domain.clone(),
            upstreams: self
                .routes
                .of(domain)
                .map_or_else(Vec::new, |(_, upstreams)| upstreams),
        });
        views.collect()
    }

    /// The upstreams, in the order of their addresses.
    pub fn upstream_views(&self) -> Vec<UpstreamView> {
        let upstreams = self.routes.upstreams();
        let views = upstreams.iter().map(|upstream| {
            let health = upstream.health();
            UpstreamView {
                name: upstream.endpoint.to_string(),
                is_up: !health.is_down(),
                asked: upstream.figures.asked.load(Relaxed),
                unanswered: upstream.figures.unanswered.load(Relaxed),
                takes: health.smoothed(),
            }
        });
        views.collect()
    }

    /// What is kept of answers.
    pub fn cache_view(&self) -> CacheView {
        CacheView {
            entries: self.cache.len(),
            bytes: self.cache.bytes(),
            hits: self.figures.hits.load(Relaxed),
            misses: self.figures.misses.load(Relaxed),
            stale: self.figures.stale.load(Relaxed),
        }
    }
}
