//! Names that are not ours, answered by upstream servers.
//!
//! A [`Forwarder`] takes queries for names that the snapshot leaves to others, from clients that it looks names up for, and
//! writes what an upstream says. [`Forwarder::now`] is for the threads that read sockets: it never waits, and either writes
//! the answer from the cache or hands out a [`DeferredQuery`], to be [answered](DeferredQuery::answer) on tokio. When the
//! settings change, [another one](Forwarder::succeeded_by) takes its place and its cache. [`Forwarder::addresses`] is for
//! endpoints that are names.
//!
//! What becomes of a question is decided in one place (`decide`), from what is kept, who is there and which way the question
//! came; the rest carries that out. Owns which upstream is asked, how long it is waited for, what is kept, and what a reply
//! must have to be believed. The bytes of messages are `wire`'s. What reaches this module is not in the mesh; it looks there
//! only for where aliases lead.

mod address;
mod along;
mod answered;
mod asker;
mod cache;
mod client;
mod connection;
mod decide;
mod dial;
mod edns;
mod error;
mod exchange;
mod figures;
mod forwarder;
mod health;
mod https;
mod in_flight;
mod members;
mod metrics;
mod names;
mod own;
mod pool;
mod question;
mod routes;
mod settings;
mod shares;
mod special;
mod system;
mod tls;
mod upstream;
mod view;

pub use address::{AddressError, socket_address};
pub use client::{Mesh, Passed};
pub use error::{ResolutionError, StartError};
pub use forwarder::{DeferredQuery, Forwarder, InForce, Now};
pub use metrics::ForwardMetrics;
pub use names::Resolution;
pub use settings::{Endpoint, Policy, Route, Settings, Source, Transport};
pub use view::{CacheView, RouteView, UpstreamView};
