//! What happens on disk, and what is served meanwhile and afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod files;
mod folders;
mod harness;
mod hostile;
mod kills;
mod links;
#[path = "../needs/mod.rs"]
mod needs;
#[path = "../program/mod.rs"]
mod program;
mod renames;
mod start;
mod state;
mod storms;
mod swaps;
mod watching;
