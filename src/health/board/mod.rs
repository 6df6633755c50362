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
mod watched;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use checks::Checks;
pub use figures::{Figures, Standings};
use judge::Fall;
pub use view::View;
use watched::{Newest, Outcome, Seen, Watched};

use super::{
    Begin, MassFailure, Observation, Ruling, Saved, Settings, Target, TargetId, Verdict, Wanted,
    freeze::{Freeze, Tally},
    pace::{self, Limiter},
    saved::SavedVerdict,
    verdict::{Damping, Standing},
};
use crate::manifest::ProbeMethod;

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

    /// Takes in a target. Its number must be new.
    pub fn want(&mut self, wanted: Wanted, now: Duration) {
        let Wanted {
            id,
            target,
            begin,
            created,
        } = wanted;
        let at = to_ms(now);
        let known = (begin == Begin::Start)
            .then(|| self.saved.take(&target, self.wall_seconds(at)))
            .flatten();
        let (standing, since) = match known {
            Some(SavedVerdict {
                verdict,
                had_place,
                since,
            }) => (
                Standing::known(verdict, had_place),
                self.since_wall(since, at),
            ),
            None => (Standing::new(begin), to_signed(at)),
        };
        let verdict = standing.verdict;
        let hash = pace::hash(&target, self.epoch.seed);
        let earliest = self.end_of_delay(&target, created, at);
        let period = period_ms(&target);
        let due = earliest
            + match (begin, verdict) {
                (Begin::New, _) => 0,
                (_, Verdict::Passing) => {
                    pace::next(hash, period, to_ms(self.epoch.wall), earliest, 0) - earliest
                }
                (Begin::Start, _) => pace::spread(hash, self.first_round_ms(&target)),
                (Begin::Kept, _) => pace::spread(hash, period.min(self.rules.start_within_ms)),
            };
        let is_awaited = begin == Begin::Start
            && verdict == Verdict::Pending
            && earliest <= at + self.rules.start_within_ms;
        self.awaited += usize::from(is_awaited);
        let watched = Watched {
            address: target.address,
            check: self.checks.add_target(&target.probe, at),
            hash,
            standing,
            damping: Damping::default(),
            since,
            due,
            is_in_flight: false,
            is_frozen: false,
            is_established: verdict == Verdict::Passing,
            is_awaited,
            tallied: watched::Tallied::No,
            told: match begin {
                Begin::Start | Begin::Kept => Outcome::Pending,
                Begin::New => Outcome::Awaited,
            },
            newest: None,
        };
        if target.probe.method != ProbeMethod::Exec {
            self.schedule.insert((due, id));
        }
        self.checks
            .set_failing(watched.check, id, verdict == Verdict::Failing);
        let replaced = self.targets.insert(id, watched);
        debug_assert!(replaced.is_none(), "no number is given out twice");
        self.changed.insert(id);
        self.count_in_tally(id);
    }

    /// Forgets a target: what its probe says that is under way is dropped.
    pub fn unwant(&mut self, id: TargetId, now: Duration) {
        let Some(watched) = self.targets.get_mut(&id) else {
            return;
        };
        // Out of the tally first: who is gone counts for nothing.
        watched.is_established = false;
        self.count_in_tally(id);
        let watched = self.targets.remove(&id).expect("it was just there");
        if watched.is_in_flight {
            self.figures.in_flight -= 1;
        } else {
            self.schedule.remove(&(watched.due, id));
        }
        self.awaited -= usize::from(watched.is_awaited);
        self.checks.remove_target(watched.check, id, to_ms(now));
        self.frozen.remove(&id);
        self.changed.remove(&id);
        self.is_unsaved = true;
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

    /// Until when a target is left alone.
    fn end_of_delay(&self, target: &Target, created: i64, at: u64) -> u64 {
        let delay = u64::from(target.probe.initial_delay_seconds) * 1000;
        let created_ms = u64::try_from(created).unwrap_or(0).saturating_mul(1000);
        if created_ms == 0 {
            return at + delay;
        }
        let end = (created_ms + delay).saturating_sub(to_ms(self.epoch.wall));
        // An object that is made in the future has another clock.
        end.clamp(at, at + delay)
    }

    /// Over which time the first round is spread, so that a failure is confirmed before nobody waits for it any more.
    fn first_round_ms(&self, target: &Target) -> u64 {
        let confirmed = CONFIRM_MS + 2000 * u64::from(target.probe.timeout_seconds);
        let within = self.rules.start_within_ms;
        within.saturating_sub(confirmed).max(within / 5)
    }

    fn wall_seconds(&self, at: u64) -> u64 {
        (to_ms(self.epoch.wall) + at) / 1000
    }

    /// A time of the wall clock, in seconds, as one of the board; not later than `at`.
    fn since_wall(&self, seconds: u64, at: u64) -> i64 {
        let since = to_signed(seconds.saturating_mul(1000)) - to_signed(to_ms(self.epoch.wall));
        since.min(to_signed(at))
    }

    /// A time of the board as one of the wall clock, in seconds.
    fn to_wall(&self, since: i64) -> u64 {
        let wall = to_signed(to_ms(self.epoch.wall)).saturating_add(since);
        u64::try_from(wall / 1000).unwrap_or(0)
    }
}

fn period_ms(target: &Target) -> u64 {
    u64::from(target.probe.period_seconds) * 1000
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
