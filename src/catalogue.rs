//! What there is to see of hosts: a row each, kept beside the snapshot for those who look and never for queries.
//!
//! Goes in: the hosts that were compiled again; comes out: a value with all rows, in canonical order, that others may read as
//! long as they like. Rows are held in pages, and a change copies those that it touches. Hosts that select alike share one
//! count, as they share their records.
//!
//! Never decides who is in: [`select`](crate::select) does.

mod counts;
mod row;

use std::{sync::Arc, time::SystemTime};

pub use self::{
    counts::{HostCounts, HostState, InOut},
    row::{EndpointsFrom, HostFacts, HostRow, Moves},
};
use crate::dns::Name;

/// How many rows a page is made with.
const ROWS: usize = 128;

/// How many it has at most, before it is cut in two.
const MOST_ROWS: usize = 2 * ROWS;

type Page = Arc<[HostRow]>;

/// All rows. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// None is empty, and all are in order.
    pages: Arc<Vec<Page>>,
    len: usize,
    version: u64,
}

/// When a change was published, and as which one.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// When.
    pub at: SystemTime,
    /// The generation of its snapshot.
    pub generation: u64,
}

/// A host that was compiled again.
#[derive(Clone, Debug)]
pub struct HostUpdate {
    /// The host; a wildcard as `*.<name>`.
    pub host: Name,
    /// What there is of it; `None` where it is gone.
    pub facts: Option<HostFacts>,
    /// Whether it answers with other addresses than before.
    pub answers_otherwise: bool,
}

impl Catalogue {
    /// How many hosts there are, those that nobody is answered for included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Counts the changes: where it is the same, so is everything.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The rows in canonical order: what is below a name follows it.
    pub fn rows(&self) -> impl Iterator<Item = &HostRow> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// The rows behind `host`, which need not be there.
    pub fn rows_behind<'c>(&'c self, host: &'c Name) -> impl Iterator<Item = &'c HostRow> {
        let first = self.page_of(host);
        let rows = self.pages[first..].iter().flat_map(|page| page.iter());
        rows.skip_while(move |row| row.host() <= host)
    }

    /// The row of a host.
    pub fn row(&self, host: &Name) -> Option<&HostRow> {
        let page = self.pages.get(self.page_of(host))?;
        let place = page.binary_search_by(|row| row.host().cmp(host)).ok()?;
        Some(&page[place])
    }

    /// Takes in `updates`, in canonical order and each host once. Costs what the pages of these hosts hold, and a word a page.
    pub fn update(&mut self, updates: Vec<HostUpdate>, published: Published) {
        if updates.is_empty() {
            return;
        }
        self.version += 1;
        let before = Arc::clone(&self.pages);
        let mut after = Vec::with_capacity(before.len());
        let mut updates = updates.into_iter().peekable();
        for (number, page) in before.iter().enumerate() {
            let end = before.get(number + 1).map(|next| next[0].host());
            let is_here = |update: &HostUpdate| end.is_none_or(|end| update.host.cmp(end).is_lt());
            if updates.peek().is_some_and(is_here) {
                let here = std::iter::from_fn(|| updates.next_if(is_here));
                let rows = merge(page, here, published);
                push_pages(&mut after, rows);
            } else {
                after.push(Arc::clone(page));
            }
        }
        // Only where there was no page is anything left.
        push_pages(&mut after, merge(&[], updates, published));
        self.len = after.iter().map(|page| page.len()).sum();
        self.pages = Arc::new(after);
    }

    /// The page that has `host`, or would have it.
    fn page_of(&self, host: &Name) -> usize {
        let before = self.pages.partition_point(|page| page[0].host() <= host);
        before.saturating_sub(1)
    }
}

fn push_pages(pages: &mut Vec<Page>, rows: Vec<HostRow>) {
    if rows.len() <= MOST_ROWS {
        if !rows.is_empty() {
            pages.push(rows.into());
        }
        return;
    }
    pages.extend(rows.chunks(ROWS).map(Page::from));
}

/// The rows of a page with those of `updates` in place.
fn merge(
    page: &[HostRow],
    updates: impl Iterator<Item = HostUpdate>,
    published: Published,
) -> Vec<HostRow> {
    let mut rows = Vec::with_capacity(page.len());
    let mut rest = page.iter().peekable();
    for update in updates {
        while let Some(row) = rest.next_if(|row| *row.host() < update.host) {
            rows.push(row.clone());
        }
        let before = rest.next_if(|row| *row.host() == update.host);
        if let Some(facts) = update.facts {
            let unchanged = !update.answers_otherwise;
            let row = HostRow::new(&update.host, facts, before, unchanged, published);
            rows.push(row);
        }
    }
    rows.extend(rest.cloned());
    rows
}

#[cfg(test)]
mod tests;
