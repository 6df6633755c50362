//! Our own checks of endpoints: probes of real listeners that do what they are told.

mod fleet;
mod grpc;
mod http;
mod local;
mod observe;
mod redirects;
mod requests;
#[path = "../secure/mod.rs"]
mod secure;
mod tcp;
mod tls;
