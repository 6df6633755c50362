//! Sockets: receives queries and sends answers, over UDP and TCP.
//!
//! [`Sockets::bind`] takes the addresses, so that a busy port is told before anything is loaded; [`Sockets::serve`] starts
//! answering from whatever snapshot is the newest. Owns what a transport decides: batches, framing, time-outs, limits.
//!
//! Never decides what an answer is: `answer` does, in bytes of `wire`.

mod bind;
mod late;
mod responder;
mod tcp;
mod udp;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;

pub use self::{bind::BindError, bind::Sockets, tcp::TcpLimits};
use crate::{
    forward::Forwarder,
    metrics::{Protocol, Traffic},
    zone::Snapshot,
};

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// The addresses, each for UDP and TCP. Port 0 takes a port that is free for both.
    pub listen: Vec<SocketAddr>,
    /// How many UDP threads serve each address.
    pub workers: NonZeroUsize,
    /// Limits on TCP connections, over all addresses.
    pub tcp: TcpLimits,
}

/// The servers of all sockets. Dropping it stops them without waiting.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    udp: Vec<thread::JoinHandle<()>>,
    tcp: JoinSet<()>,
}

/// What every server reads and counts into.
#[derive(Clone, Debug)]
struct Shared {
    snapshots: Arc<ArcSwap<Snapshot>>,
    traffic: Arc<Traffic>,
    forwarder: Option<Arc<Forwarder>>,
}

impl Sockets {
    /// Answers queries from the newest of `snapshots`: UDP on threads of its own, TCP on the tokio runtime that this is
    /// called from. For names that are not ours, `forwarder` knows whom to ask; without it, they are refused.
    ///
    /// # Errors
    ///
    /// [`BindError::Start`] where a thread can't be started or a socket can't be handed to the runtime.
    pub fn serve(
        self,
        snapshots: Arc<ArcSwap<Snapshot>>,
        traffic: Arc<Traffic>,
        forwarder: Option<Arc<Forwarder>>,
    ) -> Result<Running, BindError> {
        let shared = Shared {
            snapshots,
            traffic,
            forwarder,
        };
        let mut running = Running {
            stop: Arc::new(AtomicBool::new(false)),
            udp: Vec::new(),
            tcp: JoinSet::new(),
        };
        let admission = Arc::new(tcp::Admission::new(self.tcp));
        for endpoint in self.endpoints {
            let address = endpoint.address;
            let failed = |source| BindError::Start { address, source };
            let late = late::Late::of(&shared, address, Protocol::Udp);
            for (number, socket) in endpoint.udp.into_iter().enumerate() {
                let late = late.clone();
                let worker = udp::Worker::new(socket, address, &shared, late, &running.stop);
                let thread = thread::Builder::new()
                    .name(format!("udp-{number}"))
                    .spawn(move || worker.run())
                    .map_err(failed)?;
                running.udp.push(thread);
            }
            let listener = tokio::net::TcpListener::from_std(endpoint.tcp).map_err(failed)?;
            let service = tcp::Service::new(address, shared.clone());
            running
                .tcp
                .spawn(tcp::accept(listener, service, Arc::clone(&admission)));
        }
        Ok(running)
    }
}

impl Running {
    /// Whether every UDP thread runs: only a bug ends one early.
    pub fn is_whole(&self) -> bool {
        !self.udp.iter().any(thread::JoinHandle::is_finished)
    }

    /// Stops receiving, sends the answers to what was received, closes all connections and sockets.
    pub async fn stop(mut self) {
        self.stop.store(true, Relaxed);
        self.tcp.shutdown().await;
        let threads = std::mem::take(&mut self.udp);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a UDP thread had ended early");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("waiting for the UDP threads failed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}
