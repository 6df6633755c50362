//! A million endpoints: loading them, serving them, and following changes.
//!
//! A generated mesh of 100,000 ServiceEntries, 500,000 Pods and 500,000 WorkloadEntries is served by the release build.
//! Every step is bounded in time, and one that fails is a row of the table like the others.

#[path = "../../../tests/it/big_mesh.rs"]
mod big_mesh;
mod change;
mod folder;
mod overlap;
pub(crate) mod queries;
pub(crate) mod rolling;
pub(crate) mod server;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use tempfile::TempDir;

use self::{
    big_mesh::{Format, Mesh, Selects},
    server::{Meshdns, Start},
};
use crate::{
    machine,
    median::median,
    report::{Report, mebibytes},
};

/// How large, and how carefully.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A tenth of everything, to see whether it works
    #[arg(long)]
    quick: bool,

    /// How often the mesh is loaded from each format; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    starts: u32,

    /// How often each set of names is measured; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Threads that answer UDP queries
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,

    /// Which parts to measure [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// A part of the measurements.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    /// Starting from JSON
    Json,
    /// Memory while everything is read again
    Reload,
    /// CPU per query
    Queries,
    /// One Pod turns unready
    Pod,
    /// Many Pods turn unready under load
    Rolling,
    /// Selectors that overlap
    Overlap,
}

impl Options {
    /// A hundred thousand services with ten endpoints each.
    fn mesh(&self) -> Mesh {
        Mesh {
            services: 100_000 / self.divisor(),
            pods: 5,
            vms: 5,
            namespaces: 200 / self.divisor(),
            objects_a_file: 200,
            selects: Selects::Own,
            format: Format::Yaml,
        }
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn divisor(&self) -> usize {
        if self.quick { 10 } else { 1 }
    }
}

/// Measures everything and prints two tables.
pub(crate) fn run(options: &Options) {
    let mesh = options.mesh();
    println!(
        "{} ServiceEntries with selectors, {} Pods and {} WorkloadEntries in {} namespaces, {} files of {} objects; \
         files are in memory or in the page cache. UDP with {} worker(s), dnsperf where nothing else is said.",
        mesh.services,
        mesh.services * mesh.pods,
        mesh.services * mesh.vms,
        mesh.namespaces,
        mesh.files(),
        mesh.objects_a_file,
        options.workers
    );
    println!("{}", machine::describe());
    let mut report = Report::default();
    if options.wants(Part::Json) {
        report.step("start from JSON", |report| start_from_json(options, report));
    }
    report.step("start from YAML", |report| start_and_serve(options, report));
    report.print(&format!(
        "{} endpoints",
        mesh.services * (mesh.pods + mesh.vms)
    ));
    if options.wants(Part::Overlap) {
        let mut report = Report::default();
        overlap::measure(options, &mut report);
        report.print("Selectors that overlap");
    }
}

fn start_from_json(options: &Options, report: &mut Report) -> Result<()> {
    const GOAL_SECONDS: f64 = 4.0;
    let mesh = Mesh {
        format: Format::Json,
        ..options.mesh()
    };
    let scratch = scratch()?;
    let kept = folder::kept(&mesh)?;
    let (_, starts) = start(options, &kept, &scratch)?;
    tell_starts(report, "JSON", &starts, GOAL_SECONDS);
    Ok(())
}

/// Something that takes memory; returns the most that the process held meanwhile, in bytes.
type Reload = fn(&Meshdns) -> Result<u64>;

/// Starts from YAML, and takes every other step with the last process of these.
fn start_and_serve(options: &Options, report: &mut Report) -> Result<()> {
    const GOAL_SECONDS: f64 = 15.0;
    const GOAL_MEBIBYTES: f64 = 600.0;
    const GOAL_PEAK: f64 = 1.3;
    let mesh = options.mesh();
    let scratch = scratch()?;
    let folder = folder::copy(&folder::kept(&mesh)?)?;
    report.tell("files of the mesh", folder::place(&folder));
    let (meshdns, starts) = start(options, folder.path(), &scratch)?;
    tell_starts(report, "YAML", &starts, GOAL_SECONDS);
    let loaded = starts.last().context("there is a start")?.memory;
    let resident = mebibytes(loaded.resident);
    report.hold("RSS after load", resident, GOAL_MEBIBYTES, "MiB", "");
    report.tell(
        "peak RSS while loading",
        &format!("{:.0} MiB", mebibytes(loaded.peak)),
    );
    let reloads: [(&str, Reload); 2] = [
        (
            "peak RSS while every file is read again (SIGHUP)",
            Meshdns::reload,
        ),
        ("peak RSS while every record gets another TTL", |meshdns| {
            meshdns.change_policy(&Mesh::host(0))
        }),
    ];
    if options.wants(Part::Reload) {
        for (what, reload) in reloads {
            report.step(what, |report| {
                let peak = mebibytes(reload(&meshdns)?);
                let more = format!(" ({peak:.0} MiB)");
                report.hold(what, peak / resident, GOAL_PEAK, "× RSS after load", &more);
                Ok(())
            });
        }
    }
    if options.wants(Part::Queries) {
        report.step("CPU per query", |report| {
            queries::measure(options, &meshdns, scratch.path(), report)
        });
    }
    if options.wants(Part::Pod) {
        report.step("one Pod turns unready", |report| {
            change::one_pod(&mesh, folder.path(), &meshdns, report)
        });
    }
    if options.wants(Part::Rolling) {
        report.step("rolling change", |report| {
            rolling::rolling(options, folder.path(), &meshdns, report)
        });
    }
    let afterwards = mebibytes(meshdns.memory()?.resident);
    report.tell("RSS after all of this", &format!("{afterwards:.0} MiB"));
    Ok(())
}

/// Starts the server several times; the last process goes on.
fn start(options: &Options, mesh: &Path, scratch: &TempDir) -> Result<(Meshdns, Vec<Start>)> {
    let mut starts = Vec::new();
    let mut running = None;
    for round in 0..options.starts {
        eprintln!("start {} of {}", round + 1, options.starts);
        // The one before ends first: two would share the cores.
        drop(running.take());
        let (meshdns, start) = Meshdns::start_ready(&[mesh], options.workers, scratch.path())?;
        starts.push(start);
        running = Some(meshdns);
    }
    Ok((running.context("there is a start")?, starts))
}

fn tell_starts(report: &mut Report, format: &str, starts: &[Start], goal_seconds: f64) {
    let seconds = |time: fn(&Start) -> Duration| {
        let times: Vec<f64> = starts
            .iter()
            .map(|start| time(start).as_secs_f64())
            .collect();
        median(&times)
    };
    let more = format!(" (CPU {:.1} s)", seconds(|start| start.cpu));
    report.hold(
        &format!("start to ready, {format}"),
        seconds(|start| start.time),
        goal_seconds,
        "s",
        &more,
    );
}

/// A folder for logs and queries.
fn scratch() -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("meshdns-bench-")
        .tempdir()
        .context("make a temporary folder")
}
