//! Streams of messages, each behind its length ([RFC 7766]).
//!
//! [`accept`] lets connections in as far as [`TcpLimits`] allow; `connection` serves one of them, over any stream.
//!
//! [RFC 7766]: https://www.rfc-editor.org/rfc/rfc7766

mod admission;
mod connection;
mod limits;

use std::{
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use tokio::{net::TcpListener, runtime::Handle, task::JoinSet};

pub(super) use self::admission::Admission;
use self::admission::Admitted;
pub use self::limits::TcpLimits;
use super::{Shared, late::Late, responder::Responder};
use crate::{
    metrics::{Protocol, Traffic},
    zone::Snapshot,
};

/// How long to leave the listener alone when the process has no file descriptor left, or similar.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What the connections to one address are answered from.
pub(super) struct Service {
    address: SocketAddr,
    shared: Shared,
    late: Option<Arc<Late>>,
    /// One more than threads use at a time, so that a free one is always found and nobody waits.
    responders: Box<[Mutex<Responder>]>,
}

impl Service {
    pub(super) fn new(address: SocketAddr, shared: Shared) -> Self {
        let threads = Handle::current().metrics().num_workers();
        Self {
            address,
            late: Late::of(&shared, address, Protocol::Tcp),
            responders: (0..=threads)
                .map(|_| {
                    Responder::new(
                        address,
                        Protocol::Tcp,
                        &shared.traffic,
                        shared.forwarder.clone(),
                    )
                })
                .map(Mutex::new)
                .collect(),
            shared,
        }
    }

    /// Runs `work` with a responder that nobody else uses, and the newest snapshot; `None` where it panicked.
    fn with_responder<T>(&self, work: impl FnOnce(&mut Responder, &Snapshot) -> T) -> Option<T> {
        let snapshot = self.shared.snapshots.load();
        let mut responder = self.free_responder();
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut responder, &snapshot)));
        if done.is_err() {
            self.shared.traffic.panicked();
        }
        done.ok()
    }

    fn free_responder(&self) -> MutexGuard<'_, Responder> {
        loop {
            for responder in &self.responders {
                match responder.try_lock() {
                    Ok(free) => return free,
                    Err(TryLockError::Poisoned(poisoned)) => {
                        return PoisonError::into_inner(poisoned);
                    }
                    Err(TryLockError::WouldBlock) => {}
                }
            }
        }
    }
}

/// Accepts connections until the task is ended, which ends them too.
pub(super) async fn accept(listener: TcpListener, service: Service, admission: Arc<Admission>) {
    let service = Arc::new(service);
    let mut connections = JoinSet::new();
    let mut is_failing = false;
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if concerns_one_connection(&error) => continue,
            Err(error) => {
                if !is_failing {
                    tracing::warn!(address = %service.address, %error, "accept a TCP connection");
                }
                is_failing = true;
                admission.make_room();
                tokio::time::sleep(BACK_OFF).await;
                continue;
            }
        };
        is_failing = false;
        let Admitted::Yes(place) = admission.admit(peer.ip()).await else {
            service.shared.traffic.connection_refused();
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "a TCP connection answers with delay");
        }
        let (service, admission) = (Arc::clone(&service), Arc::clone(&admission));
        connections.spawn(async move {
            let _open = Open::new(&service.shared.traffic);
            connection::serve(stream, peer.ip(), &service, &admission).await;
            drop(place);
        });
    }
}

/// Whether accepting failed because of the connection at hand, so that the next one may be tried at once.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// Counts a connection as open for as long as it lives.
struct Open<'t>(&'t Traffic);

impl<'t> Open<'t> {
    fn new(traffic: &'t Traffic) -> Self {
        traffic.connection_opened();
        Self(traffic)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}
