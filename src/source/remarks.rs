//! What is said of files and folders that were not read.

use std::{io, path::PathBuf, sync::Arc};

use super::{known::Root, naming::name_of, walk::Listing};
use crate::{
    diagnostic::{Code, Diagnostic, Origin, Position, Severity, code},
    mesh::{FileChange, Reading},
};

/// A file that changes whenever it is read.
pub(super) fn in_motion(file: &Arc<str>) -> Diagnostic {
    let message = "the file is being changed and could not be read: write another file and rename it, or look again";
    whole(file, Severity::Error, code::FILE_IN_MOTION, message.into())
}

/// A folder that can't be listed.
pub(super) fn closed(folder: &Arc<str>, error: &io::Error) -> Diagnostic {
    let message = format!("the folder can't be listed: {error}");
    whole(folder, Severity::Error, code::FILE_UNREADABLE, message)
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
        origin: Origin {
            file: file.clone(),
            document: 0,
            position: Position::START,
        },
        severity,
        code,
        message,
        object: None,
    }
}
