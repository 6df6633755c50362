//! How the files that the process may have open are shared out: what reads files and shows pages comes first, then clients and
//! upstreams.

use rustix::process::{Resource, getrlimit};

/// Set aside for mesh files that are read side by side, watches, sockets that listen, and one stream to each upstream.
const OWN: usize = 128;

/// Set aside for connections to the pages.
pub(crate) const PAGES: usize = 256;

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
        Self::of(limit())
    }

    /// What is set aside is at most half; of the rest, upstreams get a third.
    fn of(files: usize) -> Self {
        let rest = files - (OWN + PAGES).min(files / 2);
        let upstreams = (rest / 3).max(LEAST_UPSTREAMS);
        Self {
            clients: rest.saturating_sub(upstreams).max(1),
            upstreams,
        }
    }
}

/// How many probes of endpoints may be under way: what they take is nobody's share, and they end within seconds.
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
        assert_eq!(Shares::of(files), Shares { clients, upstreams }, "{files}");
    }

    #[test]
    fn pages_and_files_come_first() {
        check(1024, 427, 213);
        check(4096, 2475, 1237);
        check(256, 86, 42);
        check(40, 12, 8);
        check(8, 1, 8);
    }
}
