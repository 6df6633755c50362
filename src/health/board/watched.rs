use std::{net::IpAddr, time::Duration};

use super::checks::{Check, CheckId};
use crate::health::{
    Failure, HeldFor, Pass, Verdict,
    verdict::{Damping, Standing},
};

/// What is known of one target. There may be a hundred thousand of them.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says a thing of its own, and is set at a time of its own"
)]
pub(super) struct Watched {
    pub(super) address: IpAddr,
    pub(super) check: CheckId,
    pub(super) hash: u64,
    pub(super) standing: Standing,
    pub(super) damping: Damping,
    /// When the verdict became what it is, in milliseconds since the board's start; negative for what was before.
    pub(super) since: i64,
    /// When it is to be probed or, while it is, since when.
    pub(super) due: u64,
    pub(super) is_in_flight: bool,
    /// Whether it fails often enough to be out, and is in because too many do.
    pub(super) is_frozen: bool,
    /// Whether it passed a minute ago.
    pub(super) is_established: bool,
    /// Whether the first round lasts until something is known of it.
    pub(super) is_awaited: bool,
    /// How it is counted in the tally.
    pub(super) tallied: Tallied,
    /// What was told of it.
    pub(super) told: Outcome,
    pub(super) newest: Option<Newest>,
}

/// How a target is counted among those that passed a minute ago.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tallied {
    /// It did not.
    No,
    /// It still does.
    Passed,
    /// It fell, or its newest observation is a failure.
    Failed,
}

/// A ruling without its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Passing,
    Pending,
    Held(HeldFor),
    /// Out because nothing is known of it.
    Awaited,
    /// Out because it fails.
    Failing {
        had_place: bool,
        is_proven: bool,
    },
}

/// The newest observation that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    /// In milliseconds since the board's start.
    pub(super) at: u64,
    pub(super) seen: Seen,
}

/// A pass or a failure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    Pass { latency_us: u32, status: u16 },
    Fail(Failure),
}

impl Seen {
    pub(super) fn is_pass(self) -> bool {
        matches!(self, Self::Pass { .. })
    }
}

impl From<Pass> for Seen {
    fn from(pass: Pass) -> Self {
        Self::Pass {
            latency_us: u32::try_from(pass.latency.as_micros()).unwrap_or(u32::MAX),
            status: pass.status,
        }
    }
}

/// How long a pass took.
pub(super) fn latency(latency_us: u32) -> Duration {
    Duration::from_micros(latency_us.into())
}

impl Watched {
    pub(super) fn outcome(&self, check: &Check) -> Outcome {
        let standing = self.standing;
        match standing.verdict {
            _ if self.is_frozen => Outcome::Held(HeldFor::Frozen),
            Verdict::Passing => Outcome::Passing,
            Verdict::Pending if standing.had_place => Outcome::Pending,
            Verdict::Pending => Outcome::Awaited,
            Verdict::Failing if standing.had_place && !check.is_proven => {
                Outcome::Held(HeldFor::Unproven)
            }
            Verdict::Failing => Outcome::Failing {
                had_place: standing.had_place,
                is_proven: check.is_proven,
            },
        }
    }

    /// How it is to be counted.
    pub(super) fn to_tally(&self) -> Tallied {
        if !self.is_established {
            Tallied::No
        } else if self.standing.verdict == Verdict::Failing || self.standing.is_ailing() {
            Tallied::Failed
        } else {
            Tallied::Passed
        }
    }
}
