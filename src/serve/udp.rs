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

pub(super) use self::batch::ask_for_destinations;
use self::batch::{Batch, WayBack};
use super::{
    ServedAddress, Shared,
    deferred::Deferred,
    responder::{GROUP, Responder, Terms},
};
use crate::{forward::DeferredQuery, precedence, zone::Snapshot};

/// How long to leave a socket alone that fails to receive.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What one thread serves.
pub(super) struct Worker {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    snapshots: Arc<ArcSwap<Snapshot>>,
    responder: Responder,
    deferred: Arc<Deferred>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn new(
        socket: UdpSocket,
        served: ServedAddress,
        shared: &Shared,
        deferred: Arc<Deferred>,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            socket: Arc::new(socket),
            address: served.address,
            snapshots: Arc::clone(&shared.snapshots),
            responder: Responder::new(served, shared),
            deferred,
            stop: Arc::clone(stop),
        }
    }

    /// Answers until told to stop.
    pub(super) fn run(mut self) {
        precedence::go_first();
        let published = Arc::clone(&self.snapshots);
        let mut snapshots = Cache::new(&*published);
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
                    self.answer_all(snapshot, &mut batch);
                    let unsent = batch.send(&self.socket);
                    if unsent > 0 {
                        self.responder.traffic().count_unsent(unsent);
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

    /// Answers every datagram of `batch`. One that makes the code panic gets no answer; the others do.
    fn answer_all(&mut self, snapshot: &Snapshot, batch: &mut Batch) {
        for start in (0..batch.len()).step_by(GROUP) {
            let group = start..batch.len().min(start + GROUP);
            if self.answers(snapshot, batch, group.clone()) {
                continue;
            }
            for index in group {
                if !self.answers(snapshot, batch, index..index + 1) {
                    self.responder.traffic().count_panic();
                    batch.withhold(index);
                }
            }
        }
    }

    /// Answers a group of datagrams; `false` where the code panicked.
    fn answers(&mut self, snapshot: &Snapshot, batch: &mut Batch, group: Range<usize>) -> bool {
        catch_unwind(AssertUnwindSafe(|| {
            let mut deferred: Vec<(usize, Vec<u8>, DeferredQuery, Terms)> = Vec::new();
            self.responder.respond_to_each(
                snapshot,
                batch.exchanges(group.clone()),
                |index, message, query, terms| {
                    deferred.push((index, message.to_vec(), query, terms));
                },
            );
            for (index, message, query, terms) in deferred {
                let way_back = batch.way_back(group.start + index);
                self.answer_later(message, query, terms, way_back);
            }
        }))
        .is_ok()
    }

    /// Has `message` answered by an upstream, and the answer sent from the socket that received it. How many wait is
    /// limited by the places that the forwarder has.
    fn answer_later(
        &self,
        message: Vec<u8>,
        query: DeferredQuery,
        terms: Terms,
        way_back: WayBack,
    ) {
        let (waiting, socket) = (Arc::clone(&self.deferred), Arc::clone(&self.socket));
        self.deferred.runtime().spawn(async move {
            let reply = waiting.answer(&message, query, terms).await;
            if let Err(error) = way_back.send(&socket, &reply) {
                tracing::debug!(%error, "send an upstream's answer over UDP");
                waiting.count_unsent();
            }
        });
    }
}

fn is_nothing_received(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
