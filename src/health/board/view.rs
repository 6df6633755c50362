//! What a board knows, for people: why a target is in or out, in the words of `explain` and `/api/health`.

use std::time::Duration;

use super::{
    Board, Standings, to_ms,
    watched::{Newest, Outcome, Seen, Watched, latency},
};
use crate::{
    health::{
        Failure, HeldFor, Out, Ruling, Target, TargetId, Verdict,
        describe::{Described, Span, clock},
        freeze::Freeze,
    },
    manifest::Probe,
};

/// What is known of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// Its number.
    pub id: TargetId,
    /// What is probed.
    pub target: Target,
    /// What the observations say, whatever follows from it.
    pub verdict: Verdict,
    /// How many observations in a row were like the newest.
    pub row: u32,
    /// Since when the verdict is what it is, in seconds since 1970.
    pub since: u64,
    /// When it was observed, in seconds since 1970.
    pub observed: Option<u64>,
    /// What follows.
    pub ruling: Ruling,
    /// Why, in a sentence that holds at this time.
    pub why: Box<str>,
}

impl Board {
    /// What is known of the target `id`.
    pub fn view(&self, id: TargetId, now: Duration) -> Option<View> {
        let watched = self.targets.get(&id)?;
        Some(self.view_of(id, watched, to_ms(now)))
    }

    /// What is known of all targets, in no order.
    pub fn views(&self, now: Duration) -> impl Iterator<Item = View> {
        let at = to_ms(now);
        let targets = self.targets.iter();
        targets.map(move |(id, watched)| self.view_of(*id, watched, at))
    }

    fn view_of(&self, id: TargetId, watched: &Watched, at: u64) -> View {
        let probe = &self.checks.get(watched.check).probe;
        View {
            id,
            target: Target {
                address: watched.address,
                probe: probe.clone(),
            },
            verdict: watched.standing.verdict,
            row: watched.standing.row,
            since: self.to_wall(watched.since),
            observed: watched.newest.map(|newest| self.wall_seconds(newest.at)),
            ruling: self.ruling(watched, at),
            why: self.why(watched, at).into(),
        }
    }

    /// How many targets there are of each kind.
    pub fn standings(&self) -> Standings {
        let mut standings = Standings {
            unproven_checks: self.checks.unproven().count(),
            frozen_since: match self.freeze {
                Freeze::On { since, .. } => Some(self.wall_seconds(since)),
                Freeze::Off | Freeze::Spent => None,
            },
            ..Standings::default()
        };
        for watched in self.targets.values() {
            standings.count(watched.standing.verdict);
            match watched.outcome(self.checks.get(watched.check)) {
                Outcome::Held(HeldFor::Frozen) => standings.held_frozen += 1,
                Outcome::Held(HeldFor::Unproven) => standings.held_unproven += 1,
                _ => {}
            }
        }
        standings
    }

    /// Checks that have not passed for anyone in ten minutes, each told once, in the words of a warning.
    pub fn take_never_passed(&mut self, now: Duration) -> Vec<String> {
        let checks = self.checks.take_never_passed(to_ms(now));
        checks
            .map(|check| never_passed(&check.probe, check.targets))
            .collect()
    }

    pub(super) fn ruling(&self, watched: &Watched, at: u64) -> Ruling {
        let text = || self.why(watched, at).into();
        match watched.outcome(self.checks.get(watched.check)) {
            Outcome::Passing => Ruling::Passing,
            Outcome::Pending => Ruling::Pending,
            Outcome::Held(why) => Ruling::Held(why, text()),
            Outcome::Awaited => Ruling::Out(Out {
                is_pending: true,
                had_place: false,
                text: text(),
            }),
            Outcome::Failing { had_place, .. } => Ruling::Out(Out {
                is_pending: false,
                had_place,
                text: text(),
            }),
        }
    }

    fn why(&self, watched: &Watched, at: u64) -> String {
        let check = self.checks.get(watched.check);
        match watched.outcome(check) {
            Outcome::Held(HeldFor::Frozen) => self.frozen_text(at),
            Outcome::Held(HeldFor::Unproven) => {
                format!("{}: not trusted", never_passed(&check.probe, check.targets))
            }
            Outcome::Failing { is_proven, .. } => {
                let fails = self.fails_text(watched, &check.probe, at);
                if is_proven {
                    fails
                } else {
                    format!("{fails}; {}", never_passed(&check.probe, check.targets))
                }
            }
            Outcome::Passing | Outcome::Pending | Outcome::Awaited => match watched.newest {
                None if watched.standing.verdict == Verdict::Passing => {
                    let since = clock(self.to_wall(watched.since), self.wall_seconds(at));
                    format!("check passed before the restart, since {since}")
                }
                None => "waits for its first check".to_owned(),
                Some(newest) => progress(watched, newest, &check.probe, self.needed(watched), at),
            },
        }
    }

    /// How many observations like the newest decide.
    fn needed(&self, watched: &Watched) -> u32 {
        let mut thresholds = self.checks.get(watched.check).thresholds();
        if self.rules.has_flap_damping {
            thresholds.success = watched.damping.damped(thresholds.success);
        }
        watched.standing.needed(thresholds)
    }

    fn frozen_text(&self, at: u64) -> String {
        let Freeze::On { since, .. } = self.freeze else {
            return "check fails, kept".to_owned();
        };
        let since = clock(self.wall_seconds(since), self.wall_seconds(at));
        match self.rules.mass_failure {
            Some(_) => {
                let percent = self.tally.percent();
                format!("check fails, kept: {percent} % of all checks fail since {since}")
            }
            None => format!("check fails, kept: most canaries fail since {since}"),
        }
    }

    /// `check fails: GET :8080/healthz refused, 3 in a row, since 12:00:05`.
    fn fails_text(&self, watched: &Watched, probe: &Probe, at: u64) -> String {
        let since = clock(self.to_wall(watched.since), self.wall_seconds(at));
        let what = Described(probe);
        match watched.newest.map(|newest| newest.seen) {
            None => format!("check failed before the restart: {what}, since {since}"),
            Some(Seen::Fail(failure)) => {
                let failure = reason(failure, probe);
                let row = watched.standing.row;
                format!("check fails: {what} {failure}, {row} in a row, since {since}")
            }
            Some(Seen::Pass { .. }) => {
                let (row, needed) = (watched.standing.row, self.needed(watched));
                format!("check fails: {what} passed {row} of {needed}, since {since}")
            }
        }
    }
}

/// What the newest observation of a target that is in, or that waits, says.
fn progress(watched: &Watched, newest: Newest, probe: &Probe, needed: u32, at: u64) -> String {
    let ago = Span(Duration::from_millis(at.saturating_sub(newest.at)));
    let what = Described(probe);
    let row = watched.standing.row;
    match newest.seen {
        Seen::Fail(failure) => {
            format!(
                "check failed {row} of {needed}: {what} {}, {ago} ago",
                reason(failure, probe)
            )
        }
        Seen::Pass { .. } if watched.standing.verdict == Verdict::Pending => {
            format!("check passed {row} of {needed}: {what}, {ago} ago")
        }
        Seen::Pass { latency_us, status } => {
            let took = Span(latency(latency_us));
            let status = if status == 0 {
                String::new()
            } else {
                format!(" {status}")
            };
            format!("check passes: {what}{status} in {took}, {ago} ago")
        }
    }
}

fn reason(failure: Failure, probe: &Probe) -> String {
    match failure {
        Failure::Timeout => format!("timeout after {} s", probe.timeout_seconds),
        failure => failure.to_string(),
    }
}

fn never_passed(probe: &Probe, targets: u32) -> String {
    let plural = if targets == 1 { "" } else { "s" };
    format!(
        "check never passed for anyone ({}, {targets} target{plural})",
        Described(probe)
    )
}
