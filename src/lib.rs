//! An authoritative DNS server for mesh hostnames.

pub mod diagnostic;
pub mod dns;
pub mod manifest;
pub mod mesh;
pub mod pipeline;
pub mod select;
pub mod status;
pub mod zone;
