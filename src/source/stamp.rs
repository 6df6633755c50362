//! A file's stamp: what `stat` tells about it.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime},
};

use rustix::fs::Stat;

/// How coarse a file system's clock may be: two writes within this time can leave the same times behind.
///
/// Linux stamps with the tick of its timer, 10 ms at the slowest.
const TICK: Duration = Duration::from_millis(20);

/// What tells without reading whether a file is still the one that was read.
///
/// The change time can't be set by a program: a file replaced by one of the same size and modification time differs in
/// it, or in the inode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// The file's size in bytes.
    pub(super) size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

/// What stays of a file when it is renamed: its device and inode.
pub(super) type Identity = (u64, u64);

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The same of what is found in an open folder.
    pub(super) fn of_stat(stat: &Stat) -> Self {
        let nanos = |seconds: i128, nanos: i128| seconds * 1_000_000_000 + nanos;
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified_ns: nanos(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_ns: nanos(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        (self.device, self.inode)
    }

    /// How long before `now` the file changed; `None` where that is yet to come.
    pub(super) fn age(&self, now: SystemTime) -> Option<Duration> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let age_ns = i128::try_from(now.as_nanos()).ok()? - self.changed_ns;
        Some(Duration::from_nanos(
            u64::try_from(age_ns.min(i128::from(u64::MAX))).ok()?,
        ))
    }

    /// Whether a write just after `now` could leave this very stamp: then an equal stamp proves nothing.
    pub(crate) fn is_racy(&self, now: SystemTime) -> bool {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
        let tick = i128::try_from(TICK.as_nanos()).expect("a tick is short");
        now.saturating_sub(self.changed_ns) < tick
    }
}
