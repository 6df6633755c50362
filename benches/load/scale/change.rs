//! How soon a change is served, and what it costs.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{Mesh, Meshdns, Report, folder, queries::shuffled, server::Client};
use crate::{median::median, report::milliseconds};

/// How long `src/control/pace.rs` waits for quiet after a change: what lands together is published together.
const DEBOUNCE: Duration = Duration::from_millis(10);

/// Turns one Pod after another unready, each in a file of its own.
pub(super) fn one_pod(
    mesh: &Mesh,
    folder: &Path,
    meshdns: &Meshdns,
    report: &mut Report,
) -> Result<()> {
    const TRIES: usize = 20;
    const GOAL: Duration = Duration::from_millis(20);
    const GOAL_CPU: Duration = Duration::from_millis(5);
    let pods: Vec<usize> = shuffled(mesh.services * mesh.pods)
        .take(2 * TRIES)
        .collect();
    let (asked, untouched) = pods.split_at(TRIES);
    let times = asked
        .iter()
        .map(|&pod| time_until_served(mesh, folder, meshdns, pod))
        .collect::<Result<Vec<f64>>>()?;
    let costs = untouched
        .iter()
        .map(|&pod| cpu_of_change(mesh, folder, meshdns, pod))
        .collect::<Result<Vec<f64>>>()?;
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    report.hold(
        &format!(
            "one Pod turns unready: rename to UDP answer, median of {TRIES}, {DEBOUNCE:?} of debounce in it"
        ),
        median(&times),
        milliseconds(GOAL + DEBOUNCE),
        "ms",
        &format!(" (most {:.1} ms)", largest(&times)),
    );
    report.hold(
        &format!("the same: CPU of the process, median of {TRIES}"),
        median(&costs),
        milliseconds(GOAL_CPU),
        "ms",
        &format!(" (most {:.1} ms)", largest(&costs)),
    );
    Ok(())
}

/// From the rename to the first answer without the Pod, in milliseconds.
fn time_until_served(mesh: &Mesh, folder: &Path, meshdns: &Meshdns, pod: usize) -> Result<f64> {
    const INTERVAL: Duration = Duration::from_micros(200);
    const PATIENCE: Duration = Duration::from_mins(1);
    meshdns.rest()?;
    let client = Client::of(meshdns)?;
    ensure!(
        is_answered(mesh, &client, pod)?,
        "a ready Pod is not served"
    );
    turn_unready(mesh, folder, pod)?;
    let renamed = Instant::now();
    while is_answered(mesh, &client, pod)? {
        ensure!(renamed.elapsed() < PATIENCE, "a change is not served");
        thread::sleep(INTERVAL);
    }
    Ok(milliseconds(renamed.elapsed()))
}

/// Replaces the file of a Pod by one in which it is not ready.
fn turn_unready(mesh: &Mesh, folder: &Path, pod: usize) -> Result<()> {
    let file = mesh.file_of(pod);
    let text = mesh.text(file, |other| other != pod);
    folder::replace(folder, &mesh.file_name(file), &text)
}

/// What a change costs that nobody asks for, in milliseconds.
fn cpu_of_change(mesh: &Mesh, folder: &Path, meshdns: &Meshdns, pod: usize) -> Result<f64> {
    meshdns.rest()?;
    let before = meshdns.cpu()?;
    turn_unready(mesh, folder, pod)?;
    meshdns.rest()?;
    let cost = meshdns.cpu()?.saturating_sub(before);
    let client = Client::of(meshdns)?;
    ensure!(!is_answered(mesh, &client, pod)?, "a change is not served");
    Ok(milliseconds(cost))
}

/// Whether the answer holds a Pod's address.
pub(super) fn is_answered(mesh: &Mesh, client: &Client, pod: usize) -> Result<bool> {
    let host = Mesh::host(mesh.service_of(pod));
    client.ask(&host, |reply| {
        reply.has_address(Mesh::address_of(pod).octets())
    })
}
