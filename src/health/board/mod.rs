//! Everything that is known of all targets: who wants them, when each is due, what was observed, what follows.
//!
//! Times are values: each call says how long the board exists. Chance is a hash of the seed. So equal calls give equal boards.

mod checks;
mod figures;
mod judge;
mod save;
#[cfg(test)]
mod tests;
mod view;
mod wanted;
mod watched;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use checks::Checks;
pub use figures::{Figures, Standings};
use judge::Fall;
pub use view::View;
use watched::{Newest, Seen, Watched};

use super::{
    MassFailure, Observation, Ruling, Saved, Settings, Target, TargetId,
    freeze::{Freeze, Tally},
    pace::{self, Limiter},
};

/// How soon a first failure is looked at again, in milliseconds.
const CONFIRM_MS: u64 = 1000;

/// All targets and what is known of them.
#[derive(Debug)]
pub struct Board {
    rules: Rules,
    epoch: Epoch,
    targets: HashMap<TargetId, Watched, foldhash::fast::RandomState>,
    checks: Checks,
    /// Who is to be probed when, in milliseconds.
    schedule: BTreeSet<(u64, TargetId)>,
    limiter: Limiter,
    freeze: Freeze,
    tally: Tally,
    /// Falls of the last minute, oldest first.
    falls: VecDeque<Fall>,
    /// Who began to pass within the last minute, and when.
    rises: VecDeque<(i64, TargetId)>,
    /// Who is in only because too many fail.
    frozen: BTreeSet<TargetId>,
    /// Who may have another ruling than was told.
    changed: BTreeSet<TargetId>,
    /// How many targets of the first round are not known yet.
    awaited: usize,
    /// Whether a verdict changed since the state was taken.
    is_unsaved: bool,
    saved: Saved,
    figures: Figures,
}

/// When a board began and what its chance follows from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Epoch {
    /// The wall clock when the board began, since 1970.
    pub wall: Duration,
    /// What times are spread by; a board that is given the state of an earlier one goes on with that one's.
    pub seed: u64,
}

/// What the settings say to the board.
#[derive(Clone, Copy, Debug)]
struct Rules {
    mass_failure: Option<MassFailure>,
    start_within_ms: u64,
    max_per_second: u32,
    has_flap_damping: bool,
}

impl From<&Settings> for Rules {
    fn from(settings: &Settings) -> Self {
        Self {
            mass_failure: settings
                .mass_failure
                .filter(|_| settings.canaries.is_empty()),
            start_within_ms: to_ms(settings.start_within),
            max_per_second: settings.max_per_second.max(1),
            has_flap_damping: settings.has_flap_damping,
        }
    }
}

/// A target whose time has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// Its number.
    pub id: TargetId,
    /// What to probe.
    pub target: Target,
}

impl Board {
    /// A board without targets, which knows what `saved` says of those that come.
    pub fn new(settings: &Settings, epoch: Epoch, saved: Saved) -> Self {
        let mut checks = Checks::default();
        for probe in saved.proven() {
            checks.remember_proven(probe);
        }
        Self {
            rules: settings.into(),
            epoch: Epoch {
                seed: saved.seed().unwrap_or(epoch.seed),
                ..epoch
            },
            targets: HashMap::default(),
            checks,
            schedule: BTreeSet::new(),
            limiter: Limiter::new(),
            freeze: Freeze::Off,
            tally: Tally::default(),
            falls: VecDeque::new(),
            rises: VecDeque::new(),
            frozen: BTreeSet::new(),
            changed: BTreeSet::new(),
            awaited: 0,
            is_unsaved: false,
            saved,
            figures: Figures::default(),
        }
    }

    /// Goes on by other settings. Verdicts stay, and so do the times of probes that are set.
    pub fn set_settings(&mut self, settings: &Settings, now: Duration) {
        self.rules = settings.into();
        if self.rules.mass_failure.is_none() && settings.canaries.is_empty() {
            self.set_freeze(Freeze::Off, to_ms(now));
        }
        self.judge_mass(to_ms(now));
    }

    /// At most `limit` targets that are due, in the order in which they are; each is probed from here on until
    /// [`Board::observe`] says what came of it.
    pub fn take_due(&mut self, now: Duration, limit: usize) -> Vec<Due> {
        let at = to_ms(now);
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(&(due, id)) = self.schedule.first().filter(|(due, _)| *due <= at) else {
                break;
            };
            if !self.limiter.take(now, self.rules.max_per_second) {
                break;
            }
            self.schedule.pop_first();
            let watched = self.targets.get_mut(&id).expect("who is due is wanted");
            let probe = self.checks.get(watched.check).probe.clone();
            watched.is_in_flight = true;
            watched.due = at;
            self.figures.in_flight += 1;
            let tenth_ms = u64::from(probe.period_seconds) * 100;
            self.figures.late += u64::from(at > due + tenth_ms);
            let address = watched.address;
            taken.push(Due {
                id,
                target: Target { address, probe },
            });
        }
        taken
    }

    /// Takes in what the probe of a target came to.
    pub fn observe(&mut self, id: TargetId, observation: Observation, now: Duration) {
        let at = to_ms(now);
        let Some(watched) = self
            .targets
            .get_mut(&id)
            .filter(|watched| watched.is_in_flight)
        else {
            return;
        };
        watched.is_in_flight = false;
        self.figures.in_flight -= 1;
        self.figures
            .count(&self.checks.get(watched.check).probe, observation);
        match observation {
            Observation::Pass(pass) => self.take_in(id, pass.into(), at),
            Observation::Fail(failure) => self.take_in(id, Seen::Fail(failure), at),
            Observation::Nothing(_) => {}
        }
        self.schedule_next(id, at);
    }

    fn take_in(&mut self, id: TargetId, seen: Seen, at: u64) {
        let watched = self
            .targets
            .get_mut(&id)
            .expect("who is observed is wanted");
        watched.newest = Some(Newest { at, seen });
        self.judge(id, seen.is_pass(), at);
        self.judge_mass(at);
    }

    fn schedule_next(&mut self, id: TargetId, at: u64) {
        let watched = self
            .targets
            .get_mut(&id)
            .expect("who is observed is wanted");
        let period = u64::from(self.checks.get(watched.check).probe.period_seconds) * 1000;
        let begun = watched.due;
        let due = if watched.is_awaited {
            begun + CONFIRM_MS.min(period)
        } else {
            pace::next(
                watched.hash,
                period,
                to_ms(self.epoch.wall),
                begun,
                period / 2,
            )
        };
        watched.due = due.max(at);
        self.schedule.insert((watched.due, id));
    }

    /// What follows for the targets of which something else follows than was told.
    pub fn take_rulings(&mut self, now: Duration) -> Vec<(TargetId, Ruling)> {
        let mut rulings = Vec::new();
        for id in std::mem::take(&mut self.changed) {
            let Some(watched) = self.targets.get_mut(&id) else {
                continue;
            };
            let outcome = watched.outcome(self.checks.get(watched.check));
            if watched.told != outcome {
                watched.told = outcome;
                let watched = &self.targets[&id];
                rulings.push((id, self.ruling(watched, to_ms(now))));
            }
        }
        rulings
    }

    /// When there is something to do at the latest: for [`Board::take_due`] or [`Board::tick`].
    pub fn next_due(&self) -> Option<Duration> {
        let probe = self.schedule.first();
        let probe = probe.map(|(due, _)| from_ms(*due).max(self.limiter.free_at()));
        probe
            .into_iter()
            .chain(self.next_change().map(from_ms))
            .min()
    }

    /// Whether something is known of every target that stood in the mesh at the start.
    pub fn is_settled(&self) -> bool {
        self.awaited == 0
    }

    /// What was counted since the board began.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// How many targets there are.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    fn wall_seconds(&self, at: u64) -> u64 {
        (to_ms(self.epoch.wall) + at) / 1000
    }

    /// A time of the board as one of the wall clock, in seconds.
    fn to_wall(&self, since: i64) -> u64 {
        let wall = to_signed(to_ms(self.epoch.wall)).saturating_add(since);
        u64::try_from(wall / 1000).unwrap_or(0)
    }
}

fn to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn from_ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn to_signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}
