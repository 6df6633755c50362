//! What is said of files and folders that were not read.

use std::{path::PathBuf, sync::Arc};

use super::{
    known::Root,
    listing::{Listing, NotListed},
    naming::name_of,
};
use crate::{
    diagnostic::{Code, Diagnostic, FilePlace, Severity, code},
    mesh::{FileChange, Reading},
};

/// Why a file or folder is not read.
pub(super) enum Refusal {
    /// It may be otherwise in a moment.
    ForNow(Diagnostic),
    /// It has to be changed.
    ForGood(Diagnostic),
}

/// A file that changes whenever it is read.
pub(super) fn in_motion(file: &Arc<str>) -> Diagnostic {
    let message = "the file is being changed and could not be read: write another file and rename it, or look again";
    whole(file, Severity::Error, code::FILE_IN_MOTION, message.into())
}

/// A folder that is not listed.
pub(super) fn closed(folder: &Arc<str>, why: &NotListed) -> Refusal {
    let told = |code, message| whole(folder, Severity::Error, code, message);
    match why {
        NotListed::Error(error) => {
            let message = format!("the folder can't be listed: {error}");
            Refusal::ForNow(told(code::FILE_UNREADABLE, message))
        }
        NotListed::Rule(why) => {
            let message = format!("the folder is not listed: {why}");
            Refusal::ForGood(told(code::NOT_FOLLOWED, message))
        }
    }
}

/// A link that is not followed.
pub(super) fn not_followed(file: &Arc<str>, why: &str) -> Diagnostic {
    whole(file, Severity::Error, code::NOT_FOLLOWED, why.to_owned())
}

/// A file that was cut when there was no room for more.
pub(super) fn cut(file: &Arc<str>) -> Diagnostic {
    let message = "the file became shorter while its disk had no room, so that it may be cut: make room and write it again";
    whole(file, Severity::Error, code::FILE_UNREADABLE, message.into())
}

/// A folder with files, none of them meant for a mesh.
fn bare(folder: &Arc<str>) -> Diagnostic {
    let message = "no file here is a manifest that meshdns reads: give the folder with the ServiceEntry, WorkloadEntry, \
                   WorkloadGroup or Pod manifests, in files that end with .yaml, .yml or .json";
    whole(
        folder,
        Severity::Warning,
        code::NO_MANIFESTS,
        message.into(),
    )
}

/// What changed about the folders among `paths` that have files, none of them meant for a mesh.
pub(super) fn renew_bare(
    roots: &mut [Root],
    paths: &[PathBuf],
    listing: &Listing,
) -> Vec<FileChange> {
    let mut changes = Vec::new();
    for (index, (root, path)) in roots.iter_mut().zip(paths).enumerate() {
        let is_away = listing.missing.contains_key(&index);
        let is_bare = !is_away && root.meant == 0 && listing.entries[index] > 0;
        if std::mem::replace(&mut root.is_bare, is_bare) != is_bare {
            let file = name_of(path);
            let reading = if is_bare {
                Reading::Remark(bare(&file))
            } else {
                Reading::Gone
            };
            changes.push(FileChange { file, reading });
        }
    }
    changes
}

fn whole(file: &Arc<str>, severity: Severity, code: Code, message: String) -> Diagnostic {
    Diagnostic {
        origin: FilePlace::whole(file.clone()).into(),
        severity,
        code,
        message,
        object: None,
    }
}
