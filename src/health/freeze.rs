//! Whether so many targets fail at once that the fault may be ours.

/// From which part of the targets on the fault is taken for ours for as long as it lasts.
const TOTAL_PERCENT: u64 = 90;

/// When failures are too many at once to be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MassFailure {
    /// Percent of the targets that passed a minute ago, from 1 to 100: more than that is too many. Half of it ends the hold.
    pub share_percent: u8,
    /// Fewer are believed, whatever part they are.
    pub at_least: u32,
    /// How long they are not believed, unless it is nearly everyone.
    pub hold_for_seconds: u32,
}

impl Default for MassFailure {
    fn default() -> Self {
        Self {
            share_percent: 50,
            at_least: 5,
            hold_for_seconds: 300,
        }
    }
}

/// How many targets there are to judge by, and how many of them fail.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    /// Those that passed a minute ago.
    pub(super) passed: u32,
    /// Those among them that fell since, or whose newest observation is a failure.
    pub(super) failed: u32,
}

impl Tally {
    fn is_over(self, percent: u64) -> bool {
        u64::from(self.failed) * 100 > u64::from(self.passed) * percent
    }

    /// Whether it is nearly all of them.
    fn is_total(self) -> bool {
        u64::from(self.failed) * 100 >= u64::from(self.passed) * TOTAL_PERCENT
    }

    pub(super) fn percent(self) -> u32 {
        (self.failed * 100).checked_div(self.passed).unwrap_or(0)
    }
}

/// Whether failures take anybody out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Freeze {
    /// They do.
    #[default]
    Off,
    /// They take nobody out.
    On {
        /// Since when, in milliseconds.
        since: u64,
        /// Since when it has been less than nearly everyone.
        partial_since: Option<u64>,
    },
    /// They do, although there are many: they lasted too long to be a fault of ours.
    Spent,
}

impl Freeze {
    pub(super) fn is_on(self) -> bool {
        matches!(self, Self::On { .. })
    }

    /// What holds at `now` (milliseconds) by the failures among all targets.
    #[must_use]
    pub(super) fn after_tally(self, tally: Tally, rule: MassFailure, now: u64) -> Self {
        let share = u64::from(rule.share_percent);
        let can_judge = tally.passed >= rule.at_least;
        let is_mass = can_judge && tally.failed >= rule.at_least && tally.is_over(share);
        let is_over =
            !can_judge || tally.failed * 200 < tally.passed * u32::from(rule.share_percent);
        let begun = Self::On {
            since: now,
            partial_since: (!tally.is_total()).then_some(now),
        };
        match self {
            Self::Off if is_mass => begun,
            Self::Spent if is_mass && tally.is_total() => begun,
            Self::Spent if !is_over => Self::Spent,
            Self::Off | Self::Spent => Self::Off,
            Self::On { .. } if is_over => Self::Off,
            Self::On {
                since,
                partial_since,
            } => {
                let partial_since = (!tally.is_total()).then(|| partial_since.unwrap_or(now));
                let hold = u64::from(rule.hold_for_seconds) * 1000;
                match partial_since {
                    Some(partial_since) if now >= partial_since + hold => Self::Spent,
                    partial_since => Self::On {
                        since,
                        partial_since,
                    },
                }
            }
        }
    }

    /// What holds at `now` where canaries decide.
    #[must_use]
    pub(super) fn after_canaries(self, are_failing: bool, now: u64) -> Self {
        match self {
            Self::On { .. } if are_failing => self,
            _ if are_failing => Self::On {
                since: now,
                partial_since: None,
            },
            _ => Self::Off,
        }
    }

    /// When it ends by itself at the latest, in milliseconds.
    pub(super) fn ends(self, rule: MassFailure) -> Option<u64> {
        match self {
            Self::On { partial_since, .. } => {
                partial_since.map(|since| since + u64::from(rule.hold_for_seconds) * 1000)
            }
            Self::Off | Self::Spent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step is a second, how many of 100 fail then, and whether failures are held back (`F`), believed (`.`) or believed
    /// again (`S`).
    #[track_caller]
    fn check(steps: &[(u64, u32, char)]) {
        let mut freeze = Freeze::Off;
        for &(second, failed, expected) in steps {
            let tally = Tally {
                passed: 100,
                failed,
            };
            freeze = freeze.after_tally(tally, MassFailure::default(), second * 1000);
            let shown = match freeze {
                Freeze::Off => '.',
                Freeze::On { .. } => 'F',
                Freeze::Spent => 'S',
            };
            assert_eq!(shown, expected, "at {second} s of {steps:?}");
        }
    }

    #[test]
    fn more_than_half_is_held_back_until_it_is_less_than_a_quarter() {
        check(&[(0, 50, '.'), (1, 51, 'F'), (2, 25, 'F'), (3, 24, '.')]);
    }

    #[test]
    fn a_part_is_held_back_for_five_minutes_and_then_believed() {
        check(&[
            (0, 60, 'F'),
            (299, 60, 'F'),
            (300, 60, 'S'),
            (301, 80, 'S'),
            (400, 24, '.'),
            (500, 60, 'F'),
        ]);
    }

    #[test]
    fn nearly_everyone_is_held_back_for_as_long_as_it_lasts() {
        check(&[
            (0, 95, 'F'),
            (9000, 90, 'F'),
            (9001, 89, 'F'),
            (9300, 89, 'F'),
            (9301, 89, 'S'),
            (9302, 90, 'F'),
        ]);
    }

    #[test]
    fn few_targets_tell_nothing() {
        let few = Tally {
            passed: 4,
            failed: 4,
        };
        assert_eq!(
            Freeze::Off.after_tally(few, MassFailure::default(), 0),
            Freeze::Off
        );
        let five = Tally {
            passed: 5,
            failed: 5,
        };
        assert!(
            Freeze::Off
                .after_tally(five, MassFailure::default(), 0)
                .is_on()
        );
    }
}
