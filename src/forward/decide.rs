//! What becomes of a question, decided from what is known when it comes in.
//!
//! [`Held::of`] says what a kept reply is worth at a moment, [`decide`] what to do. Both are pure: they never ask, wait, count
//! or read a clock.

use std::time::Duration;

/// How long upstreams are left alone about a question that they could not answer anew. [RFC 8767 §5] has 30 s for other
/// people's servers; an upstream is one's own, and one that is back is to be believed within 2 s.
///
/// [RFC 8767 §5]: https://www.rfc-editor.org/rfc/rfc8767#section-5
pub(super) const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// How long the upstreams are taken to fail still for a question that they failed for: until then nobody waits for them.
const FAILURE_MEMORY: Duration = Duration::from_secs(5);

/// What is known when a question comes in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) held: Held,
    pub(super) upstreams: Upstreams,
    pub(super) path: Path,
    /// Whether one more question may wait for upstreams.
    pub(super) has_place: bool,
}

/// What a kept reply is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Held {
    /// There is none, or it is too old for anything.
    Nothing,
    /// It is within its lifetime.
    Fresh,
    /// It is in the last tenth of its lifetime: what is asked for then is asked for often.
    Ending,
    /// It says that the upstreams failed, a moment ago.
    Failure,
    /// It is beyond its lifetime, and nobody has tried lately to get another one.
    Stale,
    /// The same, and the upstreams have failed lately to give another one.
    StaleAfterFailure {
        /// Whether they have been left alone for long enough.
        may_renew: bool,
    },
}

/// The upstreams of a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Upstreams {
    /// Nobody answers for the name.
    None,
    /// None is known to answer at present.
    Down,
    /// One at least is taken to answer.
    Up,
}

/// Which way a question came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Path {
    /// From a client, or through a few forwarders of our kind.
    Usual,
    /// Through so many of them that it can only go around in a circle.
    Endless,
    /// Through this server: it is a question of ours that came back.
    Returned,
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// Say that nobody is asked.
    Refuse,
    /// Give what is held, and ask for it anew meanwhile where `renew` says so.
    Give { renew: bool },
    /// Ask, and wait for the answer.
    Ask,
    /// Ask, and give what is held if that takes too long or fails.
    AskOrGive,
    /// Say SERVFAIL: there are too many who wait.
    FailFull,
    /// Say SERVFAIL: the question goes around in a circle.
    FailLoop,
}

/// The decision on a question.
///
/// A question of ours that came back gets SERVFAIL whatever is held: the one who waits for it here tries its next upstream
/// then, and gives what is held with its true age if none is left. Given to itself, it would look new, for ever.
pub(super) fn decide(facts: Facts) -> Decision {
    let may_ask = facts.has_place && facts.path == Path::Usual;
    match facts.held {
        _ if facts.upstreams == Upstreams::None => Decision::Refuse,
        _ if facts.path == Path::Returned => Decision::FailLoop,
        Held::Fresh | Held::Failure => Decision::Give { renew: false },
        Held::Nothing if facts.path == Path::Endless => Decision::FailLoop,
        Held::Nothing if may_ask => Decision::Ask,
        Held::Nothing => Decision::FailFull,
        Held::Stale if may_ask && facts.upstreams == Upstreams::Up => Decision::AskOrGive,
        Held::Ending | Held::Stale => Decision::Give { renew: may_ask },
        Held::StaleAfterFailure { may_renew } => Decision::Give {
            renew: may_renew && may_ask,
        },
    }
}

/// A kept reply's life. All times count from when it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// How old it is.
    pub(super) age: Duration,
    /// How long it may be given.
    pub(super) lifetime: Duration,
    /// How much longer it may be given in need.
    pub(super) serve_stale: Duration,
    /// Whether it says that the upstreams failed.
    pub(super) is_failure: bool,
    /// When it may be asked for anew.
    pub(super) renew_after: Duration,
    /// When the upstreams could not renew it the last time.
    pub(super) failed_at: Option<Duration>,
    /// When an upstream that was down was back the last time.
    pub(super) back_at: Option<Duration>,
}

impl Held {
    /// What a reply with this life is worth. A failure from before an upstream was back says nothing any more.
    pub(super) fn of(life: &Life) -> Self {
        let is_back_since = |failure: Duration| life.back_at.is_some_and(|back| back > failure);
        if life.is_failure {
            let counts = life.age < life.lifetime && !is_back_since(Duration::ZERO);
            return if counts { Self::Failure } else { Self::Nothing };
        }
        let may_renew = life.age >= life.renew_after;
        if life.age < life.lifetime {
            return if may_renew { Self::Ending } else { Self::Fresh };
        }
        if life.age >= life.lifetime + life.serve_stale {
            return Self::Nothing;
        }
        match life.failed_at {
            Some(at) if !is_back_since(at) && life.age < at + FAILURE_MEMORY => {
                Self::StaleAfterFailure { may_renew }
            }
            _ => Self::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: Held = Held::StaleAfterFailure { may_renew: false };
    const RENEWABLE: Held = Held::StaleAfterFailure { may_renew: true };
    const ALL_HELD: [Held; 7] = [
        Held::Nothing,
        Held::Fresh,
        Held::Ending,
        Held::Failure,
        Held::Stale,
        WAITING,
        RENEWABLE,
    ];

    fn short(decision: Decision) -> &'static str {
        match decision {
            Decision::Refuse => "refuse",
            Decision::Give { renew: false } => "give",
            Decision::Give { renew: true } => "renew",
            Decision::Ask => "ask",
            Decision::AskOrGive => "ask/give",
            Decision::FailFull => "full",
            Decision::FailLoop => "loop",
        }
    }

    /// Compares the decisions for each of [`ALL_HELD`], in that order.
    #[track_caller]
    fn check(upstreams: Upstreams, path: Path, has_place: bool, expected: &str) {
        let decisions = ALL_HELD.map(|held| {
            short(decide(Facts {
                held,
                upstreams,
                path,
                has_place,
            }))
        });
        let expected: Vec<_> = expected.split_whitespace().collect();
        assert_eq!(
            decisions[..],
            expected[..],
            "{upstreams:?} {path:?} {has_place}"
        );
    }

    #[test]
    fn all_cases() {
        use Path::{Endless, Returned, Usual};
        use Upstreams::{Down, None, Up};
        for path in [Usual, Endless, Returned] {
            for has_place in [true, false] {
                check(None, path, has_place, &"refuse ".repeat(ALL_HELD.len()));
            }
        }
        //                       nothing fresh ending failure stale waiting renewable
        check(Up, Usual, true, "ask give renew give ask/give give renew");
        check(Down, Usual, true, "ask give renew give renew give renew");
        for upstreams in [Up, Down] {
            check(
                upstreams,
                Usual,
                false,
                "full give give give give give give",
            );
            for has_place in [true, false] {
                check(
                    upstreams,
                    Endless,
                    has_place,
                    "loop give give give give give give",
                );
                check(
                    upstreams,
                    Returned,
                    has_place,
                    &"loop ".repeat(ALL_HELD.len()),
                );
            }
        }
    }

    /// A reply of 10 s that may be renewed after 9 s and given for 100 s more. `failed` and `back` in seconds.
    #[track_caller]
    fn check_life(age: u64, failed: Option<u64>, back: Option<u64>, expected: Held) {
        let renew_after = failed.map_or(Duration::from_secs(9), |at| {
            Duration::from_secs(at) + RENEWAL_PAUSE
        });
        let life = Life {
            age: Duration::from_secs(age),
            lifetime: Duration::from_secs(10),
            serve_stale: Duration::from_secs(100),
            is_failure: false,
            renew_after,
            failed_at: failed.map(Duration::from_secs),
            back_at: back.map(Duration::from_secs),
        };
        assert_eq!(Held::of(&life), expected, "{life:?}");
    }

    #[test]
    fn a_reply_ages() {
        check_life(0, None, None, Held::Fresh);
        check_life(8, None, None, Held::Fresh);
        check_life(9, None, None, Held::Ending);
        check_life(9, Some(9), None, Held::Fresh);
        check_life(10, None, None, Held::Stale);
        check_life(109, None, None, Held::Stale);
        check_life(110, None, None, Held::Nothing);
    }

    #[test]
    fn a_failure_is_remembered_until_an_upstream_is_back() {
        check_life(20, Some(20), None, WAITING);
        check_life(21, Some(20), None, RENEWABLE);
        check_life(24, Some(20), Some(19), RENEWABLE);
        check_life(25, Some(20), None, Held::Stale);
        check_life(20, Some(18), Some(19), Held::Stale);
        check_life(110, Some(109), None, Held::Nothing);
    }

    #[test]
    fn a_kept_failure_ends_with_its_time_or_when_an_upstream_is_back() {
        let failure = |age, back_at| Life {
            age: Duration::from_millis(age),
            lifetime: Duration::from_secs(1),
            serve_stale: Duration::from_secs(100),
            is_failure: true,
            renew_after: Duration::ZERO,
            failed_at: None,
            back_at,
        };
        assert_eq!(Held::of(&failure(999, None)), Held::Failure);
        assert_eq!(Held::of(&failure(1000, None)), Held::Nothing);
        let back = Some(Duration::from_millis(5));
        assert_eq!(Held::of(&failure(10, back)), Held::Nothing);
    }
}
