//! Probes: what an endpoint answers when it is asked how it is.
//!
//! An [`Observer`] makes one observation each, as a kubelet would from outside of the machine: `tcpSocket`, `httpGet`, `grpc`.
//! Every probe has a connection of its own, so that it meets what a new client meets, and leaves no trace of it for minutes in
//! this machine's sockets and in the tables of firewalls.
//!
//! Never goes anywhere but to the endpoint's own address, and only where [`Reach`](crate::health::Reach) lets it. Never keeps
//! a byte of what an endpoint says, and never decides what an observation means: [`health`](crate::health) does.

mod canaries;
mod connect;
mod grpc;
mod http;
mod metrics;
mod miss;
mod observer;
mod prober;
mod probing;
mod redirect;
mod runner;
mod saved;
mod shared;
mod talk;
mod tls;

pub use observer::Observer;
pub use prober::{SharedBoard, StartError};
pub use probing::{ProbeMetrics, Probing};
