//! The status pages and their API as people and programs meet them: the real binary, asked over HTTP.

mod about;
mod browser;
mod events;
mod harness;
mod host;
mod hosts;
mod listener;
#[path = "../needs/mod.rs"]
mod needs;
mod overview;
mod past;
#[path = "../program/mod.rs"]
mod program;
