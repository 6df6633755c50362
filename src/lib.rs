//! An authoritative DNS server for mesh hostnames.

pub mod diagnostic;
pub mod dns;
pub mod manifest;
