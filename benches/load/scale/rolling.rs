//! What queries notice of many changes.

use std::{
    fmt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    Mesh, Meshdns, Options, Report, change::is_answered, folder, queries::shuffled, server::Client,
};
use crate::{
    generator::{self, Outcome, Replies, Turns},
    mix::Type,
    query::query,
    usage::{Meter, Usage},
};

/// How many files change in a turn of a rolling change, after as long a rest.
const FILES_A_TURN: usize = 4;

/// How many turns of a kind the host must have left alone, for the others not to count.
const FEWEST_TURNS: usize = 20;

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
    let changes = u32::try_from(files.list.len().div_ceil(FILES_A_TURN))?;
    // In turns, and short ones, because others on the machine make every latency worse for a while.
    let turns = Turns {
        count: 2 * changes,
        length: time / changes,
    };
    meshdns.rest()?;
    let mut meter = Meter::start(meshdns.id())?;
    let mut usages = Vec::new();
    let outcome = generator::run(meshdns.dns, &queries, RATE, turns, |turn| {
        let before = meter.lap()?;
        usages.extend((turn > 0).then_some(before));
        if is_change(turn as usize) {
            files.flip_by_file(turn as usize / 2, turns.length)?;
        }
        Ok(())
    })?;
    usages.push(meter.lap()?);
    meshdns.rest()?;
    let is_late = is_answered(&mesh, &Client::of(meshdns)?, files.last_pod())?;
    ensure!(!is_late, "a change is not served");
    let [resting, changing] = sides(&outcome.turns, &usages, |_| true);
    let spilt = outcome.spilt;
    report.tell(
        &format!(
            "at rest under {RATE} queries/s, {changes} turns of {:?}: p50, p99, p99.9",
            turns.length
        ),
        &format!("{resting}, {}", resting.losses(spilt)),
    );
    let (pods, count) = (files.pods(), files.list.len());
    let what = format!(
        "{pods} Pods turn unready in {time:?}, {count} files replaced once each, in turns with the above"
    );
    report.judge(
        &what,
        &changing.losses(spilt),
        "0",
        changing.is_whole(spilt),
    );
    hold_beside_rest(report, &outcome, &usages);

    let turns = Turns {
        count: 1,
        length: time,
    };
    let mut meter = Meter::start(meshdns.id())?;
    let outcome = generator::run(meshdns.dns, &queries, RATE, turns, |_| {
        files.flip_by_pod(time)
    })?;
    let side = Side::of([(&outcome.turns[0], meter.lap()?)].into_iter());
    report.tell(
        &format!("{pods} Pods turn ready in {time:?}, a file replaced for each"),
        &format!("{side}, {}", side.losses(outcome.spilt)),
    );
    Ok(())
}

/// Holds the latencies of the turns with changes to those of the turns at rest.
pub(crate) fn hold_beside_rest(report: &mut Report, outcome: &Outcome, usages: &[Usage]) {
    let all = sides(&outcome.turns, usages, |_| true);
    let ratio = |[resting, changing]: &[Side; 2]| changing.p99() / resting.p99();
    let undisturbed = sides(&outcome.turns, usages, |usage| usage.stolen.is_zero());
    let is_enough = undisturbed.iter().all(|side| side.turns >= FEWEST_TURNS);
    let counted = if is_enough { &undisturbed } else { &all };
    let [still, moving] = counted;
    report.hold(
        &format!(
            "the same: p99 beside p99 at rest, of {} and {} turns{}",
            moving.turns,
            still.turns,
            if is_enough {
                " that the host left alone"
            } else {
                ""
            }
        ),
        ratio(counted),
        1.2,
        "×",
        &format!(" ({moving}; at rest {still})"),
    );
    if is_enough {
        let [_, changing] = &all;
        let what = "the same, of all turns";
        report.tell(what, &format!("{:.2} × ({changing})", ratio(&all)));
    }
}

/// Whether something changes in a turn.
pub(crate) fn is_change(turn: usize) -> bool {
    turn % 2 == 1
}

/// What came of the turns at rest and of those with changes, as far as they are `counted`.
pub(crate) fn sides(
    turns: &[Replies],
    usages: &[Usage],
    counted: impl Fn(&Usage) -> bool,
) -> [Side; 2] {
    [false, true].map(|with_changes| {
        let all = turns.iter().zip(usages.iter().copied()).enumerate();
        let of_side = all.filter(|(turn, _)| is_change(*turn) == with_changes);
        Side::of(
            of_side
                .map(|(_, turn)| turn)
                .filter(|(_, usage)| counted(usage)),
        )
    })
}

/// Turns of the same kind.
pub(crate) struct Side {
    turns: usize,
    replies: Replies,
    pub(crate) usage: Usage,
}

impl Side {
    fn of<'t>(turns: impl Iterator<Item = (&'t Replies, Usage)>) -> Self {
        let (replies, usages): (Vec<_>, Vec<_>) = turns.unzip();
        let mut usage = Usage::default();
        for of_turn in usages {
            usage += of_turn;
        }
        Self {
            turns: replies.len(),
            replies: Replies::of(replies.into_iter()),
            usage,
        }
    }

    fn p99(&self) -> f64 {
        self.replies.percentile(99.0)
    }

    pub(crate) fn is_whole(&self, spilt: usize) -> bool {
        self.replies.missing() <= spilt && self.replies.refused == 0
    }

    pub(crate) fn losses(&self, spilt: usize) -> String {
        format!(
            "{} lost ({spilt} more by the generator), {} not NOERROR of {}",
            self.replies.missing().saturating_sub(spilt),
            self.replies.refused,
            self.replies.sent
        )
    }
}

/// Percentiles, and what was used meanwhile.
impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, nearly_all] =
            [50.0, 99.0, 99.9].map(|percent| self.replies.percentile(percent));
        write!(
            formatter,
            "{half:.0} µs, {most:.0} µs, {nearly_all:.0} µs, {}",
            self.usage
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

    /// Flips all Pods of a file at once, one file of a turn after the other.
    fn flip_by_file(&mut self, turn: usize, time: Duration) -> Result<()> {
        let (mesh, folder) = (self.mesh, self.folder);
        let files = self.list.chunks_mut(FILES_A_TURN).nth(turn);
        evenly(files.unwrap_or_default(), time, |file| {
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
pub(crate) fn evenly<T>(
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
