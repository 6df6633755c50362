//! What holds of one target, and what one more observation makes of it.

use super::Begin;

/// What is held to be true of a target.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Too little was observed.
    Pending,
    /// Its check passes.
    Passing,
    /// Its check fails.
    Failing,
}

/// How many observations in a row change a verdict; each at least 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Thresholds {
    pub(super) success: u32,
    pub(super) failure: u32,
}

/// A failure at the start of the server is believed when it was seen twice: who was dead all along shouldn't be answered for
/// as long as it takes to take out somebody who was well.
const START_FAILURES: u32 = 2;

/// A target's verdict and what leads to the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    pub(super) verdict: Verdict,
    /// How it began, which says what the first verdict takes.
    begin: Begin,
    /// Whether the newest observation is a pass.
    pub(super) is_pass: bool,
    /// How many observations in a row were like the newest; 0 where nothing was observed.
    pub(super) row: u32,
    /// Whether its endpoints were in at any time.
    pub(super) had_place: bool,
}

impl Standing {
    pub(super) fn new(begin: Begin) -> Self {
        Self {
            verdict: Verdict::Pending,
            begin,
            is_pass: false,
            row: 0,
            had_place: begin != Begin::New,
        }
    }

    /// What an earlier process held, and nothing observed since.
    pub(super) fn known(verdict: Verdict, had_place: bool) -> Self {
        Self {
            verdict,
            had_place,
            ..Self::new(Begin::Start)
        }
    }

    /// What holds after one more observation. One that is neither pass nor failure never comes here.
    #[must_use]
    pub(super) fn after(mut self, is_pass: bool, thresholds: Thresholds) -> Self {
        let is_like_newest = self.row > 0 && self.is_pass == is_pass;
        self.row = if is_like_newest {
            self.row.saturating_add(1)
        } else {
            1
        };
        self.is_pass = is_pass;
        if self.row >= self.needed(thresholds) {
            self.verdict = if is_pass {
                Verdict::Passing
            } else {
                Verdict::Failing
            };
        }
        self.had_place |= self.verdict == Verdict::Passing;
        self
    }

    /// How many observations like the newest, in a row, decide.
    pub(super) fn needed(self, thresholds: Thresholds) -> u32 {
        match (self.verdict, self.begin, self.is_pass) {
            // One that is in needs no more than a pass to be taken for well, one that is out no more than a failure for ill.
            (Verdict::Pending, Begin::Start | Begin::Kept, true)
            | (Verdict::Pending, Begin::New, false) => 1,
            (Verdict::Pending, Begin::Start, false) => thresholds.failure.min(START_FAILURES),
            (_, _, true) => thresholds.success,
            (_, _, false) => thresholds.failure,
        }
    }

    /// Whether the newest observation speaks against the verdict of a target that is in.
    pub(super) fn is_ailing(self) -> bool {
        self.row > 0 && !self.is_pass
    }
}

/// How often a target fell of late, so that one that comes and goes needs more and more passes to come back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Damping {
    /// The two falls before the newest, in seconds since the board's start.
    falls: [Option<u32>; 2],
    /// Passes needed are times two to the power of this.
    level: u8,
}

/// Within what falls count as coming and going, and after how long of being well they are forgotten.
const FALLS_COUNT_SECONDS: u32 = 600;

const MAX_LEVEL: u8 = 3;

impl Damping {
    /// What holds after a fall at `now`, where the target was well since `passing_since`; both in seconds.
    #[must_use]
    pub(super) fn after_fall(self, now: u32, passing_since: u32) -> Self {
        let before = if now.saturating_sub(passing_since) >= FALLS_COUNT_SECONDS {
            Self::default()
        } else {
            self
        };
        let is_third =
            before.falls[1].is_some_and(|fall| now.saturating_sub(fall) <= FALLS_COUNT_SECONDS);
        Self {
            falls: [Some(now), before.falls[0]],
            level: (before.level + u8::from(is_third)).min(MAX_LEVEL),
        }
    }

    /// How many passes in a row a target needs that needs `threshold` undamped.
    pub(super) fn damped(self, threshold: u32) -> u32 {
        threshold.saturating_mul(1 << self.level)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Thresholds = Thresholds {
        success: 2,
        failure: 3,
    };

    /// Reads `observations` (`+` pass, `-` failure, `?` nothing) and compares the verdict after each (`U` passing, `D` failing,
    /// `P` pending).
    #[track_caller]
    fn check_from(
        mut standing: Standing,
        thresholds: Thresholds,
        observations: &str,
        expected: &str,
    ) {
        let verdicts: String = observations
            .chars()
            .map(|observation| {
                if observation != '?' {
                    standing = standing.after(observation == '+', thresholds);
                }
                match standing.verdict {
                    Verdict::Pending => 'P',
                    Verdict::Passing => 'U',
                    Verdict::Failing => 'D',
                }
            })
            .collect();
        assert_eq!(verdicts, expected, "{observations}");
    }

    #[track_caller]
    fn check(observations: &str, expected: &str) {
        let passing = Standing::known(Verdict::Passing, true);
        check_from(passing, USUAL, observations, expected);
    }

    #[test]
    fn falls_on_the_third_failure_in_a_row() {
        check("--+---", "UUUUUD");
        check("--+--+--", "UUUUUUUU");
        check("-----", "UUDDD");
    }

    #[test]
    fn falls_on_the_first_failure_where_one_is_enough() {
        let thresholds = Thresholds {
            failure: 1,
            ..USUAL
        };
        check_from(
            Standing::known(Verdict::Passing, true),
            thresholds,
            "+-",
            "UD",
        );
    }

    #[test]
    fn rises_on_the_second_pass_in_a_row() {
        check_from(
            Standing::known(Verdict::Failing, true),
            USUAL,
            "+-++",
            "DDDU",
        );
    }

    #[test]
    fn what_is_no_observation_breaks_no_row() {
        check("-?--", "UUUD");
        check_from(Standing::known(Verdict::Failing, true), USUAL, "+?+", "DDU");
    }

    #[test]
    fn a_target_of_the_start_is_decided_by_its_first_pass_or_second_failure() {
        let start = Standing::new(Begin::Start);
        check_from(start, USUAL, "+---", "UUUD");
        check_from(start, USUAL, "--", "PD");
        check_from(start, USUAL, "-+", "PU");
        let thresholds = Thresholds {
            failure: 1,
            ..USUAL
        };
        check_from(start, thresholds, "-", "D");
    }

    #[test]
    fn a_check_that_is_added_takes_as_many_failures_as_any() {
        check_from(Standing::new(Begin::Kept), USUAL, "---", "PPD");
        check_from(Standing::new(Begin::Kept), USUAL, "+---", "UUUD");
    }

    #[test]
    fn a_new_target_comes_in_after_the_passes_it_needs() {
        let new = Standing::new(Begin::New);
        check_from(new, USUAL, "++", "PU");
        check_from(new, USUAL, "+-++", "PDDU");
        assert!(!new.after(true, USUAL).had_place);
        assert!(new.after(true, USUAL).after(true, USUAL).had_place);
    }

    /// Falls at the seconds `falls`, each after `up` seconds of being well, and how many passes in a row each takes.
    #[track_caller]
    fn check_damping(falls: &[u32], up: u32, expected: &[u32]) {
        let mut damping = Damping::default();
        let needed: Vec<u32> = falls
            .iter()
            .map(|&fall| {
                damping = damping.after_fall(fall, fall - up);
                damping.damped(1)
            })
            .collect();
        assert_eq!(needed, expected, "{falls:?}");
    }

    #[test]
    fn who_comes_and_goes_needs_more_and_more_passes() {
        check_damping(&[100, 120, 140, 180, 260, 420], 10, &[1, 1, 2, 4, 8, 8]);
    }

    #[test]
    fn falls_that_are_far_apart_are_no_flapping() {
        check_damping(&[1000, 1400, 1800, 2200], 10, &[1; 4]);
    }

    #[test]
    fn ten_minutes_of_being_well_are_forgiven() {
        let damping = Damping::default().after_fall(700, 690).after_fall(720, 710);
        assert_eq!(damping.after_fall(740, 730).damped(2), 4);
        assert_eq!(damping.after_fall(1330, 730).damped(2), 2);
    }

    proptest! {
        /// The verdict is what the last rows that were long enough say, however the observations before them were.
        #[test]
        fn a_long_enough_row_decides_whatever_was_before(
            before in proptest::collection::vec(any::<bool>(), 0..20),
            is_pass in any::<bool>(),
            begin in prop_oneof![Just(Begin::Start), Just(Begin::Kept), Just(Begin::New)],
            success in 1..5_u32,
            failure in 1..5_u32,
        ) {
            let thresholds = Thresholds { success, failure };
            let rows = before.into_iter().chain([is_pass; 4]);
            let standing = rows.fold(Standing::new(begin), |standing, is_pass| standing.after(is_pass, thresholds));
            let expected = if is_pass { Verdict::Passing } else { Verdict::Failing };
            prop_assert_eq!(standing.verdict, expected);
        }
    }
}
