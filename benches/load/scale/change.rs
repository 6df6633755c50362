//! How soon a change is served, what it costs, and what queries notice of many.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    Mesh, Meshdns, Options, Report, folder,
    generator::{self, Replies},
    queries::shuffled,
    report::milliseconds,
    server::Client,
};
use crate::{machine, median::median, mix::Type, query::query};

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
fn is_answered(mesh: &Mesh, client: &Client, pod: usize) -> Result<bool> {
    let host = Mesh::host(mesh.service_of(pod));
    client.ask(&host, |reply| {
        reply.has_address(Mesh::address_of(pod).octets())
    })
}

/// In how many parts a rolling change goes on, each after as long a rest.
const ROUNDS: u32 = 30;

/// A hundredth of all endpoints turns unready under load, then ready again in smaller steps.
pub(super) fn rolling(
    options: &Options,
    folder: &Path,
    meshdns: &Meshdns,
    report: &mut Report,
) -> Result<()> {
    const RATE: u32 = 50_000;
    let time = Duration::from_mins(1) / u32::try_from(options.divisor())?;
    let mesh = options.mesh();
    let mut files = Files::of(&mesh, folder, 500 / options.divisor());
    let queries: Vec<Vec<u8>> = shuffled(mesh.services)
        .map(|service| query(&Mesh::host(service), Type::A, false))
        .collect();
    let load = |time, meanwhile: &mut dyn FnMut() -> Result<()>| -> Result<Round> {
        meshdns.rest()?;
        let (cpu, stolen) = (meshdns.cpu()?, machine::stolen()?);
        let (replies, done) = generator::run(meshdns.dns, &queries, RATE, time, meanwhile)?;
        done?;
        let share = |used: Duration| used.as_secs_f64() / time.as_secs_f64() * 100.0;
        Ok(Round {
            replies,
            cpu: share(meshdns.cpu()?.saturating_sub(cpu)),
            stolen: share(machine::stolen()?.saturating_sub(stolen)),
        })
    };
    // By turns, because others on the machine make every latency worse for a while.
    let mut resting = Rounds::default();
    let mut changing = Rounds::default();
    for part in 0..ROUNDS {
        resting.add(load(time / ROUNDS, &mut || Ok(()))?);
        changing.add(load(time / ROUNDS, &mut || {
            files.flip_by_file(part, time / ROUNDS)
        })?);
    }
    meshdns.rest()?;
    let is_late = is_answered(&mesh, &Client::of(meshdns)?, files.last_pod())?;
    ensure!(!is_late, "a change is not served");
    let mut by_pod = Rounds::default();
    by_pod.add(load(time, &mut || files.flip_by_pod(time))?);
    report.tell(
        &format!(
            "at rest under {RATE} queries/s for {ROUNDS} times {:?}: p50, p99, p99.9",
            time / ROUNDS
        ),
        &format!("{}, {}", resting.percentiles(), resting.lost()),
    );
    let (pods, count) = (files.pods(), files.list.len());
    let what = format!(
        "{pods} Pods turn unready in {time:?}, {count} files replaced once each, by turns with the above"
    );
    report.judge(&what, &changing.lost(), "0", changing.has_lost_none());
    let ratio = changing.percentile(99.0) / resting.percentile(99.0);
    let more = format!(" ({})", changing.percentiles());
    report.hold("the same: p99 beside p99 at rest", ratio, 1.2, "×", &more);
    report.tell(
        &format!("{pods} Pods turn ready in {time:?}, a file replaced for each"),
        &format!("{}, {}", by_pod.percentiles(), by_pod.lost()),
    );
    Ok(())
}

/// What came back in one load, and what the process used and the machine's host took away meanwhile, in hundredths of a
/// core.
struct Round {
    replies: Replies,
    cpu: f64,
    stolen: f64,
}

/// Rounds of the same kind.
#[derive(Default)]
struct Rounds(Vec<Round>);

impl Rounds {
    fn add(&mut self, round: Round) {
        self.0.push(round);
    }

    /// The median of the rounds' percentiles, in microseconds.
    fn percentile(&self, percent: f64) -> f64 {
        self.median(|round| round.replies.percentile(percent))
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(&self.0.iter().map(figure).collect::<Vec<_>>())
    }

    fn percentiles(&self) -> String {
        let [half, most, nearly_all] = [50.0, 99.0, 99.9].map(|percent| self.percentile(percent));
        let (cpu, stolen) = (
            self.median(|round| round.cpu),
            self.median(|round| round.stolen),
        );
        format!(
            "{half:.0} µs, {most:.0} µs, {nearly_all:.0} µs, CPU {cpu:.0} % of a core, {stolen:.1} % stolen by the host"
        )
    }

    fn has_lost_none(&self) -> bool {
        let mut all = self.0.iter().map(|round| &round.replies);
        all.all(|replies| replies.lost() + replies.refused == 0)
    }

    fn lost(&self) -> String {
        let sum = |count: fn(&Replies) -> usize| {
            self.0
                .iter()
                .map(|round| count(&round.replies))
                .sum::<usize>()
        };
        format!(
            "{} lost ({} more by the generator), {} not NOERROR of {}",
            sum(Replies::lost),
            sum(|replies| replies.spilt),
            sum(|replies| replies.refused),
            sum(|replies| replies.sent)
        )
    }
}

/// The files that change.
struct Files<'c> {
    mesh: &'c Mesh,
    folder: &'c Path,
    list: Vec<File>,
}

/// A file, made beforehand: replacing it shall cost the machine little.
struct File {
    number: usize,
    /// The text of every object.
    objects: Vec<String>,
    /// The Pods that change: which object of the file, and its text when it is the other way round.
    flips: Vec<(usize, String)>,
}

impl<'c> Files<'c> {
    /// Twenty Pods each in `count` files, far apart.
    fn of(mesh: &'c Mesh, folder: &'c Path, count: usize) -> Self {
        const PODS_A_FILE: usize = 20;
        let first_file = mesh.services / mesh.objects_a_file;
        let pod_files = mesh.services * mesh.pods / mesh.objects_a_file;
        let step = mesh.objects_a_file / PODS_A_FILE;
        let file = |index: usize| {
            let number = first_file + index * pod_files / count;
            let positions = (0..mesh.objects_a_file).step_by(step);
            File {
                number,
                objects: mesh.documents(number, |_| true).collect(),
                flips: positions
                    .zip(mesh.documents(number, |_| false).step_by(step))
                    .collect(),
            }
        };
        let list = (0..count).map(file).collect();
        Self { mesh, folder, list }
    }

    fn pods(&self) -> usize {
        self.list.iter().map(|file| file.flips.len()).sum()
    }

    /// The Pod that changes last.
    fn last_pod(&self) -> usize {
        let file = self.list.last().expect("there are files");
        let (position, _) = file.flips.last().expect("Pods change in every file");
        file.number * self.mesh.objects_a_file + position - self.mesh.services
    }

    /// Flips all Pods of a file at once, one file of a part after the other.
    fn flip_by_file(&mut self, part: u32, time: Duration) -> Result<()> {
        let (mesh, folder) = (self.mesh, self.folder);
        let count = self.list.len();
        let begin = |part: u32| count * part as usize / ROUNDS as usize;
        evenly(&mut self.list[begin(part)..begin(part + 1)], time, |file| {
            (0..file.flips.len()).for_each(|pod| file.flip(pod));
            file.write(mesh, folder)
        })
    }

    /// Flips one Pod after the other, and replaces its file each time.
    fn flip_by_pod(&mut self, time: Duration) -> Result<()> {
        let (mesh, folder) = (self.mesh, self.folder);
        let time_a_file = time / u32::try_from(self.list.len()).context("few files")?;
        evenly(&mut self.list, time, |file| {
            let mut pods: Vec<usize> = (0..file.flips.len()).collect();
            evenly(&mut pods, time_a_file, |pod| {
                file.flip(*pod);
                file.write(mesh, folder)
            })
        })
    }
}

impl File {
    fn flip(&mut self, pod: usize) {
        let (position, other) = &mut self.flips[pod];
        std::mem::swap(&mut self.objects[*position], other);
    }

    fn write(&self, mesh: &Mesh, folder: &Path) -> Result<()> {
        folder::replace(folder, &mesh.file_name(self.number), &self.objects.concat())
    }
}

/// Does something with every item, from the beginning to the end of `time`.
fn evenly<T>(
    items: &mut [T],
    time: Duration,
    mut act: impl FnMut(&mut T) -> Result<()>,
) -> Result<()> {
    let begin = Instant::now();
    let count = u32::try_from(items.len()).context("few items")?;
    for (number, item) in (0..).zip(items) {
        let due = time * number / count;
        thread::sleep(due.saturating_sub(begin.elapsed()));
        act(item)?;
    }
    Ok(())
}
