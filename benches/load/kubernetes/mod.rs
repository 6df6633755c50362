//! Following clusters: what it takes to load a large one, to follow it, and to list it again, and how soon a change at a real
//! API server is in the answer.
//!
//! The large cluster is streamed from memory by an API server that is none, which shares the machine's cores.

mod fake;
mod latency;
mod objects;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use self::{
    fake::{DIFFERENT, Fake},
    objects::{Size, host, pod_address},
};
use crate::{
    generator::{self, Turns},
    machine,
    mix::Type,
    pages,
    query::query,
    report::{Report, mebibytes},
    scale::{
        queries::shuffled,
        rolling::{evenly, hold_beside_rest, is_change, sides},
        server::{Client, Meshdns},
    },
    usage::Meter,
};

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

impl Options {
    fn divisor(&self) -> usize {
        if self.quick { 10 } else { 1 }
    }

    fn size(&self) -> Size {
        Size {
            services: 20_000 / self.divisor(),
            pods: 100_000 / self.divisor(),
            vms: 100_000 / self.divisor(),
        }
    }
}

/// Measures everything and prints a table.
pub(crate) fn run(options: &Options) {
    let size = options.size();
    println!(
        "{} Pods, {} WorkloadEntries and {} ServiceEntries, streamed over TLS from memory by a process that shares the cores; \
         UDP with {} worker(s).",
        size.pods, size.vms, size.services, options.workers
    );
    println!("{}", machine::describe());
    let mut report = Report::default();
    report.step("a Pod alone", |report| pods_alone(options, report));
    report.step("a large cluster", |report| large(options, report));
    report.step("latency at a real API server", latency::measure);
    report.print("Following clusters");
}

/// A folder with a kubeconfig for this server, and the arguments that lead to it.
fn arguments(fake: &Fake) -> Result<(TempDir, [PathBuf; 3])> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let config = folder.path().join("kubeconfig");
    let authority = folder.path().join("ca.crt");
    fs::write(&authority, &fake.certificate).context("write a certificate")?;
    let cluster =
        json!({"server": format!("https://{}", fake.address), "certificate-authority": authority});
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "big",
        "clusters": [{"name": "big", "cluster": cluster}],
        "users": [{"name": "big", "user": {"token": "any"}}],
        "contexts": [{"name": "big", "context": {"cluster": "big", "user": "big"}}],
    });
    fs::write(&config, text.to_string()).context("write a kubeconfig")?;
    let arguments = ["--kubernetes".into(), "--kubeconfig".into(), config];
    Ok((folder, arguments))
}

/// What a Pod takes that nobody selects.
fn pods_alone(options: &Options, report: &mut Report) -> Result<()> {
    const GOAL_MICROSECONDS: f64 = 60.0;
    let size = Size {
        services: 0,
        vms: 0,
        ..options.size()
    };
    let fake = Fake::start(size)?;
    let (folder, arguments) = arguments(&fake)?;
    let (_meshdns, start) = Meshdns::start_ready(&arguments, options.workers, folder.path())?;
    let [shortest, longest] = fake.pod_bytes();
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    let each = start.cpu.as_secs_f64() * 1e6 / size.pods as f64;
    let what = format!(
        "CPU a Pod of {shortest} to {longest} bytes, {} Pods alone",
        size.pods
    );
    report.hold(&what, each, GOAL_MICROSECONDS, "µs", "");
    Ok(())
}

fn large(options: &Options, report: &mut Report) -> Result<()> {
    const GOAL_SECONDS: f64 = 12.0;
    const GOAL_PEAK: f64 = 1.3;
    const GOAL_BYTES: f64 = 550.0;
    let size = options.size();
    let fake = Fake::start(size)?;
    let (folder, arguments) = arguments(&fake)?;
    let (meshdns, start) = Meshdns::start_ready(&arguments, options.workers, folder.path())?;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (resident, endpoints) = (start.memory.resident as f64, size.endpoints() as f64);
    let more = format!(
        " ({:.1} s until ready, {:.0} MiB of objects)",
        start.time.as_secs_f64(),
        mebibytes(fake.sent_bytes())
    );
    let seconds = GOAL_SECONDS / if options.quick { 10.0 } else { 1.0 };
    report.hold(
        "CPU from the start to ready",
        start.cpu.as_secs_f64(),
        seconds,
        "s",
        &more,
    );
    let peak = mebibytes(start.memory.peak);
    let more = format!(" ({peak:.0} MiB)");
    let ratio = peak / mebibytes(start.memory.resident);
    report.hold(
        "peak RSS while loading",
        ratio,
        GOAL_PEAK,
        "× RSS after load",
        &more,
    );
    let more = format!(" ({:.0} MiB)", mebibytes(start.memory.resident));
    report.hold(
        "RSS an endpoint",
        resident / endpoints,
        GOAL_BYTES,
        "B",
        &more,
    );
    report.step("Pod events", |report| {
        events(options, &fake, &meshdns, report)
    });
    report.step("a relist", |report| relist(&fake, &meshdns, report));
    Ok(())
}

/// Pods turn unready and ready again under load, in turns with as long a rest.
fn events(options: &Options, fake: &Fake, meshdns: &Meshdns, report: &mut Report) -> Result<()> {
    const RATE: u32 = 20_000;
    const EVENTS_A_SECOND: usize = 500;
    const GOAL_PERCENT: f64 = 8.0;
    let size = options.size();
    let seconds = if options.quick { 10 } else { 60 };
    let turns = Turns {
        count: 4 * seconds,
        length: Duration::from_millis(500),
    };
    let queries: Vec<Vec<u8>> = shuffled(size.services)
        .map(|service| query(&host(service), Type::A, false))
        .collect();
    let pods: Vec<usize> = shuffled(size.pods).collect();
    let mut pods = pods.into_iter().cycle();
    meshdns.rest()?;
    let mut meter = Meter::start(meshdns.id())?;
    let mut usages = Vec::new();
    let outcome = generator::run(meshdns.dns, &queries, RATE, turns, |turn| {
        let before = meter.lap()?;
        usages.extend((turn > 0).then_some(before));
        if is_change(turn as usize) {
            let mut some: Vec<usize> = pods.by_ref().take(EVENTS_A_SECOND / 2).collect();
            evenly(&mut some, turns.length, |pod| {
                fake.turn(*pod, false);
                Ok(())
            })?;
        }
        Ok(())
    })?;
    usages.push(meter.lap()?);
    let [resting, changing] = sides(&outcome.turns, &usages, |_| true);
    let share =
        |usage: crate::usage::Usage| usage.cpu.as_secs_f64() / usage.time.as_secs_f64() * 100.0;
    let more = share(changing.usage) - share(resting.usage);
    let what = format!(
        "{EVENTS_A_SECOND} Pod events a second for {seconds} s: CPU besides that of {RATE} queries a second"
    );
    report.hold(&what, more, GOAL_PERCENT, "% of a core", "");
    let losses = changing.losses(outcome.spilt);
    report.judge(
        "the same: queries",
        &losses,
        "0 lost",
        changing.is_whole(outcome.spilt),
    );
    hold_beside_rest(report, &outcome, &usages);
    Ok(())
}

/// Everything is listed again, and little of it differs.
fn relist(fake: &Fake, meshdns: &Meshdns, report: &mut Report) -> Result<()> {
    const COMPILED: &str = "meshdns_hosts_recompiled_total";
    const GOAL_PEAK: f64 = 1.3;
    // Ready again first, all of them: what differs then is what the list says.
    meshdns.rest()?;
    fake.settle();
    meshdns.rest()?;
    let compiled = || pages::metric::<f64>(meshdns.http, COMPILED);
    let before = compiled()?;
    let resident = mebibytes(meshdns.memory()?.resident);
    meshdns.server.process.borrow().forget_peak()?;
    let cpu = meshdns.cpu()?;
    fake.expire();
    let client = Client::of(meshdns)?;
    let gone = pod_address(fake.last_different());
    let address: std::net::Ipv4Addr = gone.parse().context("an address")?;
    meshdns.wait("served without a Pod that is not ready", || {
        client.ask(&host(DIFFERENT - 1), |reply| {
            !reply.has_address(address.octets())
        })
    })?;
    meshdns.rest()?;
    let cpu = meshdns.cpu()?.saturating_sub(cpu);
    let hosts = compiled()? - before;
    ensure!(fake.watches() > 0, "nobody watches any more");
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let different = DIFFERENT as f64;
    let more = format!(" (CPU {:.1} s)", cpu.as_secs_f64());
    let what = format!("hosts compiled after a relist in which {DIFFERENT} objects differ");
    report.hold(&what, hosts, different, "", &more);
    let peak = mebibytes(meshdns.memory()?.peak);
    let more = format!(" ({peak:.0} MiB)");
    report.hold(
        "peak RSS while everything is listed again",
        peak / resident,
        GOAL_PEAK,
        "× RSS before",
        &more,
    );
    Ok(())
}
