//! Clusters as a source: the real binary, and an API server in this process that fails as it is told.
#![cfg(feature = "kubernetes")]

mod api;
mod commands;
mod faults;
mod harness;
#[path = "../needs/mod.rs"]
mod needs;
mod objects;
#[path = "../program/mod.rs"]
mod program;
mod settings;
mod story;
mod vanish;
