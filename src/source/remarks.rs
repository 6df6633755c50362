//! What is said of files and folders that were not read.

use std::{io, sync::Arc};

use crate::diagnostic::{Code, Diagnostic, Origin, Position, Severity, code};

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

/// A folder with files of which none is meant for a mesh.
pub(super) fn bare(folder: &Arc<str>) -> Diagnostic {
    let message = "no file here is a manifest that meshdns reads: give the folder with the ServiceEntry, WorkloadEntry, \
                   WorkloadGroup or Pod manifests, in files that end with .yaml, .yml or .json";
    whole(
        folder,
        Severity::Warning,
        code::NO_MANIFESTS,
        message.into(),
    )
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
