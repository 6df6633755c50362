//! What the loop and those who look names up tell each other.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::exchange::Exchange;
use crate::{dns::Name, mesh::ResolvedName, pipeline::NameChanges, source::Waker};

/// The endpoints that are names, on their way to who looks them up, and what is told of them on its way back.
#[derive(Debug)]
pub struct Names(Exchange<Changes, Name, Option<ResolvedName>>);

/// What became otherwise for who looks names up.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Names that are to be looked up from now on (`true`), or no longer.
    pub names: HashMap<Name, bool>,
    /// Whether others are asked than before, so that names that failed are worth another try.
    pub retry: bool,
}

impl Names {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self(Exchange::new(waker))
    }

    /// Waits until something changes.
    pub async fn changes(&self) -> Changes {
        self.0.wanted().await
    }

    /// Says that others are asked than before.
    pub fn retry(&self) {
        self.0.want(|wanted, _| wanted.retry = true);
    }

    /// Hands the loop what is known of names, `None` for nothing any more.
    pub fn tell(&self, told: impl IntoIterator<Item = (Name, Option<ResolvedName>)>) {
        self.0.tell(told);
    }

    /// Notes that all names that [`Names::changes`] has told of were looked up once.
    pub fn mark_settled(&self) {
        self.0.mark_settled();
    }

    /// Passes on which names are to be looked up.
    pub(super) fn want(&self, changes: &NameChanges) {
        let NameChanges { wanted, unwanted } = changes;
        if wanted.is_empty() && unwanted.is_empty() {
            return;
        }
        let unwanted = unwanted.iter().map(|name| (name.clone(), false));
        let wanted = wanted.iter().map(|name| (name.clone(), true));
        let changes = unwanted.chain(wanted);
        self.0.want(|passed, _| passed.names.extend(changes));
    }

    /// What was told since the last time.
    pub(super) fn take_resolved(&self) -> HashMap<Name, Option<ResolvedName>> {
        self.0.take_told()
    }

    /// Waits until all names were looked up once, for `limit` at most.
    pub(super) fn wait_until_settled(&self, limit: Duration) {
        self.0.wait_until_settled(limit);
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
        let names = Names::new(Arc::default());
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
}
