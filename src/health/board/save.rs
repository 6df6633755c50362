use std::{collections::BTreeMap, time::Duration};

use super::{Board, to_ms};
use crate::health::saved::{SavedCheck, SavedFile, SavedVerdict};

impl Board {
    /// Whether verdicts changed since [`Board::to_save`].
    pub fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// What the next process should know, for [`Saved::parse`](crate::health::Saved::parse). `None` where an earlier process
    /// knew more: while targets that it knew may still come.
    pub fn to_save(&mut self, now: Duration) -> Option<Vec<u8>> {
        let at = self.wall_seconds(to_ms(now));
        if self.targets.is_empty() && self.saved.is_waiting(at) {
            return None;
        }
        self.is_unsaved = false;
        let checks = self.checks.iter();
        let mut checks: BTreeMap<_, _> = checks
            .map(|(id, check)| (id, SavedCheck::new(&check.probe, check.is_proven)))
            .collect();
        let mut targets: Vec<_> = self.targets.values().collect();
        targets.sort_unstable_by_key(|watched| watched.address);
        for watched in targets {
            let check = checks
                .get_mut(&watched.check)
                .expect("a target's check is known");
            let known = SavedVerdict {
                verdict: watched.standing.verdict,
                had_place: watched.standing.had_place,
                since: self.to_wall(watched.since),
            };
            check.add(watched.address, known);
        }
        let checks = checks.into_values().collect();
        Some(SavedFile::new(at, self.epoch.seed, checks).to_bytes())
    }
}
