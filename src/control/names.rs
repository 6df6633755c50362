//! What the loop and those who look names up tell each other.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{dns::Name, mesh::ResolvedName, pipeline::NameChanges, source::Waker};

/// The endpoints that are names, on their way to who looks them up, and what is told of them on its way
/// back. Holds each name once in each direction.
#[derive(Debug, Default)]
pub struct Names {
    state: Mutex<State>,
    wanted: Notify,
    settled: Condvar,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct State {
    /// Names that are to be looked up, or no longer, since that was last asked.
    wanted: HashMap<Name, bool>,
    told: HashMap<Name, Option<ResolvedName>>,
    /// Whether names that failed may be worth another try.
    retry: bool,
    /// Whether something was found out about every name that was wanted, be it that nobody knows.
    is_settled: bool,
}

/// What became otherwise for who looks names up.
#[derive(Debug, Default)]
pub struct Changes {
    /// Names that are to be looked up from now on (`true`), or no longer.
    pub names: HashMap<Name, bool>,
    /// Whether others are asked than before, so that names that failed are worth another try.
    pub retry: bool,
}

impl Names {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            waker,
            ..Self::default()
        }
    }

    /// Waits until something changes.
    pub async fn changes(&self) -> Changes {
        loop {
            if let Some(changes) = self.take_changes() {
                return changes;
            }
            self.wanted.notified().await;
        }
    }

    /// Says that others are asked than before.
    pub fn retry(&self) {
        self.lock().retry = true;
        self.wanted.notify_one();
    }

    fn take_changes(&self) -> Option<Changes> {
        let mut state = self.lock();
        let changes = Changes {
            names: mem::take(&mut state.wanted),
            retry: mem::take(&mut state.retry),
        };
        (changes.retry || !changes.names.is_empty()).then_some(changes)
    }

    /// Hands the loop what is known of names, `None` for nothing any more.
    pub fn tell(&self, told: impl IntoIterator<Item = (Name, Option<ResolvedName>)>) {
        let mut state = self.lock();
        state.told.extend(told);
        if !state.told.is_empty() {
            self.waker.nudge();
        }
    }

    /// Notes that all names that [`Names::changes`] has told of were looked up once.
    pub fn mark_settled(&self) {
        let mut state = self.lock();
        if state.wanted.is_empty() && !mem::replace(&mut state.is_settled, true) {
            self.settled.notify_all();
        }
    }

    /// Passes on which names are to be looked up.
    pub(super) fn want(&self, changes: &NameChanges) {
        let NameChanges { wanted, unwanted } = changes;
        if wanted.is_empty() && unwanted.is_empty() {
            return;
        }
        let mut state = self.lock();
        let unwanted = unwanted.iter().map(|name| (name.clone(), false));
        let wanted = wanted.iter().map(|name| (name.clone(), true));
        state.wanted.extend(unwanted.chain(wanted));
        state.is_settled = false;
        self.wanted.notify_one();
    }

    /// What was told since the last time.
    pub(super) fn take_resolved(&self) -> HashMap<Name, Option<ResolvedName>> {
        mem::take(&mut self.lock().told)
    }

    /// Waits until all names were looked up once, for `limit` at most.
    pub(super) fn wait_until_settled(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while !state.is_settled {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.settled.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(wanted: &[&str], unwanted: &[&str]) -> NameChanges {
        let names = |texts: &[&str]| {
            let names = texts.iter().map(|text| Name::from_text(text));
            names.map(|name| name.expect("a name")).collect()
        };
        NameChanges {
            wanted: names(wanted),
            unwanted: names(unwanted),
        }
    }

    #[test]
    fn the_last_word_on_a_name_counts() {
        let names = Names::default();
        names.want(&changes(&["a.test", "b.test"], &[]));
        names.want(&changes(&[], &["a.test"]));
        names.want(&changes(&["c.test"], &["b.test"]));
        names.want(&changes(&["b.test"], &[]));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let changes = runtime.expect("a runtime").block_on(names.changes());
        assert!(!changes.retry);
        let mut changes: Vec<_> = changes
            .names
            .into_iter()
            .map(|(name, is_wanted)| (name.to_string(), is_wanted))
            .collect();
        changes.sort();
        let expected = [("a.test.", false), ("b.test.", true), ("c.test.", true)];
        assert_eq!(
            changes,
            expected.map(|(name, is_wanted)| (name.to_owned(), is_wanted))
        );
    }

    #[test]
    fn nothing_is_settled_while_a_name_waits() {
        let names = Names::default();
        names.want(&changes(&["a.test"], &[]));
        names.mark_settled();
        assert!(!names.lock().is_settled);
        names.lock().wanted.clear();
        names.mark_settled();
        names.wait_until_settled(Duration::from_hours(1));
        names.want(&changes(&["b.test"], &[]));
        assert!(!names.lock().is_settled);
    }
}
