//! A real API server with etcd, what writes to it, and what stands in between.
#![allow(dead_code)] // each crate uses a part

pub(crate) mod api;
pub(crate) mod cluster;
mod http;
#[path = "../../needs/mod.rs"]
pub(crate) mod needs;
pub(crate) mod objects;
pub(crate) mod proxy;
#[path = "../../secure/mod.rs"]
pub(crate) mod secure;
pub(crate) mod tunnel;

use std::time::Duration;

/// How long anything here may take, on a machine as busy as it may be.
const PATIENCE: Duration = Duration::from_mins(3);
