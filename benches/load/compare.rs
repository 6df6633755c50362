//! CPU per query, beside a bare reflector and the servers of others.
//!
//! Every server gets the same 10,000 names with four addresses each, one worker, and the same load, in turns: one short
//! run per server, round after round, so that a machine that slows down does so for all of them. The figure is the CPU
//! time that the server's threads took, divided by the queries that were answered: rates of queries say little here,
//! because the generator shares the cores with the server. Over UDP the load is more than a server can answer
//! (`flood.rs`), or with `--generator dnsperf` what dnsperf makes of it.
//!
//! The reflector (`reflector.rs`) receives and sends packets of the same sizes and does nothing else: what it costs is
//! the kernel's part, which no server can go below.

use anyhow::{Context, Result, ensure};

use crate::{
    bench::{Bench, Generator, Options, PATIENCE},
    cached,
    caches::CACHES,
    data::{ADDRESSES, Data, ZONE},
    dnsperf::{self, Size},
    machine,
    mix::{self, Mix, PLAIN, Transport},
    others::{KNOT, OTHERS},
    servers::{self, MESH, REFLECTOR, Server, find},
    table::{self, Pairs},
};

/// What `--mix` calls the table that compares two workers with one.
const WORKERS: &str = "workers";

/// Two workers carry 1.8 times the load of one where a query costs so much more at most.
const TWO_WORKERS: Pairs = Pairs {
    title: "one and two workers",
    columns: ["one worker", "two workers"],
    ratio: "two / one",
    goal: 1.11,
};

/// Measures and prints what `options` ask for.
pub(crate) fn run(options: &Options) -> Result<()> {
    let is_mix = |key: &&String| *key != WORKERS && *key != mix::CACHED.key;
    let keys: Vec<String> = options.mix.iter().filter(is_mix).cloned().collect();
    let is_asked_for = |wanted| options.mix.iter().any(|key| key == wanted || key == "all");
    let mixes = mix::chosen(&keys)?;
    ensure!(
        options.rate.is_none() || options.generator == Generator::Dnsperf,
        "--rate needs --generator dnsperf"
    );
    ensure!(
        find("dnsperf").is_some(),
        "dnsperf is not on the PATH; `make bench` installs it"
    );
    let folder = tempfile::Builder::new()
        .prefix("meshdns-bench-")
        .tempdir()
        .context("make a temporary folder")?;
    let folder = folder.path();
    eprintln!("writing {} names", options.names);
    let data = Data::new(ZONE, options.names);
    data.write(folder).context("write the names")?;
    let bench = Bench {
        options,
        data,
        folder,
    };
    bench.print_setting();
    if !mixes.is_empty() {
        let servers = bench.start_all()?;
        for mix in mixes {
            bench
                .compare(mix, &servers)
                .with_context(|| format!("mix {}", mix.key))?;
        }
    }
    if is_asked_for(mix::CACHED.key) {
        cached::compare(&bench).context("names elsewhere")?;
    }
    if is_asked_for(WORKERS) {
        bench.compare_workers().context(TWO_WORKERS.title)?;
    }
    Ok(())
}

impl Bench<'_> {
    /// Prints where and how the figures came about.
    fn print_setting(&self) {
        let Options {
            names,
            rounds,
            seconds,
            rate,
            ..
        } = self.options;
        let offered = match (self.options.generator, rate) {
            (Generator::Flood, _) => "more asked over UDP than they can answer".to_owned(),
            (Generator::Dnsperf, None) => "as many queries as dnsperf can".to_owned(),
            (Generator::Dnsperf, Some(rate)) => format!("{rate} queries/s offered by dnsperf"),
        };
        let unbound = CACHES.iter().take(1);
        let versions: Vec<String> = OTHERS
            .iter()
            .chain(unbound)
            .filter_map(|other| Some(format!("{} {}", other.name, other.version()?)))
            .collect();
        println!(
            "{names} names x {ADDRESSES} addresses, one worker, {rounds} rounds of {seconds} s, {offered}. Medians of \
             the rounds; ratios are the median of each round's own ratio; (lowest to highest). RSS counts pages that \
             several processes of a server share once."
        );
        println!("{}", machine::describe());
        println!("{}.", versions.join(", "));
    }

    /// meshdns and those of the others that are there.
    fn start_all(&self) -> Result<Vec<Server>> {
        let mut servers = vec![self.wait(servers::meshdns(1, self.folder, &MESH)?)?];
        for other in &OTHERS {
            match other
                .start(1, self.folder, None)
                .and_then(|server| self.wait(server))
            {
                Ok(server) => servers.push(server),
                Err(error) => println!("\n**{} is left out**: {error:#}", other.name),
            }
        }
        Ok(servers)
    }

    /// Measures one mix and prints its table.
    fn compare(&self, mix: &Mix, servers: &[Server]) -> Result<()> {
        let mut size = None;
        for server in servers {
            let answers = dnsperf::first_answers(server, mix, &self.data, PATIENCE)?;
            size.get_or_insert(answers);
        }
        let size: Size = size.context("there is a server to imitate")?;
        let reflector = match mix.transport {
            Transport::Udp => Some(servers::reflector(1, size.appended(), self.folder)?),
            Transport::Tcp => None,
        };
        let all: Vec<&Server> = reflector.iter().chain(servers).collect();
        let runs = self.rounds(mix, &all)?;
        let goals: &[table::Goal] = match mix.transport {
            Transport::Udp => &[(REFLECTOR, mix.reflector_goal), (KNOT, 0.85)],
            Transport::Tcp => &[(KNOT, 1.0)],
        };
        let Size { query, answer } = size;
        println!("\n### {} ({query} bytes in, {answer} out)\n", mix.title);
        table::print(&all, &runs, [REFLECTOR, KNOT], goals);
        Ok(())
    }

    /// Measures meshdns, the reflector and Knot with one and with two workers, and prints how much a query costs more.
    fn compare_workers(&self) -> Result<()> {
        let mut servers = vec![
            self.wait(servers::meshdns(1, self.folder, &MESH)?)?,
            self.wait(servers::meshdns(2, self.folder, &MESH)?)?,
        ];
        let size = dnsperf::first_answers(&servers[0], &PLAIN, &self.data, PATIENCE)?;
        for workers in [1, 2] {
            servers.push(servers::reflector(workers, size.appended(), self.folder)?);
        }
        let knot = OTHERS.iter().find(|other| other.name == KNOT);
        let knot = knot.expect("Knot is one of the others");
        let both = [1, 2].map(|workers| {
            let server = knot.start(workers, self.folder, None)?;
            self.wait(server)
        });
        match both.into_iter().collect::<Result<Vec<_>>>() {
            Ok(both) => servers.extend(both),
            Err(error) => println!("\n**{KNOT} is left out**: {error:#}"),
        }
        let all: Vec<&Server> = servers.iter().collect();
        let runs = self.rounds(&PLAIN, &all)?;
        println!("\n### {}, {}\n", PLAIN.title, TWO_WORKERS.title);
        table::print_pairs(&all, &runs, &TWO_WORKERS);
        Ok(())
    }
}
