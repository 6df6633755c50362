//! The last good state: what of it stands in for what can't be read, and when it is kept.

use std::{collections::HashMap, slice, time::SystemTime};

use tracing::warn;

use super::{clusters::Clusters, shared::Options};
use crate::{
    chain::Chain,
    manifest::ObjectContents,
    mesh::{ClusterChange, ClusterEvent, FileChange, Reading},
    pipeline::Pipeline,
    source::{self, Feed, LoadError},
    state::{self, Earlier, Saver, Stored, StoredObjects, StoredPart},
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
    mut feed: Option<&mut Feed>,
    clusters: &mut Clusters,
    pipeline: &mut Pipeline,
) -> Option<Saver> {
    let folder = options.state_dir.as_ref()?;
    stored.retain_files(|file| {
        let feed = feed.as_mut();
        feed.is_some_and(|feed| feed.note_earlier(file))
    });
    stored.retain_clusters(|name| clusters.named(name).is_some());
    let mut read = HashMap::new();
    for part in stored.into_parts() {
        match part {
            StoredPart::File(stored) => {
                read.insert(stored.file.clone(), stored.read);
                let change = FileChange {
                    file: stored.file,
                    reading: Reading::Read(stored.contents),
                };
                pipeline.take_in(vec![change], stored.read);
            }
            StoredPart::Cluster(stored) => take_in_cluster(stored, clusters, pipeline),
        }
    }
    let followed: Vec<_> = clusters.followed().cloned().collect();
    if !followed.is_empty() {
        // From here on that is noted.
        pipeline.take_touched();
    }
    Some(Saver::new(folder, followed, read))
}

fn take_in_cluster(stored: StoredObjects, clusters: &mut Clusters, pipeline: &mut Pipeline) {
    let StoredObjects {
        cluster,
        read,
        gone,
        objects,
    } = stored;
    let Some(cluster) = clusters.named(&cluster).cloned() else {
        return;
    };
    clusters.note_earlier(&cluster, read);
    let gone = gone.into_iter().map(ClusterEvent::Gone);
    let objects = objects.into_iter().map(|object| {
        let key = object.key();
        let contents = ObjectContents {
            object: Some(object),
            diagnostics: Vec::new(),
        };
        ClusterEvent::Object(key, contents)
    });
    let changes = gone.chain(objects).map(|event| ClusterChange {
        cluster: cluster.clone(),
        event,
    });
    pipeline.take_in(changes, read);
}

/// What it stands in for at present.
pub(super) fn earlier<'e>(feed: Option<&'e Feed>, clusters: &Clusters) -> Earlier<'e> {
    Earlier {
        files: feed.map(Feed::earlier),
        clusters: clusters.earlier().collect(),
    }
}

/// What is to be told of it.
pub(super) fn status(saver: &Saver, feed: Option<&Feed>, clusters: &Clusters) -> StateStatus {
    let (last, failures) = saver.saved();
    let (of_clusters, clusters_since) = clusters.in_use();
    let of_files = feed.map(|feed| Unread::of(feed.earlier()));
    let files_since = feed.and_then(|feed| saver.oldest(feed.earlier()));
    StateStatus {
        saved: last,
        failures,
        in_use: Unread::of(&of_clusters).and(&of_files.unwrap_or_default()),
        in_use_since: files_since.into_iter().chain(clusters_since).min(),
    }
}
