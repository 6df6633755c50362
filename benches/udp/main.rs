//! CPU per UDP query, beside a bare reflector, Knot and NSD.
//!
//! ```text
//! make bench
//! cargo bench --bench udp -- --rounds 9 --mix all
//! ```
//!
//! Every server gets the same 10,000 names with four addresses each, one worker, and the same load from dnsperf, in
//! turns: one short run per server, round after round, so that a machine that slows down does so for all of them. The
//! figure is the CPU time that the server's threads took, divided by the queries that were answered: rates of queries
//! say little here, because the generator shares the cores with the server.
//!
//! The reflector (`reflector.rs`) receives and sends packets of the same sizes and does nothing else: what it costs is
//! the kernel's part, which no server can go below.
//!
//! Stays on loopback, ends every process it started and removes the folder it made.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod data;
mod load;
mod mix;
mod process;
mod reflector;
mod servers;
mod sys;
mod table;

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{
    data::Data,
    load::{Run, Size},
    mix::Mix,
    servers::Server,
};

/// Measures the CPU time per UDP query of meshdns, a bare reflector, Knot and NSD.
#[derive(Parser)]
struct Options {
    /// How often each server is measured per mix; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// How long one run takes, in seconds
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,

    /// The mixes of queries to measure, or `all`
    #[arg(long, value_delimiter = ',', default_value = "a,cookie")]
    mix: Vec<String>,

    /// Queries per second to offer; as many as the generator can where it is not given
    #[arg(long)]
    rate: Option<u32>,

    /// How many names the servers hold
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    names: u32,

    /// Cargo says so to every bench
    #[arg(long, hide = true)]
    bench: bool,

    /// Be the reflector on these sockets, for ever
    #[arg(long, hide = true, num_args = 1.., requires = "append")]
    reflect: Vec<SocketAddr>,

    /// How many bytes the reflector's answer is longer than its query
    #[arg(long, hide = true)]
    append: Option<usize>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(append) = options.append {
        return reflector::serve(&options.reflect, append).context("reflect");
    }
    let mixes = mix::chosen(&options.mix)?;
    let programs = servers::Programs::find()?;
    let folder = tempfile::Builder::new()
        .prefix("meshdns-bench-")
        .tempdir()
        .context("make a temporary folder")?;
    eprintln!("writing {} names", options.names);
    let data = Data::new(options.names);
    data.write(folder.path()).context("write the names")?;
    let servers = [
        servers::meshdns(folder.path())?,
        servers::knot(&programs, folder.path())?,
        servers::nsd(&programs, folder.path())?,
    ];
    table::print_setting(&options, &programs);
    for mix in mixes {
        measure(&options, mix, &data, &servers, folder.path())
            .with_context(|| format!("mix {}", mix.key))?;
    }
    Ok(())
}

/// Measures one mix and prints its table.
fn measure(
    options: &Options,
    mix: &Mix,
    data: &Data,
    servers: &[Server; 3],
    folder: &Path,
) -> Result<()> {
    const PATIENCE: Duration = Duration::from_mins(1);
    let queries = mix.write_queries(data, folder)?;
    let mut size = None;
    for server in servers {
        let answer = load::first_answer(server, mix, data, PATIENCE)?;
        size.get_or_insert(answer);
    }
    let size: Size = size.context("there is a server to imitate")?;
    let reflector = servers::reflector(size.appended(), folder)?;
    let all = [&reflector, &servers[0], &servers[1], &servers[2]];
    let mut runs: [Vec<Run>; 4] = Default::default();
    for round in 0..options.rounds {
        eprintln!("{}: round {} of {}", mix.key, round + 1, options.rounds);
        for turn in 0..all.len() {
            let who = (round as usize + turn) % all.len();
            let server = all[who];
            let run = load::run(server, mix, &queries, options.seconds, options.rate)
                .with_context(|| format!("load on {}", server.name))?;
            ensure!(run.answered > 0, "{} answered nothing", server.name);
            runs[who].push(run);
        }
    }
    table::print(mix, size, &all, &runs);
    Ok(())
}
