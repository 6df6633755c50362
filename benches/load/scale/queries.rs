//! What a query costs among a million endpoints, beside a tenth of them in the same rounds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Mesh, Meshdns, Options, Report, folder};
use crate::{
    dnsperf::{self, Extent, Run},
    median::median,
    mix::PLAIN,
    table::{ratios, spread},
};

/// How long one run takes.
const SECONDS: u64 = 2;

/// Measures names drawn from all, as many as the smaller mesh has, and the smaller mesh's.
pub(super) fn measure(
    options: &Options,
    meshdns: &Meshdns,
    scratch: &Path,
    report: &mut Report,
) -> Result<()> {
    const GOAL_ALL: f64 = 1.4;
    const GOAL_FEW: f64 = 1.1;
    const TENTH: usize = 10;
    let mesh = options.mesh();
    let few = mesh.services / TENTH;
    let small = Mesh {
        services: few,
        namespaces: mesh.namespaces / TENTH,
        ..mesh
    };
    let kept = folder::kept(&small)?;
    let (beside, _) = Meshdns::start_ready(&[kept], options.workers, scratch)?;
    let sets = [
        (&beside, write(scratch, "small", 0..few)?),
        (
            meshdns,
            write(scratch, "few", (0..mesh.services).step_by(TENTH))?,
        ),
        (meshdns, write(scratch, "all", 0..mesh.services)?),
    ];
    let mut runs: [Vec<Run>; 3] = Default::default();
    for round in 0..options.rounds as usize {
        for turn in 0..sets.len() {
            let who = (round + turn) % sets.len();
            let (server, queries) = &sets[who];
            runs[who].push(dnsperf::run(
                &server.server,
                &PLAIN,
                queries,
                Extent::Seconds(SECONDS),
                None,
            )?);
        }
    }
    let [small, same, all] = runs;
    report.tell(
        &format!("CPU per query, {few} names in a mesh of {few}"),
        &format!("{} µs", spread(&small)),
    );
    for (what, own, goal) in [
        (format!("{few} of {} names", mesh.services), same, GOAL_FEW),
        (format!("all {} names", mesh.services), all, GOAL_ALL),
    ] {
        let ratio = median(&ratios(&own, &small));
        let more = format!(" ({} µs)", spread(&own));
        report.hold(
            &format!("CPU per query, {what}, beside that"),
            ratio,
            goal,
            "×",
            &more,
        );
    }
    Ok(())
}

/// Writes dnsperf's input: every service once, in an order that has nothing to do with the one in memory.
fn write(folder: &Path, name: &str, services: impl Iterator<Item = usize>) -> Result<PathBuf> {
    let file = folder.join(format!("{name}.queries"));
    let services: Vec<usize> = services.collect();
    let lines: Vec<String> = shuffled(services.len())
        .map(|index| format!("{} A\n", Mesh::host(services[index])))
        .collect();
    fs::write(&file, lines.concat()).context("write the queries")?;
    Ok(file)
}

/// Every number below `count` once, far apart from one to the next.
pub(crate) fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    // Steps of a prime that is larger than any count visit each number once.
    const STEP: usize = 2_654_435_761;
    (0..count).map(move |index| index * STEP % count)
}
