//! What the configuration's `health` means for the parts of a running server.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    config::Config,
    control::HealthOptions,
    health::{CheckPolicy, Reach},
    pipeline::Policy,
};

/// How the mesh is answered, and which endpoints are checked: never where this server listens, at `own`.
pub(super) fn policy(config: &Config, seed: u64, own: &[SocketAddr]) -> Policy {
    let checks = config.health.as_ref().map(|health| CheckPolicy {
        reach: Reach::new(health.networks.clone(), own.to_vec()),
        ..health.policy.clone()
    });
    Policy {
        checks: checks.map(Arc::new),
        ..config.policy(seed)
    }
}

/// What concerns the loop.
pub(super) fn options(config: &Config) -> HealthOptions {
    let Some(health) = &config.health else {
        return HealthOptions::default();
    };
    HealthOptions {
        overrides: health.overrides.clone(),
        start_within: health.start_within,
        drain_margin: health.drain_margin,
        names_endpoints: health.has_endpoint_metrics,
    }
}
