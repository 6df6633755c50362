//! The last good state: what of it stands in for what can't be read, and when it is kept.

use std::{
    collections::HashMap,
    slice,
    time::{Instant, SystemTime},
};

use tracing::warn;

use super::shared::Options;
use crate::{
    chain::Chain,
    mesh::{FileChange, Mesh, Reading},
    pipeline::Pipeline,
    source::{self, Feed, LoadError},
    state::{self, Saver, Stored},
    status::{StateStatus, Unread},
};

/// Finds what an earlier process kept, and whether each folder can be read or that can stand in for it.
pub(super) fn open(options: &Options) -> Result<Stored, LoadError> {
    let stored = match &options.state_dir {
        None => Stored::default(),
        Some(folder) => {
            let (stored, errors) = state::open(folder, SystemTime::now());
            for error in errors {
                warn!("{}", Chain(&error));
            }
            stored
        }
    };
    for path in &options.folders {
        if let Err(error) = source::probe(slice::from_ref(path)) {
            if !stored.files().any(|file| source::is_below(file, path)) {
                return Err(error);
            }
            warn!("{}; the last good state stands in for it", Chain(&error));
        }
    }
    Ok(stored)
}

/// Takes in what an earlier process kept, and keeps it further where there is a folder for it.
pub(super) fn begin(
    options: &Options,
    mut stored: Stored,
    feed: &mut Feed,
    pipeline: &mut Pipeline,
) -> Option<Saver> {
    let folder = options.state_dir.as_ref()?;
    stored.retain(|file| feed.note_earlier(file));
    let mut read = HashMap::new();
    for stored in stored.into_files() {
        read.insert(stored.file.clone(), stored.read);
        let change = FileChange {
            file: stored.file,
            reading: Reading::Read(stored.contents),
        };
        pipeline.take_in(vec![change], stored.read);
    }
    match Saver::start(folder, read) {
        Ok(saver) => Some(saver),
        Err(error) => {
            warn!("{}", Chain(&error));
            None
        }
    }
}

/// What is to be told of it.
pub(super) fn status(saver: &Saver, feed: &Feed) -> StateStatus {
    let (last, failures) = saver.saved();
    StateStatus {
        saved: last,
        failures,
        in_use: Unread::of(feed.earlier()),
        in_use_since: saver.oldest(feed.earlier()),
    }
}

/// Keeps a little of what is to be kept.
pub(super) fn go_on(saver: &mut Saver, mesh: &Mesh, feed: &Feed) {
    saver.go_on(mesh, feed.earlier(), Instant::now());
}
