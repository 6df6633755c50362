//! A long time under load: what is lost, what grows, and the slowest answers beside those of a bare reflector.
//!
//! An open-loop generator asks for names of the mesh and, one time in five, for names that are forwarded. A file is
//! replaced every second, and a prober asks and waits for each answer. The rate is found first: as many queries as take
//! three quarters of a core.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    data::{Data, ELSEWHERE, ZONE, mesh_folder},
    generator::{self, Outcome, Replies, Turns},
    machine,
    mix::Type,
    process::memory_of,
    query::{Reply, query},
    report::{Report, mebibytes},
    servers::{self, Server},
    usage::{Meter, Usage},
};

/// How many names there are, here and elsewhere.
const NAMES: u32 = 10_000;

/// One query in so many is for a name elsewhere.
const FORWARDED_SHARE: usize = 5;

/// How often a file is replaced.
const TURN: Duration = Duration::from_secs(1);

/// How many queries the prober sends a turn.
const PROBES: u32 = 10;

/// How long the prober waits for an answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The part of a core that the server is to use.
const LOAD: f64 = 0.75;

/// With what the rate is found.
const TRIAL_RATE: u32 = 20_000;
const TRIAL: Turns = Turns {
    count: 5,
    length: TURN,
};

/// How long the reflector is asked.
const BESIDE: Turns = Turns {
    count: 60,
    length: TURN,
};

/// How long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long the server is under load, in seconds
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(20..=86_400))]
    seconds: u32,
}

/// What the server holds at a moment.
#[derive(Clone, Copy)]
struct Holdings {
    resident_bytes: u64,
    descriptors: usize,
}

/// What was seen during the soak.
#[derive(Default)]
struct Seen {
    holdings: Vec<Holdings>,
    usage: Usage,
    probes: u32,
    unanswered: u32,
}

/// Runs the soak and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let scratch = tempfile::Builder::new()
        .prefix("meshdns-bench-")
        .tempdir()
        .context("make a temporary folder")?;
    let (mesh, elsewhere) = (Data::new(ZONE, NAMES), Data::new(ELSEWHERE, NAMES));
    let authority = {
        let folder = scratch.path().join("elsewhere");
        fs::create_dir(&folder).context("make a folder")?;
        elsewhere.write(&folder).context("write names elsewhere")?;
        let flags = ["--zone", ELSEWHERE, "--ttl", "1h", "--http", "off"];
        servers::meshdns(1, &folder, &flags)?
    };
    mesh.write(scratch.path()).context("write the mesh")?;
    let upstream = format!("127.0.0.1:{}", authority.port);
    let flags = [
        "--zone",
        ZONE,
        "--http",
        "off",
        "--ttl",
        "1s",
        "--upstream",
        &upstream,
    ];
    let server = servers::meshdns(1, scratch.path(), &flags)?;
    let queries: Vec<Vec<u8>> = (0..)
        .zip(mesh.shuffled().zip(elsewhere.shuffled()))
        .map(|(index, (ours, others))| {
            let is_forwarded = index % FORWARDED_SHARE == 0;
            query(if is_forwarded { &others } else { &ours }, Type::A, true)
        })
        .collect();
    for server in [&authority, &server] {
        wait(server, &queries[usize::from(server.port != authority.port)])?;
    }
    let rate = find_rate(&server, &queries)?;
    let mut report = Report::default();
    let turns = Turns {
        count: options.seconds,
        length: TURN,
    };
    let (outcome, seen) = soak(&server, &queries, rate, turns, scratch.path())?;
    let echo = servers::reflector(1, 0, scratch.path())?;
    wait(&echo, &queries[0])?;
    let beside = generator::run(address(&echo), &queries, rate, BESIDE, |_| Ok(()))?;
    tell(&mut report, &seen, &outcome, &beside);
    println!("{}", machine::describe());
    report.print(&format!(
        "{} s of {rate} queries/s, one in {FORWARDED_SHARE} forwarded, a file replaced every second",
        options.seconds
    ));
    Ok(())
}

/// How many queries a second take [`LOAD`] of a core. Also fills the cache.
fn find_rate(server: &Server, queries: &[Vec<u8>]) -> Result<u32> {
    let mut rate = TRIAL_RATE;
    for _ in 0..2 {
        let mut meter = Meter::start(server.process.borrow().id())?;
        generator::run(address(server), queries, rate, TRIAL, |_| Ok(()))?;
        let usage = meter.lap()?;
        // The generator waits a second for the last replies.
        let busy = usage.cpu.as_secs_f64() / (TRIAL.length * TRIAL.count).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate far below 2^32"
        )]
        let fitting = (f64::from(rate) * LOAD / busy) as u32;
        rate = fitting.clamp(1_000, 1_000_000);
    }
    Ok(rate)
}

fn soak(
    server: &Server,
    queries: &[Vec<u8>],
    rate: u32,
    turns: Turns,
    folder: &Path,
) -> Result<(Outcome, Seen)> {
    let id = server.process.borrow().id();
    let files: Vec<_> = fs::read_dir(mesh_folder(folder))
        .context("list the mesh")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .context("list the mesh")?;
    let prober = Prober::of(address(server))?;
    let mut meter = Meter::start(id)?;
    let mut seen = Seen::default();
    let outcome = generator::run(address(server), queries, rate, turns, |turn| {
        if turn > 0 {
            seen.usage += meter.lap()?;
        }
        let file = &files[turn as usize % files.len()];
        swap_addresses(file)?;
        for probe in 0..PROBES {
            let number = (turn * PROBES + probe) as usize;
            seen.probes += 1;
            seen.unanswered += u32::from(!prober.asks(&queries[number % queries.len()])?);
        }
        seen.holdings.push(Holdings::of(id)?);
        Ok(())
    })?;
    Ok((outcome, seen))
}

/// Gives every endpoint of a file an address of another network, or its own back, and replaces the file.
fn swap_addresses(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).context("read a mesh file")?;
    let (here, there) = ("address: 10.", "address: 11.");
    let other = if text.contains(here) {
        text.replace(here, there)
    } else {
        text.replace(there, here)
    };
    let aside = file.with_extension("tmp");
    fs::write(&aside, other).context("write a mesh file")?;
    fs::rename(&aside, file).context("replace a mesh file")
}

fn tell(report: &mut Report, seen: &Seen, outcome: &Outcome, beside: &Outcome) {
    const MOST_GROWTH: f64 = 1.05;
    let all = Replies::of(outcome.turns.iter());
    let echoed = Replies::of(beside.turns.iter());
    report.tell("the server used", &seen.usage.to_string());
    report.judge(
        "the prober's queries without an answer",
        &format!("{} of {}", seen.unanswered, seen.probes),
        "0",
        seen.unanswered == 0,
    );
    let lost = all.missing().saturating_sub(outcome.spilt);
    report.tell(
        "the generator's queries without an answer",
        &format!("{lost} of {}, {} not NOERROR", all.sent, all.refused),
    );
    let lost = echoed.missing().saturating_sub(beside.spilt);
    report.tell(
        "the same of the reflector",
        &format!("{lost} of {}", echoed.sent),
    );
    let times = |replies: &Replies| {
        [50.0, 99.0, 99.9]
            .map(|percent| format!("{:.0} µs", replies.percentile(percent)))
            .join(", ")
    };
    report.tell("p50, p99, p99.9", &times(&all));
    report.tell("the same of the reflector", &times(&echoed));
    // What is first needed under load is there after a tenth of the time.
    let settled = &seen.holdings[seen.holdings.len() / 10..];
    let ends = [settled[0], settled[settled.len() - 1]];
    let [before, after] = ends.map(|holdings| mebibytes(holdings.resident_bytes));
    report.hold(
        "RSS at the end, beside that after a tenth of the time",
        after / before,
        MOST_GROWTH,
        "×",
        &format!(" ({before:.1} MiB, {after:.1} MiB)"),
    );
    report.judge(
        "descriptors after a tenth of the time, and at the end",
        &format!("{}, {}", ends[0].descriptors, ends[1].descriptors),
        "no more",
        ends[1].descriptors <= ends[0].descriptors,
    );
}

impl Holdings {
    fn of(process: u32) -> Result<Self> {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
        Ok(Self {
            resident_bytes: memory_of(process)?.resident,
            descriptors: descriptors.context("list descriptors")?.count(),
        })
    }
}

/// Asks one question at a time.
struct Prober(UdpSocket);

impl Prober {
    fn of(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a socket")?;
        socket.connect(server).context("connect a socket")?;
        socket
            .set_read_timeout(Some(PROBE_TIMEOUT))
            .context("set a timeout")?;
        Ok(Self(socket))
    }

    /// Whether an answer comes in time.
    fn asks(&self, query: &[u8]) -> Result<bool> {
        // Another server may not listen yet: then the kernel refuses.
        let mut message = [0; 4096];
        let replied = self.0.send(query).and_then(|_| self.0.recv(&mut message));
        let Ok(length) = replied else {
            return Ok(false);
        };
        let reply = Reply::to(query, &message[..length]).context("a reply to another query")?;
        Ok(reply.rcode() == 0)
    }
}

/// Waits until `server` answers.
fn wait(server: &Server, query: &[u8]) -> Result<()> {
    const TRIES: u32 = 300;
    let prober = Prober::of(address(server))?;
    for _ in 0..TRIES {
        if prober.asks(query)? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
        server.process.borrow_mut().check_alive()?;
    }
    bail!("{} does not answer", server.name)
}

fn address(server: &Server) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, server.port))
}
