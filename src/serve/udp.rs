//! The fast path: one thread and one `SO_REUSEPORT` socket per worker, and system calls that move many datagrams.

mod batch;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, cache::Cache};

use self::batch::Batch;
pub(super) use self::batch::ask_for_destinations;
use super::{
    Shared,
    responder::{GROUP, Responder},
};
use crate::{metrics::Protocol, zone::Snapshot};

/// How long to leave a socket alone that fails to receive.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What one thread serves.
pub(super) struct Worker {
    socket: UdpSocket,
    address: SocketAddr,
    snapshots: Arc<ArcSwap<Snapshot>>,
    responder: Responder,
    stop: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn new(
        socket: UdpSocket,
        address: SocketAddr,
        shared: &Shared,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            socket,
            address,
            snapshots: Arc::clone(&shared.snapshots),
            responder: Responder::new(address, Protocol::Udp, &shared.traffic),
            stop: Arc::clone(stop),
        }
    }

    /// Answers until told to stop.
    pub(super) fn run(mut self) {
        let mut snapshots = Cache::new(&*self.snapshots);
        let mut batch = Batch::new();
        let mut is_failing = false;
        while !self.stop.load(Relaxed) {
            let received = batch.receive(&self.socket);
            // Loaded when nothing came, too: an idle thread must not keep an old snapshot alive.
            let snapshot = snapshots.load();
            match received {
                Ok(()) => {
                    is_failing = false;
                    let start = Instant::now();
                    answer_all(&mut self.responder, snapshot, &mut batch);
                    let unsent = batch.send(&self.socket);
                    if unsent > 0 {
                        self.responder.traffic().unsent(unsent);
                    }
                    self.responder.finish(start.elapsed());
                }
                Err(error) if is_nothing_received(&error) => {}
                Err(error) => {
                    if !is_failing {
                        tracing::warn!(address = %self.address, %error, "receive over UDP");
                    }
                    is_failing = true;
                    thread::sleep(BACK_OFF);
                }
            }
        }
    }
}

fn is_nothing_received(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// Answers every datagram of `batch`. One that makes the code panic gets no answer; the others do.
fn answer_all(responder: &mut Responder, snapshot: &Snapshot, batch: &mut Batch) {
    for start in (0..batch.len()).step_by(GROUP) {
        let group = start..batch.len().min(start + GROUP);
        if answers(responder, snapshot, batch, group.clone()) {
            continue;
        }
        for index in group {
            if !answers(responder, snapshot, batch, index..index + 1) {
                responder.traffic().panicked();
                batch.withhold(index);
            }
        }
    }
}

/// Answers a group of datagrams; `false` where the code panicked.
fn answers(
    responder: &mut Responder,
    snapshot: &Snapshot,
    batch: &mut Batch,
    group: Range<usize>,
) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        responder.respond_to_each(snapshot, batch.exchanges(group));
    }))
    .is_ok()
}
