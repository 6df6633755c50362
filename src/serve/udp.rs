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
    responder::{GROUP, Responder},
    upstream_answers::UpstreamAnswers,
};
use crate::{forward::Deferred, precedence, zone::Snapshot};

/// How long to leave a socket alone that fails to receive.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What one thread serves.
pub(super) struct Worker {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    snapshots: Arc<ArcSwap<Snapshot>>,
    responder: Responder,
    upstream_answers: Arc<UpstreamAnswers>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn new(
        socket: UdpSocket,
        served: ServedAddress,
        shared: &Shared,
        upstream_answers: Arc<UpstreamAnswers>,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            socket: Arc::new(socket),
            address: served.address,
            snapshots: Arc::clone(&shared.snapshots),
            responder: Responder::new(served, &shared.traffic, shared.forwarder.clone()),
            upstream_answers,
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
            let mut clients = [None; GROUP];
            if self.responder.forwards() {
                for (client, index) in clients.iter_mut().zip(group.clone()) {
                    *client = Some(batch.client(index));
                }
            }
            let mut deferrals: Vec<(usize, Vec<u8>, Deferred)> = Vec::new();
            self.responder.respond_to_each(
                snapshot,
                batch.exchanges(group.clone()),
                clients,
                |index, message, deferred| deferrals.push((index, message.to_vec(), deferred)),
            );
            for (index, message, deferred) in deferrals {
                self.answer_later(message, deferred, batch.way_back(group.start + index));
            }
        }))
        .is_ok()
    }

    /// Has `message` answered by an upstream, and the answer sent from the socket that received it. How many wait is
    /// limited by the places of those who wait.
    fn answer_later(&self, message: Vec<u8>, deferred: Deferred, way_back: WayBack) {
        let (waiting, socket) = (Arc::clone(&self.upstream_answers), Arc::clone(&self.socket));
        self.upstream_answers.runtime().spawn(async move {
            let reply = waiting.answer(&message, deferred).await;
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
