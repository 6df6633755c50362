use std::time::Duration;

use crate::{
    health::{Failure, Observation, Verdict},
    manifest::{Probe, ProbeMethod},
};

/// What is counted of probes and verdicts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// By [`Figures::METHODS`], then passes, failures, neither.
    pub probes: [[u64; 3]; 3],
    /// By [`Figures::REASONS`].
    pub failures: [u64; 8],
    /// By [`Figures::METHODS`], then by [`Figures::DURATIONS`] and one more for longer ones: how long passes took.
    pub durations: [[u64; 17]; 3],
    /// By method: all of these together.
    pub duration_sums: [Duration; 3],
    /// How often a target began to pass.
    pub rises: u64,
    /// How often a target began to fail.
    pub falls: u64,
    /// How many probes started later than a tenth of their period.
    pub late: u64,
    /// How many probes are on their way.
    pub in_flight: u64,
}

/// What holds of the targets at one time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standings {
    /// Targets that pass.
    pub passing: usize,
    /// Targets that fail.
    pub failing: usize,
    /// Targets of which too little is known.
    pub pending: usize,
    /// Targets that fail and are in because too many do.
    pub held_frozen: usize,
    /// Targets that fail and are in because their check never passed for anyone.
    pub held_unproven: usize,
    /// Checks that somebody fails and nobody ever passed.
    pub unproven_checks: usize,
    /// Since when failures take nobody out, in seconds since 1970.
    pub frozen_since: Option<u64>,
}

impl Figures {
    /// What metrics call methods.
    pub const METHODS: [&str; 3] = ["tcp", "http", "grpc"];

    /// What metrics call reasons ([`Failure::reason`]).
    pub const REASONS: [&str; 8] = [
        "refused",
        "timeout",
        "reset",
        "unreachable",
        "status",
        "tls",
        "grpc",
        "protocol",
    ];

    /// The upper bounds of durations: 250 µs, and each of the others twice the one before.
    pub const DURATIONS: [Duration; 16] = {
        let mut bounds = [Duration::from_micros(250); 16];
        let mut number = 1;
        while number < bounds.len() {
            bounds[number] = Duration::from_micros(250 << number);
            number += 1;
        }
        bounds
    };

    pub(super) fn count(&mut self, probe: &Probe, observation: Observation) {
        let method = match probe.method {
            ProbeMethod::Tcp { .. } => 0,
            ProbeMethod::Http(_) => 1,
            ProbeMethod::Grpc { .. } => 2,
            ProbeMethod::Exec => return,
        };
        let result = match observation {
            Observation::Pass(pass) => {
                let bucket = Self::DURATIONS.partition_point(|bound| *bound < pass.latency);
                self.durations[method][bucket] += 1;
                self.duration_sums[method] += pass.latency;
                0
            }
            Observation::Fail(failure) => {
                self.count_failure(failure);
                1
            }
            Observation::Nothing(_) => 2,
        };
        self.probes[method][result] += 1;
    }

    fn count_failure(&mut self, failure: Failure) {
        let reason = failure.reason();
        let number = Self::REASONS.iter().position(|known| *known == reason);
        self.failures[number.expect("every reason is listed")] += 1;
    }
}

impl Standings {
    pub(super) fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Passing => &mut self.passing,
            Verdict::Failing => &mut self.failing,
            Verdict::Pending => &mut self.pending,
        } += 1;
    }
}
