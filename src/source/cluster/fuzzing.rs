//! What an API server sends, from any bytes, for a fuzz target.

use std::sync::Arc;

use super::{
    figures::Figures,
    frames::{Form, Splitter},
    hearing::Hearing,
    progress::Progress,
    resource::Ask,
};
use crate::{
    diagnostic::{Cluster, Kind},
    mesh::{ClusterEvent, ListScope},
};

/// Hears what `bytes` say behind the first of them, which chooses a kind, a form, and how long the pieces are that the others
/// come in.
///
/// # Panics
///
/// Where something else is told than where they come at once.
pub fn check_reply(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let first = usize::from(*first);
    let kind = Kind::OF_CLUSTERS[first % 4];
    let form = match first / 4 % 2 {
        0 => Form::Events,
        _ => Form::List,
    };
    let whole = told(kind, form, bytes, bytes.len().max(1));
    assert_eq!(whole, told(kind, form, bytes, 1 + first / 8));
}

/// What is told of `bytes` that come in pieces of this length, up to what can't be read.
fn told(kind: Kind, form: Form, bytes: &[u8], length: usize) -> Vec<ClusterEvent> {
    let cluster = Cluster::only("fuzz");
    let scope = ListScope {
        kind,
        namespace: None,
    };
    let figures = Arc::new(Figures::new(cluster.clone(), kind));
    let (progress, ask) = match form {
        Form::Events => (Progress::new(), Ask::Stream),
        Form::List => (Progress::of_pages(), Ask::Page(None)),
    };
    let mut hearing = Hearing::new(cluster, scope, progress, figures);
    hearing.begin(&ask);
    let mut splitter = Splitter::new(form);
    for piece in bytes.chunks(length) {
        splitter.push(piece);
        while let Ok(Some(frame)) = splitter.next() {
            if !matches!(hearing.take_in("v1", frame), Ok(false)) {
                return hearing.take_events();
            }
        }
    }
    if form == Form::List && splitter.is_whole() {
        // Who asked is told where a list has no version.
        let _ = hearing.end_page();
    }
    hearing.take_events()
}
