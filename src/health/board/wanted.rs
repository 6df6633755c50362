//! Targets that come and go.

use std::time::Duration;

use super::{
    Board, CONFIRM_MS, to_ms, to_signed,
    watched::{Outcome, Tallied, Watched},
};
use crate::{
    health::{
        Begin, Target, TargetId, Verdict, Wanted, pace,
        saved::SavedVerdict,
        verdict::{Damping, Standing},
    },
    manifest::ProbeMethod,
};

impl Board {
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
            tallied: Tallied::No,
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

    /// A time of the wall clock, in seconds, as one of the board; not later than `at`.
    fn since_wall(&self, seconds: u64, at: u64) -> i64 {
        let since = to_signed(seconds.saturating_mul(1000)) - to_signed(to_ms(self.epoch.wall));
        since.min(to_signed(at))
    }
}

fn period_ms(target: &Target) -> u64 {
    u64::from(target.probe.period_seconds) * 1000
}
