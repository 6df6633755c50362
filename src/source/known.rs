//! What is remembered of a file, and how long a change to it is left alone.
//!
//! Owns every bound of patience: with a writer that does not close, a file that was emptied, a file that is missing, a
//! folder that comes back. Never reads a clock or a file: the time comes with the look.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    documents::Documents,
    look::{Look, Trust},
    signals::WRITER_PATIENCE,
    stamp::Stamp,
};

/// How long a file that had content may be empty before that is taken for its content.
const EMPTY_PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing may be removed before what is missing counts as removed: `rm -r` takes its time, and in the end the
/// folder itself may be gone, which is another matter.
const REMOVAL_PATIENCE: Duration = Duration::from_millis(20);

/// The same where a folder has lost all of its files.
const CLEARANCE_PATIENCE: Duration = Duration::from_millis(60);

/// How long a burst of changes is waited for at most, where no event tells its end.
const BURST_PATIENCE: Duration = Duration::from_secs(2);

/// How many looks in a row may find a file in motion before it is taken as it is at the moment.
pub(super) const MAX_RESTLESS: u32 = 10;

/// How long a folder may be away, below a mesh folder, before its files count as removed; and how long one that was away must be
/// still before the files that did not come back with it do.
const RETURN_PATIENCE: Duration = Duration::from_secs(1);

/// The same while nothing came back but the folder itself.
const EMPTY_RETURN_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Root {
    /// Whether it was there once.
    pub(super) was_there: bool,
    /// Whether it is there again, and not all of its files are yet.
    pub(super) is_returning: bool,
    /// When its files last changed.
    pub(super) last_change: Option<Instant>,
    /// How many of its files somebody meant for a mesh.
    pub(super) meant: usize,
    /// Whether it was said that none is, although there are files.
    pub(super) is_bare: bool,
}

/// Changes that come one soon after the other, where no event tells what belongs together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    first: Instant,
    last: Instant,
}

#[derive(Debug, Default)]
pub(super) struct KnownFile {
    pub(super) root: usize,
    /// `None` where the file has to be read on the next look.
    pub(super) stamp: Option<Stamp>,
    /// Whether the stamp may stand for something else by now.
    pub(super) is_racy: bool,
    /// How many bytes it held when it was read last.
    pub(super) length: u64,
    /// As it was when it was cut.
    pub(super) cut: Option<Stamp>,
    /// What was parsed last; `None` where nothing was, or where the file was unreadable since.
    pub(super) digest: Option<u64>,
    /// The documents of a large file.
    pub(super) documents: Option<Arc<Documents>>,
    /// Why the file can't be read, as it was reported.
    pub(super) problem: Option<String>,
    pub(super) waiting: Option<Waiting>,
    pub(super) missing_since: Option<Instant>,
    /// How many looks in a row found the file in motion.
    pub(super) restless: u32,
    /// What the mesh has heard of it.
    pub(super) announced: Announced,
    /// Whether somebody meant it for a mesh, as far as that is known.
    pub(super) is_meant: bool,
}

/// What the mesh has heard of a file.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Announced {
    #[default]
    Nothing,
    /// That it can't be read, and never what it says.
    Refused,
    /// What it says, or what it last said.
    Read,
}

/// A change that is not taken for complete yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) stamp: Stamp,
    /// When the file was first seen so.
    pub(super) since: Instant,
    /// When the file was first seen changing.
    pub(super) first: Instant,
}

impl Burst {
    /// The burst that goes on at `now`, with something `fresh` or not, and until when it is left alone; `None` where it is
    /// over.
    pub(super) fn after(
        before: Option<Self>,
        now: Instant,
        is_fresh: bool,
        patience: Duration,
    ) -> (Self, Option<Instant>) {
        let first = before.map_or(now, |burst| burst.first);
        let last = before.filter(|_| !is_fresh).map_or(now, |burst| burst.last);
        let until = (last + patience).min(first + BURST_PATIENCE);
        (Self { first, last }, (until > now).then_some(until))
    }
}

impl KnownFile {
    /// Whether the mesh was never told what it says, nor that it can't be read.
    pub(super) fn is_new(&self) -> bool {
        self.announced == Announced::Nothing
    }

    /// A file that this process has not looked at, and the mesh knows what it last said.
    pub(super) fn of_earlier(root: usize) -> Self {
        Self {
            root,
            announced: Announced::Read,
            is_meant: true,
            ..Self::default()
        }
    }

    /// Whether the mesh knows what it says, or last said.
    pub(super) fn was_read(&self) -> bool {
        self.announced == Announced::Read
    }

    /// Whether a change to it, or that it is missing, is left alone for a moment.
    pub(super) fn is_open(&self) -> bool {
        self.waiting.is_some() || self.missing_since.is_some()
    }

    /// Whether it was in motion when it was to be read, and what changed with it may wait for it.
    pub(super) fn is_restless(&self) -> bool {
        (1..MAX_RESTLESS).contains(&self.restless)
    }

    /// Whether its stamp tells how many bytes it holds: not on file systems whose files are made up as they are read.
    fn has_true_size(&self) -> bool {
        self.stamp.is_none_or(|stamp| stamp.size == self.length)
    }

    /// Whether it is shorter than it was, and was so first when there was no room for more: whoever wrote it may have failed.
    pub(super) fn may_be_cut(&self, stamp: Stamp, is_full: impl FnOnce() -> bool) -> bool {
        let is_shorter =
            self.has_true_size() && stamp.size < self.length && self.stamp != Some(stamp);
        is_shorter && (self.cut == Some(stamp) || is_full())
    }

    /// Whether it held something and holds nothing.
    fn is_emptied(&self, stamp: Stamp) -> bool {
        self.has_true_size() && stamp.size == 0 && self.length > 0
    }

    /// Notes which of the given paths led to it, and whether somebody meant it for a mesh.
    pub(super) fn belongs_to(&mut self, root: usize, is_meant: bool, roots: &mut [Root]) {
        roots[self.root].meant -= usize::from(self.is_meant);
        (self.root, self.is_meant) = (root, is_meant);
        roots[root].meant += usize::from(is_meant);
    }

    /// Notes that so many bytes were read of the file with this stamp.
    pub(super) fn settle(&mut self, stamp: Stamp, length: u64, is_racy: bool) {
        self.announced = Announced::Read;
        self.stamp = Some(stamp);
        self.length = length;
        self.cut = None;
        // Where the size tells nothing, the times are not to be relied on either.
        self.is_racy = is_racy || !self.has_true_size();
        self.problem = None;
        self.waiting = None;
        self.missing_since = None;
        self.restless = 0;
    }

    /// Notes that the file changed and was left alone.
    pub(super) fn wait(&mut self, stamp: Stamp, now: Instant) {
        self.missing_since = None;
        let first = self.waiting.map_or(now, |waiting| waiting.first);
        let since = self
            .waiting
            .filter(|waiting| waiting.stamp == stamp)
            .map_or(now, |waiting| waiting.since);
        self.waiting = Some(Waiting {
            stamp,
            since,
            first,
        });
    }
}

/// Whether this process never read what the file says.
pub(super) fn is_unseen(known: Option<&KnownFile>) -> bool {
    known.is_none_or(|known| known.digest.is_none())
}

/// When a changed file, `real` by its path, may be complete; `None` where it is to be taken as it is.
pub(super) fn wait_until(
    known: Option<&KnownFile>,
    stamp: Stamp,
    real: &Path,
    look: &Look,
) -> Option<Instant> {
    let is_as_read = known.is_some_and(|known| known.stamp == Some(stamp));
    if is_as_read && matches!(look.trust, Trust::Stillness(_)) {
        return None;
    }
    let first_age = look.first_age.filter(|_| is_unseen(known));
    let waiting = known.and_then(|known| known.waiting);
    let same_since = waiting
        .filter(|waiting| waiting.stamp == stamp)
        .map_or(look.now, |waiting| waiting.since);
    let is_replaced = waiting.is_some_and(|waiting| waiting.stamp.identity() != stamp.identity());
    let old_enough_at = |age: Duration| {
        let age = if stamp.size == 0 { EMPTY_PATIENCE } else { age };
        let young = stamp.age(look.clock).filter(|has| *has < age)?;
        Some(look.now + age.saturating_sub(young))
    };
    let complete_at = match (&look.trust, first_age) {
        (Trust::Everything, _) => return None,
        (Trust::Events(evidence), _) if evidence.being_written.contains_key(real) => {
            Some(evidence.being_written[real] + WRITER_PATIENCE)
        }
        (Trust::Events(evidence), Some(age)) if !evidence.touched.contains(real) => {
            old_enough_at(age)
        }
        (Trust::Events(_), _) => None,
        // Another file by every look: whoever renames them over one another has written them.
        (Trust::Stillness(_), Some(_)) if is_replaced => None,
        (Trust::Stillness(_), Some(age)) => old_enough_at(age),
        (Trust::Stillness(patience), None) => Some(same_since + *patience),
    };
    let emptied = known.is_some_and(|known| known.is_emptied(stamp));
    let until = complete_at.max(emptied.then(|| same_since + EMPTY_PATIENCE))?;
    // A file that changes at every look is never still: some day it is taken as it is.
    let at_the_latest = waiting.map_or(look.now, |waiting| waiting.first) + WRITER_PATIENCE;
    let until = match look.trust {
        Trust::Stillness(_) => until.min(at_the_latest),
        Trust::Everything | Trust::Events(_) => until,
    };
    (until > look.now).then_some(until)
}

/// How a folder stands to the files that are missing in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Around {
    /// It is there, as it was.
    There,
    /// It is missing too: it may come back, or another one in its place.
    Missing,
    /// Another one took its place, whole as it is.
    Replaced,
}

/// When a file counts as removed that is missing since a look saw that; `None` is at once.
pub(super) fn gone_at(
    since: Instant,
    root: &Root,
    left_in_root: usize,
    around: Around,
    trust: &Trust,
) -> Option<Instant> {
    let settled = match trust {
        _ if around == Around::Replaced => return None,
        Trust::Everything => return None,
        Trust::Stillness(patience) => since + *patience,
        Trust::Events(evidence) => {
            let patience = if around == Around::Missing {
                RETURN_PATIENCE
            } else if left_in_root == 0 {
                CLEARANCE_PATIENCE
            } else {
                REMOVAL_PATIENCE
            };
            since.max(evidence.last_removal.unwrap_or(since)) + patience
        }
    };
    if !root.is_returning {
        return Some(settled);
    }
    let patience = if left_in_root == 0 {
        EMPTY_RETURN_PATIENCE
    } else {
        RETURN_PATIENCE
    };
    let last_change = root.last_change.map_or(since, |last| last.max(since));
    Some(settled.max(last_change + patience))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_cut_stays_so_until_it_is_written_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stamp = |text: &str| {
            let path = folder.path().join("a.yaml");
            fs::write(&path, text).expect("a file");
            Stamp::of(&fs::metadata(path).expect("it is there"))
        };
        let (whole, cut) = (stamp("whole"), stamp("cut"));
        let mut known = KnownFile::default();
        assert!(!known.may_be_cut(cut, || true), "nobody knows what it was");
        known.settle(whole, 5, false);
        assert!(!known.may_be_cut(cut, || false), "there is room");
        assert!(known.may_be_cut(cut, || true));
        known.cut = Some(cut);
        assert!(known.may_be_cut(cut, || false), "room does not mend it");
        assert!(!known.may_be_cut(stamp("longer"), || true));
        assert!(known.is_emptied(stamp("")));
        // Of a file that is made up as it is read nothing can be told.
        let made_up = stamp("");
        known.settle(made_up, 9, false);
        assert!(known.is_racy && !known.may_be_cut(made_up, || true));
        assert!(!known.is_emptied(made_up));
    }
}
