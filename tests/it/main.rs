//! The tests that see meshdns from outside: as a library, over sockets, as a program.

mod big_mesh;
mod cases;
mod deploy;
mod dns_client;
mod docs;
#[cfg(feature = "hickory")]
mod hickory;
mod near;
#[path = "../needs/mod.rs"]
mod needs;
mod overlap;
#[path = "../program/mod.rs"]
mod program;
mod properties;
mod records_of_services;
mod scale;
#[path = "../secure/mod.rs"]
mod secure;
mod shares;
mod transport;
mod views;
mod walkthrough;

use std::{path::Path, process::Command};

/// Serves in the folder `at` with more `arguments` and logs as text, and waits until it is ready.
fn serve(at: &Path, arguments: &[&str]) -> program::Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
    command
        .args(["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"])
        .arg("--log-format=text")
        .args(arguments)
        .current_dir(at);
    program::Server::start(command)
}
