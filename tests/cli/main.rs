//! The command line as people and programs meet it: the real binary, its exit codes, what it prints where, and what a
//! running server does when it is asked over DNS, HTTP and signals.

#![allow(
    unreachable_pub,
    reason = "what the harness offers is public to its own crate alone"
)]

mod askers;
mod check;
mod config;
mod drain;
mod hardship;
mod harness;
mod look;
#[path = "../needs/mod.rs"]
mod needs;
mod pages;
#[path = "../program/mod.rs"]
mod program;
mod serve;
mod snippet;
mod supervisor;
mod usage;
