//! Names that are not ours, answered by upstream servers.
//!
//! A [`Forwarder`] takes queries for names that the snapshot does not hold, from clients that it looks names up for, and
//! writes what an upstream says. [`Forwarder::now`] is for the threads that read sockets: it never waits, and either writes
//! the answer from the cache or hands out a [`Ticket`], to be [redeemed](Ticket::redeem) on tokio. When the settings change,
//! [another one](Forwarder::succeeded_by) takes its place and its cache. [`Forwarder::addresses`] is for names that stand in
//! the place of addresses in the mesh.
//!
//! Owns which upstream is asked, how long it is waited for, what is kept, and what a reply must have to be believed. The
//! bytes of messages are `wire`'s. Never looks into the mesh: what reaches this module is not in it.

mod cache;
mod connection;
mod dial;
mod edns;
mod exchange;
mod figures;
mod flights;
mod forwarder;
mod health;
mod https;
mod names;
mod pool;
mod question;
mod routes;
mod settings;
mod system;
mod tls;
mod upstream;

pub use figures::Page;
pub use forwarder::{Forwarder, InForce, Now, Passed, StartError, Ticket};
pub use names::{Heard, Unheard};
pub use settings::{Endpoint, Policy, Route, Settings, Source, Transport};
