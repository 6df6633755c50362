//! Checking a hundred thousand VMs: what a probe costs, how evenly they begin, and what queries notice.
//!
//! The VMs are one process on all loopback addresses, which shares the machine's cores.

mod fleet;

use std::{fmt::Write as _, fs, net::Ipv4Addr, path::Path, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use self::fleet::{Fleet, STEP};
use crate::{
    generator::{self, Replies, Turns},
    machine,
    mix::Type,
    pages,
    query::query,
    report::{Report, mebibytes},
    scale::{
        queries::shuffled,
        server::{Meshdns, Start},
    },
};

/// How many VMs a host has.
const VMS_A_HOST: usize = 100;

/// How often each VM is probed, in seconds.
const PERIOD: u32 = 10;

/// Queries a second while latencies are measured.
const RATE: u32 = 20_000;

/// How large.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A tenth of everything, to see whether it works
    #[arg(long)]
    quick: bool,

    /// Threads that answer UDP queries
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
}

/// How VMs are probed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    Tcp,
    Http,
}

impl Options {
    fn vms(&self) -> usize {
        if self.quick { 10_000 } else { 100_000 }
    }

    fn hosts(&self) -> usize {
        self.vms() / VMS_A_HOST
    }
}

/// Measures everything and prints a table.
pub(crate) fn run(options: &Options) {
    println!(
        "{} WorkloadEntries of {} hosts, each probed every {PERIOD} s; UDP with {} worker(s).",
        options.vms(),
        options.hosts(),
        options.workers
    );
    println!("{}", machine::describe());
    let mut report = Report::default();
    report.step("checks", |report| measure(options, report));
    report.print(&format!("Checking {} VMs", options.vms()));
}

fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let mesh = folder.path().join("mesh");
    write_mesh(options, &mesh)?;
    let plain = {
        let (meshdns, start) = Meshdns::start_ready(&[&mesh], options.workers, folder.path())?;
        Plain {
            start,
            replies: latencies(options, &meshdns)?,
        }
    };
    let what = format!("p50, p99, p99.9 without checks under {RATE} queries/s");
    report.tell(&what, &percentiles(&plain.replies));
    for method in [Method::Tcp, Method::Http] {
        report.step(&format!("{method:?}"), |report| {
            checks(options, method, &mesh, folder.path(), &plain, report)
        });
    }
    Ok(())
}

/// What the same mesh takes that nobody checks.
struct Plain {
    start: Start,
    replies: Replies,
}

fn checks(
    options: &Options,
    method: Method,
    mesh: &Path,
    folder: &Path,
    plain: &Plain,
    report: &mut Report,
) -> Result<()> {
    const GOAL_MORE_MEBIBYTES: f64 = 50.0;
    const SETTLING: Duration = Duration::from_secs(15);
    let fleet = Fleet::start(method)?;
    let (name, stanza, goal) = match method {
        Method::Tcp => ("TCP", format!("tcpSocket: {{port: {}}}", fleet.port), 60.0),
        Method::Http => (
            "HTTP",
            format!("httpGet: {{port: {}, path: /healthz}}", fleet.port),
            120.0,
        ),
    };
    let health = format!(
        "health:\n  networks: [127.0.0.0/8]\n  checks: [{{name: all, probe: {{{stanza}, periodSeconds: {PERIOD}}}}}]\n"
    );
    let (meshdns, _) = Meshdns::start_configured(&[mesh], options.workers, folder, &health)?;
    let passing = "meshdns_health_targets{verdict=\"passing\"}";
    meshdns.wait("passing", || {
        Ok(labelled(&meshdns, passing)? >= as_f64(options.vms()))
    })?;
    thread::sleep(SETTLING);
    probes(options, name, goal, &meshdns, &fleet, report)?;
    let more = mebibytes(meshdns.memory()?.resident) - mebibytes(plain.start.memory.resident);
    let what = format!("{name}: RSS besides that without checks");
    report.hold(&what, more, GOAL_MORE_MEBIBYTES, "MiB", "");
    let replies = latencies(options, &meshdns)?;
    let what = format!("{name}: p99 of queries beside p99 without checks");
    report.hold(
        &what,
        replies.percentile(99.0) / plain.replies.percentile(99.0),
        1.2,
        "×",
        &format!(" ({})", percentiles(&replies)),
    );
    Ok(())
}

/// What probes take without anything beside them.
fn probes(
    options: &Options,
    name: &str,
    goal: f64,
    meshdns: &Meshdns,
    fleet: &Fleet,
    report: &mut Report,
) -> Result<()> {
    const PERIODS: u32 = 2;
    let counted = || pages::metric::<f64>(meshdns.http, "meshdns_health_probes_total");
    let (cpu, probes, step) = (meshdns.cpu()?, counted()?, fleet.step());
    thread::sleep(Duration::from_secs((PERIOD * PERIODS).into()));
    let probes = counted()? - probes;
    let cpu = meshdns.cpu()?.saturating_sub(cpu);
    let steps = fleet.steps_since(step);
    let expected = as_f64(options.vms() * PERIODS as usize);
    let what = format!("{name}: CPU of meshdns a probe");
    let more = format!(" ({probes:.0} probes in {} s)", PERIOD * PERIODS);
    report.hold(&what, cpu.as_secs_f64() * 1e6 / probes, goal, "µs", &more);
    report.judge(
        &format!("{name}: probes begun"),
        &format!("{:.1} % of those due", probes / expected * 100.0),
        "95 to 105 %",
        (0.95..=1.05).contains(&(probes / expected)),
    );
    let missed: f64 = ["fail", "nothing"]
        .map(|result| {
            let method = name.to_lowercase();
            let metric =
                format!("meshdns_health_probes_total{{method=\"{method}\",result=\"{result}\"}}");
            labelled(meshdns, &metric)
        })
        .into_iter()
        .sum::<Result<f64>>()?;
    report.judge(
        &format!("{name}: probes that did not pass, from the start"),
        &format!("{missed:.0}"),
        "0",
        missed == 0.0,
    );
    hold_spread(name, &steps, report)?;
    let waiting = in_time_wait(fleet.port)?;
    let what = format!("{name}: connections of probes in TIME_WAIT");
    report.hold(&what, as_f64(waiting), 0.0, "", "");
    Ok(())
}

/// How evenly probes began: tenths of a second differ by chance, seconds hardly.
fn hold_spread(name: &str, steps: &[u32], report: &mut Report) -> Result<()> {
    const STEPS_A_SECOND: usize = 10;
    ensure!(steps.len() > STEPS_A_SECOND, "too little was counted");
    let sums = steps.chunks_exact(STEPS_A_SECOND);
    let seconds: Vec<u32> = sums.map(|steps| steps.iter().sum()).collect();
    let most_beside_mean = |counts: &[u32]| {
        let mean = f64::from(counts.iter().sum::<u32>()) / as_f64(counts.len());
        counts
            .iter()
            .map(|count| f64::from(*count) / mean)
            .fold(0.0, f64::max)
    };
    let what = format!("{name}: the second in which most began");
    report.hold(&what, most_beside_mean(&seconds), 1.3, "× the mean", "");
    let what = format!("{name}: the {STEP:?} in which most began");
    report.hold(&what, most_beside_mean(steps), 3.0, "× the mean", "");
    Ok(())
}

/// Latencies of queries over all hosts.
fn latencies(options: &Options, meshdns: &Meshdns) -> Result<Replies> {
    let queries: Vec<Vec<u8>> = shuffled(options.hosts())
        .map(|number| query(&host(number), Type::A, false))
        .collect();
    let turns = Turns {
        count: 20,
        length: Duration::from_millis(500),
    };
    let outcome = generator::run(meshdns.dns, &queries, RATE, turns, |_| Ok(()))?;
    Ok(Replies::of(outcome.turns.iter()))
}

fn percentiles(replies: &Replies) -> String {
    let [half, most, nearly_all] = [50.0, 99.0, 99.9].map(|percent| replies.percentile(percent));
    format!("{half:.0} µs, {most:.0} µs, {nearly_all:.0} µs")
}

fn host(number: usize) -> String {
    format!("svc{number}.big.example")
}

/// A file for each of a hundred hosts or so.
fn write_mesh(options: &Options, folder: &Path) -> Result<()> {
    fs::create_dir(folder).context("make a mesh folder")?;
    for service in 0..options.hosts() {
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: svc{service}, namespace: big}}\nspec:\n  \
             hosts: [{}]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  resolution: STATIC\n  \
             workloadSelector: {{labels: {{app: svc{service}}}}}\n",
            host(service)
        );
        for vm in service * VMS_A_HOST..(service + 1) * VMS_A_HOST {
            write!(
                text,
                "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm{vm}, namespace: big}}\n\
                 spec: {{address: {}, labels: {{app: svc{service}}}}}\n",
                address(vm)
            )?;
        }
        fs::write(folder.join(format!("{service}.yaml")), text).context("write a mesh file")?;
    }
    Ok(())
}

/// Behind those that servers and others of this machine use.
fn address(vm: usize) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(127, 16, 0, 1));
    let number = u32::try_from(vm).expect("a hundred thousand");
    (first + number).into()
}

/// The value of a metric with its labels.
fn labelled(meshdns: &Meshdns, metric: &str) -> Result<f64> {
    let page = pages::get(meshdns.http, "/metrics")?;
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    let value = value.with_context(|| format!("there is no metric {metric}"))?;
    Ok(value.parse()?)
}

/// How many connections from or to `port` the machine keeps in mind after their end.
fn in_time_wait(port: u16) -> Result<usize> {
    const TIME_WAIT: &str = "06";
    let text = fs::read_to_string("/proc/net/tcp").context("list connections")?;
    let port = format!(":{port:04X}");
    let is_one = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().take(4).collect();
        let ends = fields.get(1..3).unwrap_or_default();
        fields.get(3) == Some(&TIME_WAIT) && ends.iter().any(|end| end.ends_with(&port))
    };
    Ok(text.lines().skip(1).filter(is_one).count())
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
