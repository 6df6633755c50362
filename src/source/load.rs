//! Reads mesh folders once, for those who look and leave.

use std::{
    mem,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{
    batch::Batch,
    error::LoadError,
    folder::Folder,
    links::FollowLinks,
    look::{Look, Trust, Work},
};

/// How long a file may change whenever it is read before it is told as unreadable.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads what is at `paths` and hands it on in batches; the last is complete and has nothing pending. A file that
/// changes while it is read is read again, and told as unreadable where that does not end.
///
/// # Errors
///
/// Fails where one of the paths leads nowhere or can't be opened; what is wrong below it is among the changes.
pub fn load(
    paths: Vec<PathBuf>,
    follow_links: FollowLinks,
    mut take_in: impl FnMut(Batch),
) -> Result<(), LoadError> {
    let mut folder = Folder::new(paths, follow_links);
    let patience_until = Instant::now() + PATIENCE;
    let (mut strict, mut is_first) = (true, true);
    loop {
        let look = Look {
            strict,
            ..Look::begin(Trust::Everything)
        };
        let listing = folder.list();
        folder.check(&listing)?;
        let mut told = Work::default();
        let mut scan = folder.read(&listing, &look, |change, scan| {
            let work = scan.work - mem::replace(&mut told, scan.work);
            take_in(Batch::of(vec![change], scan.files, work));
        });
        if scan.is_torn {
            strict = false;
            continue;
        }
        let is_over = Instant::now() >= patience_until;
        let changed = mem::take(&mut is_first) || scan.work.changes() > 0;
        if changed && !is_over && !folder.is_in_motion() {
            // What was read first may have changed since.
            continue;
        }
        if folder.is_in_motion() && !is_over {
            let now = Instant::now();
            let again_at = scan.again_at.unwrap_or(now).min(patience_until);
            thread::sleep(again_at.saturating_duration_since(now));
            continue;
        }
        take_in(Batch {
            changes: folder.give_up(&mut scan),
            complete: true,
            files: scan.files,
            work: scan.work - told,
            ..Batch::default()
        });
        return Ok(());
    }
}
