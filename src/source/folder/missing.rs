//! Decides about what is not there any more, or can't be listed.
//!
//! A file that is missing may be on its way to another name, or its folder back: it is gone when it was missed for as long as
//! that may take, and keeps what it said until then. Folders that can't be listed are told.
//!
//! Never looks at a file.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::{
    super::{
        known::{Around, KnownFile, gone_at},
        listing::{Listed, ListedKind, Listing, Places, folders_around},
        look::{Look, Scan, Trust},
        naming::path_of,
        remarks::{self, Refusal},
        stamp::Identity,
    },
    Folder, RESTLESS_PATIENCE,
};
use crate::{
    manifest,
    mesh::{FileChange, Reading},
};

/// What is to be decided about files that are not listed.
pub(super) struct Missing {
    pub(super) unlisted: Vec<Arc<str>>,
    pub(super) newcomers: HashMap<Identity, Arc<str>>,
    pub(super) held_until: Option<Instant>,
}

impl Folder {
    /// The files to look at that were listed and are not any more.
    pub(super) fn unlisted(&self, listing: &Listing, look: &Look) -> Vec<Arc<str>> {
        let is_unlisted = |name: &&Arc<str>| {
            !listing.files.contains_key(*name) && !listing.closed.contains_key(*name)
        };
        match &look.only {
            None => self.files.keys().filter(is_unlisted).cloned().collect(),
            Some(only) => {
                let names = only.union(&self.awaited).filter(is_unlisted);
                let is_known = |name: &&Arc<str>| self.files.contains_key(*name);
                names.filter(is_known).cloned().collect()
            }
        }
    }

    /// The files that nothing was told of so far.
    pub(super) fn newcomers(&self, listed: &[(&Arc<str>, &Listed)]) -> HashMap<Identity, Arc<str>> {
        let is_new =
            |(name, _): &&(&Arc<str>, &Listed)| self.files.get(*name).is_none_or(KnownFile::is_new);
        listed
            .iter()
            .filter(is_new)
            .filter_map(|(name, listed)| match &listed.kind {
                ListedKind::File(stamp) => Some((stamp.identity(), (*name).clone())),
                ListedKind::NoFile(_) | ListedKind::Unreadable(_) | ListedKind::Refused(_) => None,
            })
            .collect()
    }

    /// Tells of the folders that are not listed.
    pub(super) fn settle_closed(
        &mut self,
        listing: &Listing,
        look: &Look,
        scan: &mut Scan,
    ) -> Vec<FileChange> {
        let mut changes = Vec::new();
        for (name, closed) in listing.closed.iter().filter(|_| look.only.is_none()) {
            let refusal = remarks::closed(name, &closed.why);
            self.retry(name, &refusal, look, scan);
            changes.extend(self.trouble(name, closed.root, refusal, scan));
        }
        changes
    }

    /// Decides about the files that are not listed.
    pub(super) fn settle_missing(
        &mut self,
        listing: &Listing,
        look: &Look,
        missing: Missing,
        scan: &mut Scan,
    ) -> Vec<FileChange> {
        for &root in listing.missing.keys() {
            self.roots[root].is_returning = true;
        }
        let mut outstanding = vec![false; self.roots.len()];
        let mut changes = Vec::new();
        let (listed_of_root, places) = if missing.unlisted.is_empty() {
            (Vec::new(), Places::new())
        } else {
            (listing.files_of_root(self.roots.len()), listing.places())
        };
        for name in missing.unlisted {
            let known = self.files.get_mut(&name).expect("it is known");
            let root = known.root;
            if listing.missing.contains_key(&root) {
                known.missing_since = None;
                outstanding[root] = true;
                continue;
            }
            if let Some(why) = listing.closing(&name) {
                let refusal = Refusal::ForNow(manifest::unreadable(&name, why));
                changes.extend(self.trouble(&name, root, refusal, scan));
                continue;
            }
            // A walk takes its time: what counts is when it saw that the file is missing, and that the next one saw so too.
            let since = *known.missing_since.get_or_insert(listing.seen);
            let stamp = known.stamp;
            let new_name = stamp.and_then(|stamp| missing.newcomers.get(&stamp.identity()));
            let around = self.around(&name, &places, &look.trust);
            let left = listed_of_root[root];
            let until = gone_at(since, &self.roots[root], left, around, &look.trust);
            let until = until.max(missing.held_until).unwrap_or(look.now);
            let waits = match new_name {
                // It goes in the same look in which it comes.
                Some(new_name) => self.awaited.contains(new_name),
                None => until > look.now,
            };
            if waits {
                outstanding[root] = true;
                self.awaited.insert(name);
                scan.look_again(until.max(look.now + RESTLESS_PATIENCE));
            } else if self.forget(&name) {
                scan.work.removed += 1;
                changes.push(FileChange {
                    file: name,
                    reading: Reading::Gone,
                });
            }
        }
        // A folder that went while it was read may come back with the other half.
        self.gave_up_half &= outstanding.contains(&true);
        scan.is_half |= self.gave_up_half;
        for (root, outstanding) in self.roots.iter_mut().zip(outstanding) {
            root.is_returning &= outstanding;
        }
        changes
    }

    /// How the folder that held the missing file `name` stands to it, where folders are as in `places`.
    fn around(&self, name: &str, places: &Places, trust: &Trust) -> Around {
        let path = path_of(name);
        let mut around = folders_around(name, places).peekable();
        let is_there = around.peek().map(|(folder, _)| folder.as_path()) == path.parent();
        let is_replaced = around.any(|(folder, place)| {
            let before = self.places.get(&folder);
            let is_other_link = before.is_some_and(|before| before.0 != place.0);
            let has_come = match trust {
                Trust::Events(evidence) => evidence.arrived.contains(&place.0),
                Trust::Everything | Trust::Stillness(_) => false,
            };
            is_other_link || before != Some(place) && has_come
        });
        match (is_replaced, is_there) {
            (true, _) => Around::Replaced,
            (false, true) => Around::There,
            (false, false) => Around::Missing,
        }
    }

    /// Forgets a file; tells whether the mesh has heard of it.
    fn forget(&mut self, name: &Arc<str>) -> bool {
        self.unread.remove(name);
        self.earlier.remove(name);
        self.files.remove(name).is_some_and(|mut known| {
            known.belongs_to(known.root, false, &mut self.roots);
            !known.is_new()
        })
    }
}
