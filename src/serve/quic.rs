//! Queries over QUIC, each in a stream of its own ([RFC 9250]).
//!
//! quinn speaks QUIC. This module decides who may connect and for how long, and what violates DNS over QUIC.
//!
//! [RFC 9250]: https://www.rfc-editor.org/rfc/rfc9250

use std::{
    io,
    net::{IpAddr, UdpSocket},
    sync::Arc,
};

use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt, crypto::rustls::QuicServerConfig,
};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::rustls::version;

use super::{
    TcpLimits,
    certificate::Certificates,
    service::{Service, Unanswered},
    tcp::OpenConnection,
    tls,
};
use crate::{
    admission::{Admission, Client, Hold, IDLE_GRACE, Place},
    wire::{self, HEADER_LEN, MAX_TCP_BYTES, NameBuffer},
};

/// Why a stream or connection ends ([RFC 9250 §4.3](https://www.rfc-editor.org/rfc/rfc9250#section-4.3)).
pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0x0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(0x2);
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(0x5);

/// How many queries of a connection may be under way at a time.
const MAX_STREAMS: u8 = 100;

/// The length in front of each message.
const LENGTH_LEN: usize = 2;

/// How many bytes of a connection's queries may come before those in front of them, and how many bytes of answers may wait for
/// the client to read them.
const RECEIVE_WINDOW_BYTES: u32 = 32 << 10;
const SEND_WINDOW_BYTES: u32 = 128 << 10;

/// How many handshakes may be under way with clients that have not proved that they are where they say. Others have to prove
/// it first ([RFC 9000 §8.1.2](https://www.rfc-editor.org/rfc/rfc9000#section-8.1.2)).
const MAX_UNPROVEN: usize = 32;

/// How many connections may wait to be accepted, and how many bytes of what they send are kept meanwhile.
const MAX_INCOMING: usize = 1024;
const MAX_INCOMING_BYTES: u64 = 8 << 20;

/// An endpoint at `socket`, on the runtime that this is called from.
pub(super) fn endpoint(
    socket: UdpSocket,
    certificates: &Arc<Certificates>,
    limits: TcpLimits,
) -> io::Result<Endpoint> {
    let config = tls::config(certificates, tls::QUIC, &[&version::TLS13]);
    let crypto = QuicServerConfig::try_from(config).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(0_u8.into())
        .stream_receive_window(RECEIVE_WINDOW_BYTES.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok());
    config
        .transport_config(Arc::new(transport))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(RECEIVE_WINDOW_BYTES.into())
        .incoming_buffer_size_total(MAX_INCOMING_BYTES);
    Endpoint::new(
        EndpointConfig::default(),
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )
}

/// Accepts connections until the task is ended, which ends them too.
///
/// A client has a place from where it has proved its address: anybody may send what begins a connection in another's name.
pub(super) async fn accept(
    endpoint: Endpoint,
    service: Service,
    admission: Arc<Admission>,
    limits: TcpLimits,
) {
    let service = Arc::new(service);
    let unproven = Arc::new(Semaphore::new(MAX_UNPROVEN));
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        let address = incoming.remote_address().ip();
        let client = Client::from(address);
        let greeting = if incoming.remote_address_validated() || !incoming.may_retry() {
            admission.admit(client).map(Greeting::Proven)
        } else if !admission.has_share_left(client) {
            None
        } else if let Ok(permit) = Arc::clone(&unproven).try_acquire_owned() {
            Some(Greeting::Unproven(permit))
        } else {
            if incoming.retry().is_err() {
                tracing::debug!("ask a QUIC client to prove its address");
            }
            continue;
        };
        let Some(greeting) = greeting else {
            service.traffic().count_refused_connection();
            incoming.refuse();
            continue;
        };
        let (service, admission) = (Arc::clone(&service), Arc::clone(&admission));
        connections.spawn(async move {
            let Some((connection, place)) =
                greet(incoming, greeting, client, &service, &admission, limits).await
            else {
                return;
            };
            let _open = OpenConnection::new(service.traffic());
            serve(&connection, address, &service, &place, limits).await;
            connection.close(NO_ERROR, b"");
        });
    }
}

/// What a client has while it greets.
enum Greeting {
    /// Its place.
    Proven(Place),
    /// One of a few turns to prove where it is, by the handshake itself.
    Unproven(
        #[expect(dead_code, reason = "held until the handshake is done")] OwnedSemaphorePermit,
    ),
}

/// Does the handshake and finds a place; `None` where either fails, or another connection has the place.
async fn greet(
    incoming: Incoming,
    greeting: Greeting,
    client: Client,
    service: &Service,
    admission: &Arc<Admission>,
    limits: TcpLimits,
) -> Option<(Connection, Place)> {
    let handshake = timeout(limits.message_timeout, handshake(incoming));
    match greeting {
        Greeting::Proven(place) => select! {
            done = handshake => Some((done.ok()??, place)),
            () = place.wanted() => None,
        },
        Greeting::Unproven(_) => {
            let connection = handshake.await.ok()??;
            let place = admission.admit(client);
            if place.is_none() {
                service.traffic().count_refused_connection();
                connection.close(NO_ERROR, b"");
            }
            Some((connection, place?))
        }
    }
}

/// Does the handshake; `None` where it fails.
async fn handshake(incoming: Incoming) -> Option<Connection> {
    let handshake = async { incoming.accept()?.await };
    match handshake.await {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::debug!(%error, "QUIC handshake with a client");
            None
        }
    }
}

/// Answers the streams of a connection until the client ends it, it is idle for too long, or another connection has its
/// place.
async fn serve(
    connection: &Connection,
    client: IpAddr,
    service: &Arc<Service>,
    place: &Place,
    limits: TcpLimits,
) {
    let mut streams = JoinSet::new();
    let mut since = Instant::now();
    loop {
        let is_idle = streams.is_empty();
        let idle = (is_idle && since.elapsed() >= IDLE_GRACE).then(|| place.idle());
        let idle_end = since + limits.idle_timeout;
        let next = if idle.is_some() {
            idle_end
        } else {
            idle_end.min(since + IDLE_GRACE)
        };
        select! {
            stream = connection.accept_bi() => {
                let Ok((send, receive)) = stream else {
                    return;
                };
                let hold = place.nothing_held();
                let mut stream = QueryStream { send, receive, hold, client, limits };
                let (connection, service) = (connection.clone(), Arc::clone(service));
                streams.spawn(async move {
                    // Before the stream is dropped, which would end it as if all were well.
                    if let Err(ProtocolViolation) = stream.run(&service).await {
                        connection.close(PROTOCOL_ERROR, b"");
                    }
                });
            }
            Some(_) = streams.join_next() => since = Instant::now(),
            () = place.wanted() => return,
            () = sleep_until(next), if is_idle => {
                if Instant::now() >= idle_end {
                    return;
                }
            }
        }
    }
}

/// One query and its answer.
struct QueryStream {
    send: SendStream,
    receive: RecvStream,
    /// The memory of the query, then of the answer.
    hold: Hold,
    client: IpAddr,
    limits: TcpLimits,
}

/// The client violates DNS over QUIC, which ends the connection.
struct ProtocolViolation;

/// Why there is no whole query.
enum Incomplete {
    TooLong,
    /// The client wants no answer any more, or there is no memory for its query.
    Ended,
}

impl QueryStream {
    async fn run(&mut self, service: &Service) -> Result<(), ProtocolViolation> {
        let framed = match timeout(self.limits.message_timeout, self.read()).await {
            Ok(Ok(framed)) => framed,
            Ok(Err(Incomplete::TooLong)) => return Err(ProtocolViolation),
            Ok(Err(Incomplete::Ended)) | Err(_) => {
                self.give_up(UNSPECIFIED_ERROR);
                return Ok(());
            }
        };
        let message = single_message(&framed).ok_or(ProtocolViolation)?;
        match service.answer(message, self.client).await {
            Ok(answer) => self.send(&answer).await,
            Err(Unanswered::NotAQuery) => return Err(ProtocolViolation),
            Err(Unanswered::Panicked) => self.give_up(INTERNAL_ERROR),
        }
        Ok(())
    }

    /// Reads all that the client sends.
    async fn read(&mut self) -> Result<Vec<u8>, Incomplete> {
        let mut framed = Vec::new();
        loop {
            let chunk = self.receive.read_chunk(usize::MAX, true).await;
            let Some(chunk) = chunk.map_err(|_| Incomplete::Ended)? else {
                return Ok(framed);
            };
            let more = chunk.bytes.len();
            if framed.len() + more > LENGTH_LEN + MAX_TCP_BYTES {
                return Err(Incomplete::TooLong);
            }
            if !self.hold.reserve(&mut framed, more, 0) {
                return Err(Incomplete::Ended);
            }
            framed.extend_from_slice(&chunk.bytes);
        }
    }

    /// Sends the answer; gives up where the client goes or does not read it in time, or where there is no memory for it.
    async fn send(&mut self, answer: &[u8]) {
        let length = u16::try_from(answer.len()).expect("answers are limited to 65,535 bytes");
        let framed = [&length.to_be_bytes(), answer].concat();
        if !self.hold.set(framed.len()) {
            self.give_up(UNSPECIFIED_ERROR);
            return;
        }
        let sending = async {
            let written = self.send.write_all(&framed).await;
            // It may be gone.
            if written.is_ok() && self.send.finish().is_ok() {
                // Until the client has it all, it takes memory.
                let _ = self.send.stopped().await;
            }
        };
        if timeout(self.limits.write_timeout, sending).await.is_err() {
            self.give_up(UNSPECIFIED_ERROR);
        }
    }

    fn give_up(&mut self, why: VarInt) {
        // Either side may have ended its half already.
        let _ = self.receive.stop(why);
        let _ = self.send.reset(why);
    }
}

/// The message behind its length. `None` where it is not the only one, has another id than 0 or asks how long a connection
/// is kept ([RFC 9250 §4.2.1, §5.5.2](https://www.rfc-editor.org/rfc/rfc9250#section-4.2.1)).
fn single_message(framed: &[u8]) -> Option<&[u8]> {
    let (length, message) = framed.split_first_chunk::<LENGTH_LEN>()?;
    let is_whole = usize::from(u16::from_be_bytes(*length)) == message.len();
    if !is_whole || message.len() < HEADER_LEN || message[..2] != [0, 0] {
        return None;
    }
    let mut buffer = NameBuffer::default();
    let asks_for_keepalive = wire::parse(message, 0, &mut buffer)
        .is_ok_and(|query| query.edns.is_some_and(|edns| edns.keepalive));
    (!asks_for_keepalive).then_some(message)
}
