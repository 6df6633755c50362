//! Real servers under load: meshdns beside others, and meshdns with a million endpoints.
//!
//! ```text
//! make bench                                       # cargo bench --bench load -- compare
//! make bench-scale                                 # cargo bench --bench load -- scale
//! make bench-kubernetes                            # cargo bench --bench load -- kubernetes
//! make bench-health                                # cargo bench --bench load -- health
//! cargo bench --bench load -- compare --rounds 9 --mix a,cookie
//! cargo bench --bench load -- scale --quick
//! make torture                                     # cargo bench --bench load -- soak, after the hostile tests
//! ```
//!
//! Prints Markdown, with the goals beside the figures. Stays on loopback, ends every process that it started and removes
//! the folders it made, but for the generated meshes of `scale`, which the next run uses again.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod bench;
mod cached;
mod caches;
mod compare;
mod data;
mod dnsperf;
mod flood;
mod generator;
mod health;
mod kubernetes;
mod machine;
mod median;
mod mix;
mod others;
mod pages;
mod process;
mod query;
mod reflector;
mod report;
#[path = "../../tests/kubernetes/rig/mod.rs"]
mod rig;
mod scale;
mod servers;
mod soak;
mod sys;
mod table;
mod usage;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Puts load on real servers and tells what it took.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// Cargo says so to every bench
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// CPU per query of meshdns, a bare reflector, Knot, NSD, BIND, CoreDNS and unbound (the default)
    Compare(bench::Options),
    /// Loading, changing and serving a mesh of a million endpoints
    Scale(scale::Options),
    /// Following a large cluster, streamed by an API server that is none, and a small real one
    Kubernetes(kubernetes::Options),
    /// Checking 100,000 VMs on loopback addresses: what a probe costs, and what queries notice
    Health(health::Options),
    /// Serving for a long time beside reloads and forwarding: what is lost, and what grows
    Soak(soak::Options),
    /// Be the reflector on these sockets, for ever
    #[command(hide = true)]
    Reflect {
        addresses: Vec<SocketAddr>,
        /// How many bytes the reflector's answer is longer than its query
        #[arg(long)]
        append: usize,
        /// How many threads reflect at each address
        #[arg(long, default_value_t = 1)]
        workers: u32,
    },
}

fn main() -> Result<()> {
    match Options::parse().command {
        None => compare::run(&bench::Options::parse_from(["compare"])),
        Some(Command::Compare(options)) => compare::run(&options),
        Some(Command::Scale(options)) => {
            scale::run(&options);
            Ok(())
        }
        Some(Command::Kubernetes(options)) => {
            kubernetes::run(&options);
            Ok(())
        }
        Some(Command::Health(options)) => {
            health::run(&options);
            Ok(())
        }
        Some(Command::Soak(options)) => soak::run(&options),
        Some(Command::Reflect {
            addresses,
            append,
            workers,
        }) => reflector::serve(&addresses, workers, append).context("reflect"),
    }
}
