use std::{
    io,
    net::{TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use quinn::Endpoint;
use tokio::{task::JoinSet, time::timeout};

use super::{
    BindError, ServedAddress, Shared,
    certificate::Certificates,
    deferred::Deferred,
    quic,
    service::Service,
    tcp::{self, StreamProtocol},
    udp,
};
use crate::threads;

/// How long clients over QUIC have to hear that the server stops.
const QUIC_END_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait for the threads that answer over UDP: several times as long as they take to hear that they are to stop.
const UDP_END_TIMEOUT: Duration = Duration::from_secs(2);

/// The servers of all sockets. Dropping it stops them without waiting.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    udp: Vec<thread::JoinHandle<()>>,
    tasks: JoinSet<()>,
    quic: Vec<Endpoint>,
}

impl Running {
    pub(super) fn new() -> Self {
        Self {
            stop: Arc::new(AtomicBool::new(false)),
            udp: Vec::new(),
            tasks: JoinSet::new(),
            quic: Vec::new(),
        }
    }

    pub(super) fn serve_udp(
        &mut self,
        sockets: Vec<UdpSocket>,
        served: ServedAddress,
        shared: &Shared,
    ) -> Result<(), BindError> {
        let deferred = Deferred::of(shared, served);
        for (number, socket) in sockets.into_iter().enumerate() {
            let worker = udp::Worker::new(socket, served, shared, deferred.clone(), &self.stop);
            let thread = threads::start(&format!("udp-{number}"), move || worker.run())
                .map_err(|source| failed(served, source))?;
            self.udp.push(thread);
        }
        Ok(())
    }

    pub(super) fn serve_tcp(
        &mut self,
        listener: TcpListener,
        spoken: StreamProtocol,
        served: ServedAddress,
        shared: &Shared,
    ) -> Result<(), BindError> {
        let listener = tokio::net::TcpListener::from_std(listener);
        let listener = listener.map_err(|source| failed(served, source))?;
        let (service, admission) = (Service::new(served, shared), Arc::clone(&shared.admission));
        let accepting = tcp::accept(listener, spoken, service, admission, shared.limits);
        self.tasks
            .spawn(threads::lasting(name_of(served), accepting));
        Ok(())
    }

    pub(super) fn serve_quic(
        &mut self,
        socket: UdpSocket,
        certificates: &Arc<Certificates>,
        served: ServedAddress,
        shared: &Shared,
    ) -> Result<(), BindError> {
        let endpoint = quic::endpoint(socket, certificates, shared.limits);
        let endpoint = endpoint.map_err(|source| failed(served, source))?;
        self.quic.push(endpoint.clone());
        let (service, admission) = (Service::new(served, shared), Arc::clone(&shared.admission));
        let accepting = quic::accept(endpoint, service, admission, shared.limits);
        self.tasks
            .spawn(threads::lasting(name_of(served), accepting));
        Ok(())
    }

    /// Follows the certificate until the servers stop.
    pub(super) fn follow(&mut self, certificates: Arc<Certificates>) {
        let following = threads::lasting("certificates".to_owned(), certificates.follow());
        self.tasks.spawn(following);
    }

    /// Stops receiving, sends the answers to what was received, closes all connections and sockets.
    pub async fn stop(mut self) {
        self.stop.store(true, Relaxed);
        self.tasks.shutdown().await;
        for endpoint in self.quic.drain(..) {
            endpoint.close(quic::NO_ERROR, b"");
            // Whoever does not hear it finds out by itself.
            let _ = timeout(QUIC_END_TIMEOUT, endpoint.wait_idle()).await;
        }
        let threads = std::mem::take(&mut self.udp);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a UDP thread had ended early");
                }
            }
        });
        // Where no thread is to be had for it, nobody waits.
        if let Ok(Err(_)) = timeout(UDP_END_TIMEOUT, joined).await {
            tracing::error!("waiting for the UDP threads failed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// What a task is called that accepts connections to an address.
fn name_of(served: ServedAddress) -> String {
    format!("{} {}", served.protocol.as_str(), served.address)
}

fn failed(served: ServedAddress, source: io::Error) -> BindError {
    let address = served.address;
    BindError::Start { address, source }
}
