//! An authoritative DNS server for mesh hostnames.

pub mod answer;
pub mod diagnostic;
pub mod dns;
pub mod manifest;
pub mod mesh;
pub mod metrics;
pub mod pipeline;
pub mod select;
pub mod serve;
pub mod status;
pub mod wire;
pub mod zone;
