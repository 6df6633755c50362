//! The threads that help the loop to read and compile on all cores.
//!
//! They are rayon's. Left to itself that gives up for ever where one of them can't start.

use std::io;

use arc_swap::ArcSwap;
use rayon::ThreadPoolBuilder;
use tracing::{info, warn};

use super::shared::Orders;
use crate::{
    status::{Status, Watching},
    threads,
};

/// Starts them, as soon as the operating system has them to give; until then, the status says that no change is followed.
/// `false` where the loop is to stop before.
pub(super) fn start(status: &ArcSwap<Status>, orders: &Orders) -> bool {
    let mut is_short = false;
    let mut tell = |error: &io::Error| {
        if !is_short {
            warn!(%error, "the mesh folders can't be read before there is a thread for it: trying again");
            set_watching(status, &Watching::Stopped);
        }
        is_short = true;
        !orders.is_stopped()
    };
    let started = ThreadPoolBuilder::new()
        .spawn_handler(|helper| {
            let name = format!("reader-{}", helper.index());
            threads::start_while(&name, move || helper.run(), &mut tell).map(drop)
        })
        .build_global();
    if let Err(error) = started {
        // Another loop of this process has started them.
        tracing::debug!(%error, "the threads that read files are there");
    }
    if is_short && orders.is_stopped() {
        return false;
    }
    if is_short {
        info!("the threads that read the mesh folders have started");
        set_watching(status, &Watching::Starting);
    }
    true
}

fn set_watching(status: &ArcSwap<Status>, watching: &Watching) {
    status.rcu(|last| Status {
        watching: watching.clone(),
        ..Status::clone(last)
    });
}
