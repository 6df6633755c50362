//! What an observation does to its target and, together with others, to all of them.

use std::{mem, time::Duration};

use super::{Board, to_ms, to_signed, watched::Tallied};
use crate::health::{
    TargetId, Verdict,
    freeze::Freeze,
    verdict::{Damping, Standing},
};

/// For how long a fall can be taken back, and after how long of passing a target is one to judge others by.
const RECENT_MS: u64 = 60_000;

/// A fall that can still be taken back.
#[derive(Debug)]
pub(super) struct Fall {
    at: u64,
    id: TargetId,
    /// What held before.
    standing: Standing,
    damping: Damping,
    since: i64,
}

impl Board {
    /// Takes in one more pass or failure of a target.
    pub(super) fn judge(&mut self, id: TargetId, is_pass: bool, at: u64) {
        let has_damping = self.rules.has_flap_damping;
        let is_frozen = self.freeze.is_on();
        let watched = self.targets.get_mut(&id).expect("who is judged is wanted");
        let mut thresholds = self.checks.get(watched.check).thresholds();
        if has_damping {
            thresholds.success = watched.damping.damped(thresholds.success);
        }
        let before = watched.standing;
        let after = before.after(is_pass, thresholds);
        let falls = after.verdict == Verdict::Failing && before.verdict != Verdict::Failing;
        watched.standing = after;
        if is_pass {
            watched.is_frozen = false;
            self.frozen.remove(&id);
        }
        if falls && before.had_place && is_frozen {
            watched.standing.verdict = before.verdict;
            watched.is_frozen = true;
            self.frozen.insert(id);
        } else if falls {
            watched.standing.verdict = before.verdict;
            self.fall(id, at);
        } else if after.verdict != before.verdict {
            watched.since = to_signed(at);
            self.rises.push_back((to_signed(at), id));
            self.figures.rises += 1;
            self.is_unsaved = true;
        }
        let watched = self.targets.get_mut(&id).expect("who is judged is wanted");
        if watched.is_awaited && (watched.is_frozen || watched.standing.verdict != Verdict::Pending)
        {
            watched.is_awaited = false;
            self.awaited -= 1;
        }
        let (check, verdict) = (watched.check, watched.standing.verdict);
        self.checks
            .set_failing(check, id, verdict == Verdict::Failing);
        if is_pass && !self.checks.get(check).is_proven {
            let believed = self.checks.prove(check);
            self.changed.extend(believed);
            self.is_unsaved = true;
        }
        self.changed.insert(id);
        self.count_in_tally(id);
    }

    /// Lets a target fall whose newest observation is a failure.
    fn fall(&mut self, id: TargetId, at: u64) {
        let watched = self.targets.get_mut(&id).expect("who falls is wanted");
        let was_passing = watched.standing.verdict == Verdict::Passing;
        if watched.standing.had_place {
            self.falls.push_back(Fall {
                at,
                id,
                standing: watched.standing,
                damping: watched.damping,
                since: watched.since,
            });
        }
        if was_passing {
            let passing_since = u64::try_from(watched.since).unwrap_or(0);
            watched.damping = watched
                .damping
                .after_fall(seconds(at), seconds(passing_since));
        }
        watched.standing.verdict = Verdict::Failing;
        watched.since = to_signed(at);
        self.checks.set_failing(watched.check, id, true);
        self.figures.falls += 1;
        self.is_unsaved = true;
        self.changed.insert(id);
    }

    /// Lets time pass: who has passed for a minute is one to judge others by, who fell a minute ago is none any more.
    pub fn tick(&mut self, now: Duration) {
        let at = to_ms(now);
        while let Some(fall) = self.falls.front()
            && at >= fall.at + RECENT_MS
        {
            let (id, since) = (fall.id, to_signed(fall.at));
            self.falls.pop_front();
            self.set_established(id, Verdict::Failing, since, false);
        }
        while let Some(&(since, id)) = self.rises.front()
            && to_signed(at) >= since + to_signed(RECENT_MS)
        {
            self.rises.pop_front();
            self.set_established(id, Verdict::Passing, since, true);
        }
        self.judge_mass(at);
    }

    /// When [`Board::tick`] has something to do, in milliseconds.
    pub(super) fn next_change(&self) -> Option<u64> {
        let fall = self.falls.front().map(|fall| fall.at + RECENT_MS);
        let rise = self
            .rises
            .front()
            .and_then(|(since, _)| u64::try_from(*since).ok());
        let thaw = self
            .rules
            .mass_failure
            .and_then(|rule| self.freeze.ends(rule));
        [fall, rise.map(|since| since + RECENT_MS), thaw]
            .into_iter()
            .flatten()
            .min()
    }

    /// Notes that a target is one to judge others by, or is none any more, if nothing else came of it since.
    fn set_established(
        &mut self,
        id: TargetId,
        verdict: Verdict,
        since: i64,
        is_established: bool,
    ) {
        let watched = self.targets.get_mut(&id);
        if let Some(watched) = watched
            && watched.standing.verdict == verdict
            && watched.since == since
        {
            watched.is_established = is_established;
            self.count_in_tally(id);
        }
    }

    pub(super) fn count_in_tally(&mut self, id: TargetId) {
        let Some(watched) = self.targets.get_mut(&id) else {
            return;
        };
        let to_tally = watched.to_tally();
        let counted = mem::replace(&mut watched.tallied, to_tally);
        self.tally.passed -= u32::from(counted != Tallied::No);
        self.tally.failed -= u32::from(counted == Tallied::Failed);
        self.tally.passed += u32::from(watched.tallied != Tallied::No);
        self.tally.failed += u32::from(watched.tallied == Tallied::Failed);
    }

    /// Says whether our own network is well, by the canaries; `None` where there are none.
    pub fn set_canaries(&mut self, are_well: Option<bool>, now: Duration) {
        if let Some(are_well) = are_well {
            let freeze = self.freeze.after_canaries(!are_well, to_ms(now));
            self.set_freeze(freeze, to_ms(now));
        }
    }

    /// Looks whether too many fail to be believed.
    pub(super) fn judge_mass(&mut self, at: u64) {
        if let Some(rule) = self.rules.mass_failure {
            let freeze = self.freeze.after_tally(self.tally, rule, at);
            self.set_freeze(freeze, at);
        }
    }

    pub(super) fn set_freeze(&mut self, freeze: Freeze, at: u64) {
        let before = mem::replace(&mut self.freeze, freeze);
        match (before.is_on(), freeze.is_on()) {
            (false, true) => self.take_falls_back(at),
            (true, false) => {
                for id in mem::take(&mut self.frozen) {
                    let watched = self.targets.get_mut(&id).expect("who is held is wanted");
                    watched.is_frozen = false;
                    self.fall(id, at);
                    self.count_in_tally(id);
                }
            }
            _ => {}
        }
    }

    /// Takes back the falls of the last minute.
    fn take_falls_back(&mut self, at: u64) {
        for fall in mem::take(&mut self.falls) {
            let Some(watched) = self.targets.get_mut(&fall.id) else {
                continue;
            };
            let is_that_fall =
                watched.standing.verdict == Verdict::Failing && watched.since == to_signed(fall.at);
            if !is_that_fall || at >= fall.at + RECENT_MS {
                continue;
            }
            watched.standing.verdict = fall.standing.verdict;
            watched.damping = fall.damping;
            watched.since = fall.since;
            watched.is_established |= fall.standing.verdict == Verdict::Passing
                && to_signed(at) >= fall.since + to_signed(RECENT_MS);
            let thresholds = self.checks.get(watched.check).thresholds();
            let standing = watched.standing;
            if standing.is_ailing() && standing.row >= standing.needed(thresholds) {
                watched.is_frozen = true;
                self.frozen.insert(fall.id);
            }
            self.checks.set_failing(watched.check, fall.id, false);
            self.is_unsaved = true;
            self.changed.insert(fall.id);
            self.count_in_tally(fall.id);
        }
    }
}

fn seconds(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds / 1000).unwrap_or(u32::MAX)
}
