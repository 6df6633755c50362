//! How the files that the process may have open are shared out: what reads files, shows pages and probes endpoints comes first,
//! then clients and upstreams.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::process::{Resource, getrlimit};

/// Set aside for mesh files that are read side by side, watches, sockets that listen, and one stream to each upstream.
const OWN: usize = 128;

/// Set aside for connections to the pages.
pub(crate) const PAGES: usize = 384;

/// How many upstreams may have at least: without any, nothing is forwarded.
const LEAST_UPSTREAMS: usize = 8;

/// How many connections of clients, and how many sockets that wait for upstreams, there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shares {
    pub(crate) clients: usize,
    pub(crate) upstreams: usize,
}

impl Shares {
    /// By the limit that this process has.
    pub(crate) fn of_this_process() -> Self {
        Self::of(limit(), PROBES.load(Relaxed))
    }

    /// What is set aside for ourselves is at most half, and for probes at most a quarter; of the rest, upstreams get a third.
    fn of(files: usize, probes: usize) -> Self {
        let rest = files - (OWN + PAGES).min(files / 2) - probes.min(files / 4);
        let upstreams = (rest / 3).max(LEAST_UPSTREAMS);
        Self {
            clients: rest.saturating_sub(upstreams).max(1),
            upstreams,
        }
    }
}

/// How many files are set aside for probes: as the limit, it is the process's.
static PROBES: AtomicUsize = AtomicUsize::new(0);

/// Leaves files to `probes` at a time, before they are shared out. Without them nothing is set aside: probes that begin later, at
/// SIGHUP, find what clients and upstreams leave.
pub(crate) fn set_aside_for(probes: usize) {
    PROBES.store(probes, Relaxed);
}

/// How many probes of endpoints may be under way at most.
pub(crate) fn most_probes() -> usize {
    (limit() / 4).max(1)
}

/// How many files this process may have open.
fn limit() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok());
    files.unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: usize, clients: usize, upstreams: usize) {
        check_with(0, files, clients, upstreams);
    }

    #[track_caller]
    fn check_with(probes: usize, files: usize, clients: usize, upstreams: usize) {
        let shares = Shares::of(files, probes);
        assert_eq!(shares, Shares { clients, upstreams }, "{files}");
    }

    #[test]
    fn pages_and_files_come_first() {
        check(1024, 342, 170);
        check(4096, 2390, 1194);
        check(256, 86, 42);
        check(40, 12, 8);
        check(8, 1, 8);
    }

    #[test]
    fn probes_have_a_share_where_there_are_any() {
        check_with(4096, 1024, 171, 85);
        check_with(100, 1024, 275, 137);
        check_with(4096, 65_536, 40_619, 20_309);
        check_with(4096, 256, 43, 21);
        check_with(4096, 8, 1, 8);
    }
}
