//! What the log says of checks: enough to follow a few, and no flood of many.

use std::time::Duration;

use tracing::{info, warn};

use crate::health::{Board, Nothing, Observation, Out, Ruling, TargetId};

/// How many changes at a time are told one by one.
const MOST_TOLD: usize = 10;

/// How often it is said that probes fail for a reason of this machine's.
const INTERVAL: Duration = Duration::from_mins(1);

/// What was said, so that it is not said again.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// How many probes told nothing since that was last said, and the last reason.
    untold: Option<(u64, Nothing)>,
    told: Option<Duration>,
    is_frozen: bool,
}

impl Talk {
    /// Notes what a probe came to.
    pub(super) fn note(&mut self, observation: Observation) {
        if let Observation::Nothing(nothing) = observation {
            let count = self.untold.map_or(0, |(count, _)| count);
            self.untold = Some((count + 1, nothing));
        }
    }

    /// Says what follows for targets now.
    pub(super) fn tell_of_rulings(board: &Board, rulings: &[(TargetId, Ruling)], now: Duration) {
        if rulings.len() > MOST_TOLD {
            let count = |is_it: fn(&Ruling) -> bool| {
                rulings.iter().filter(|(_, ruling)| is_it(ruling)).count()
            };
            info!(
                passing = count(|ruling| matches!(ruling, Ruling::Passing)),
                out = count(|ruling| matches!(ruling, Ruling::Out(_))),
                kept = count(|ruling| matches!(ruling, Ruling::Held(..))),
                "the checks of many endpoints have other results"
            );
            return;
        }
        for view in rulings.iter().filter_map(|(id, _)| board.view(*id, now)) {
            let address = view.target.address;
            match view.ruling {
                Ruling::Passing => info!(%address, "an endpoint is in: {}", view.why),
                Ruling::Held(..) => warn!(%address, "an endpoint is kept: {}", view.why),
                Ruling::Out(Out {
                    is_pending: false, ..
                }) => {
                    info!(%address, "an endpoint is out: {}", view.why);
                }
                Ruling::Out(_) | Ruling::Pending => {}
            }
        }
    }

    /// Says what has begun, or lasts.
    pub(super) fn tell_of_standing(&mut self, board: &mut Board, now: Duration) {
        let was_frozen = std::mem::replace(
            &mut self.is_frozen,
            board.standings().frozen_since.is_some(),
        );
        match (was_frozen, self.is_frozen) {
            (false, true) => warn!(
                "too many checks fail at once: the fault may be ours, and nobody is taken out for it"
            ),
            (true, false) => info!("checks count again"),
            _ => {}
        }
        for check in board.take_never_passed(now) {
            warn!("{check}: is it right? Until it has passed it takes nobody out");
        }
        if self.told.is_none_or(|told| now >= told + INTERVAL)
            && let Some((probes, nothing)) = self.untold.take()
        {
            self.told = Some(now);
            warn!(probes, "probes told nothing of their endpoints: {nothing}");
        }
    }
}
