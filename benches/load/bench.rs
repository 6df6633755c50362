//! The names that servers are asked for, and the rounds in which they are asked.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{
    data::Data,
    dnsperf::{self, Extent, Run},
    flood,
    mix::{Mix, PLAIN, Transport},
    servers::Server,
};

/// How long a server may take to load its names.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Which tables, and how carefully.
#[derive(clap::Parser)]
pub(crate) struct Options {
    /// How often each server is measured per mix; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,

    /// How long one run takes, in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,

    /// The mixes of queries to measure, `cached` for names elsewhere and what forwarding costs, `workers` for one and two
    /// workers, or `all`
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub(crate) mix: Vec<String>,

    /// Queries per second that dnsperf is to offer; as many as it can where this is not given
    #[arg(long)]
    pub(crate) rate: Option<u32>,

    /// What makes the load over UDP; over TCP it is always dnsperf
    #[arg(long, value_enum, default_value_t = Generator::Flood)]
    pub(crate) generator: Generator,

    /// How many names the servers hold
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) names: u32,
}

/// What makes the load.
#[derive(Clone, Copy, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Generator {
    /// A thread of this program that keeps every worker busy all the time
    Flood,
    /// dnsperf, which a server waits for much of the time
    Dnsperf,
}

/// Names, and how they are asked for.
pub(crate) struct Bench<'b> {
    pub(crate) options: &'b Options,
    pub(crate) data: Data,
    pub(crate) folder: &'b Path,
}

impl Bench<'_> {
    /// The server, when it answers.
    pub(crate) fn wait(&self, server: Server) -> Result<Server> {
        dnsperf::first_answers(&server, &PLAIN, &self.data, PATIENCE)?;
        Ok(server)
    }

    /// Measures every server once a round.
    pub(crate) fn rounds(&self, mix: &Mix, servers: &[&Server]) -> Result<Vec<Vec<Run>>> {
        let queries = mix.write_queries(&self.data, self.folder)?;
        let rounds = self.options.rounds;
        let mut runs = vec![Vec::new(); servers.len()];
        for round in 0..rounds {
            eprintln!("{}: round {} of {rounds}", mix.key, round + 1);
            let of_round = match (self.options.generator, mix.transport) {
                (Generator::Flood, Transport::Udp) => {
                    let time = Duration::from_secs(self.options.seconds);
                    flood::run(servers, mix, &self.data, time)?
                }
                (Generator::Dnsperf, _) | (_, Transport::Tcp) => {
                    self.round_of_dnsperf(round as usize, mix, &queries, servers)?
                }
            };
            for (runs, run) in runs.iter_mut().zip(of_round) {
                runs.push(run);
            }
        }
        Ok(runs)
    }

    /// Another server is the first one in each round.
    fn round_of_dnsperf(
        &self,
        round: usize,
        mix: &Mix,
        queries: &Path,
        servers: &[&Server],
    ) -> Result<Vec<Run>> {
        let Options { seconds, rate, .. } = *self.options;
        let mut runs = (0..servers.len())
            .map(|turn| {
                let who = (round + turn) % servers.len();
                let server = servers[who];
                let run = dnsperf::run(server, mix, queries, Extent::Seconds(seconds), rate)
                    .with_context(|| format!("load on {}", server.name))?;
                Ok((who, run))
            })
            .collect::<Result<Vec<_>>>()?;
        runs.sort_by_key(|(who, _)| *who);
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }
}
