//! Our own checks of endpoints: probes of real listeners that do what they are told, and the real binary in front of them.

mod fleet;
mod flips;
mod groups;
mod grpc;
mod http;
mod life;
mod limits;
mod local;
mod mesh;
#[path = "../needs/mod.rs"]
mod needs;
mod observe;
#[path = "../program/mod.rs"]
mod program;
mod redirects;
mod requests;
mod restart;
mod running;
#[path = "../secure/mod.rs"]
mod secure;
#[path = "../serving/mod.rs"]
mod serving;
mod shown;
mod stanza;
mod start;
mod tcp;
mod tls;
mod vms;
