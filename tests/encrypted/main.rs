//! DNS where nobody else can read it: over TLS, HTTPS and QUIC, by the real binary.

mod certificate;
mod forwarding;
mod harness;
mod https;
mod limits;
#[path = "../program/mod.rs"]
mod program;
mod quic;
mod refusals;
#[path = "../secure/mod.rs"]
mod secure;
#[path = "../serving/mod.rs"]
mod serving;
mod start;
mod tls;
#[path = "../forward/upstream.rs"]
#[allow(dead_code, reason = "the tests of forwarding use the rest")]
mod upstream;
