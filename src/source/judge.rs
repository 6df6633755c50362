//! Decides about a listed file without opening it.

use std::{io, sync::Arc, time::Instant};

use super::{
    known::{KnownFile, MAX_RESTLESS, wait_until},
    listing::{Listed, ListedKind},
    look::{Look, Trust},
    mounts::is_full,
    reading::Candidate,
    remarks::{self, Refusal},
    stamp::Stamp,
};
use crate::manifest;

/// What to do with a file.
pub(super) enum Verdict {
    /// Nothing: it is as it was.
    Unchanged,
    /// To read it.
    Read(Candidate),
    /// Not complete, as it seems: the next look is worth it at that time.
    Wait(Stamp, Instant),
    /// To say that it can't be read.
    Refused(Refusal),
    /// To say that it may be cut, as long as it stays so.
    Cut(Stamp),
}

impl Verdict {
    /// The stamp of a file that is or was there to be read.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Wait(stamp, _) => Some(*stamp),
            Self::Read(candidate) => Some(candidate.stamp),
            Self::Unchanged | Self::Refused(_) | Self::Cut(_) => None,
        }
    }
}

/// What to do with the file `name`, given what is known of it.
pub(super) fn judge(
    name: &Arc<str>,
    listed: &Listed,
    known: Option<&KnownFile>,
    look: &Look,
) -> Verdict {
    let stamp = match &listed.kind {
        ListedKind::File(stamp) => *stamp,
        ListedKind::NoFile(what) => {
            let error = io::Error::other(format!("it is {what}, not a file"));
            let diagnostic = manifest::unreadable(name, &error);
            return Verdict::Refused(Refusal::ForGood(diagnostic));
        }
        ListedKind::Unreadable(error) => {
            let diagnostic = manifest::unreadable(name, error);
            return Verdict::Refused(match error.raw_os_error() {
                Some(libc::ELOOP) => Refusal::ForGood(diagnostic),
                _ => Refusal::ForNow(diagnostic),
            });
        }
        ListedKind::Refused(why) => {
            let diagnostic = remarks::not_followed(name, why);
            return Verdict::Refused(Refusal::ForGood(diagnostic));
        }
    };
    if stamp.size > manifest::MAX_FILE_BYTES {
        let diagnostic = manifest::too_large(name, stamp.size);
        return Verdict::Refused(Refusal::ForGood(diagnostic));
    }
    if known.is_some_and(|known| known.may_be_cut(stamp, || is_full(&listed.real))) {
        return Verdict::Cut(stamp);
    }
    let is_touched = match &look.trust {
        Trust::Events(evidence) => evidence.touched.contains(&listed.real),
        Trust::Everything | Trust::Stillness(_) => false,
    };
    let unchanged = known.is_some_and(|known| known.stamp == Some(stamp) && !known.is_racy);
    if unchanged && !is_touched && !look.every_file {
        return Verdict::Unchanged;
    }
    if let Some(until) = wait_until(known, stamp, &listed.real, look) {
        return Verdict::Wait(stamp, until);
    }
    let is_restless = known.is_some_and(|known| known.restless >= MAX_RESTLESS);
    Verdict::Read(Candidate {
        name: name.clone(),
        root: listed.root,
        real: listed.real.clone(),
        folder: None,
        stamp,
        must_be_still: !is_restless,
        digest: known.and_then(|known| known.digest),
        documents: known.and_then(|known| known.documents.clone()),
    })
}
