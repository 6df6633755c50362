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
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, ReadToEndError, RecvStream,
    SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::QuicServerConfig,
};
use tokio::{
    select,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::rustls::version;

use super::{
    TcpLimits,
    admission::{Admission, Admitted, IDLE_GRACE},
    certificate::Certificates,
    service::{Service, Unanswered},
    tcp::OpenConnection,
    tls,
};
use crate::wire::{self, HEADER_LEN, MAX_TCP_BYTES, NameBuffer};

/// Why a stream or connection ends ([RFC 9250 §4.3](https://www.rfc-editor.org/rfc/rfc9250#section-4.3)).
pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0x0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(0x2);
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(0x5);

/// How many queries of a connection may be under way at a time.
const MAX_STREAMS: u8 = 100;

/// The length in front of each message.
const LENGTH_LEN: usize = 2;

/// How many bytes of a connection's queries are read before they are answered, and how many bytes of answers may wait for
/// the client to read them.
const WINDOW_BYTES: u32 = 256 << 10;

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
        .stream_receive_window(WINDOW_BYTES.into())
        .receive_window(WINDOW_BYTES.into())
        .send_window(WINDOW_BYTES.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok());
    config
        .transport_config(Arc::new(transport))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(WINDOW_BYTES.into())
        .incoming_buffer_size_total(MAX_INCOMING_BYTES);
    Endpoint::new(
        EndpointConfig::default(),
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )
}

/// Accepts connections until the task is ended, which ends them too.
pub(super) async fn accept(endpoint: Endpoint, service: Service, admission: Arc<Admission>) {
    let service = Arc::new(service);
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        // Where slots are scarce, a client gets one only after it has proved its address.
        let has_proven_address = incoming.remote_address_validated() || !incoming.may_retry();
        if admission.is_crowded() && !has_proven_address {
            if incoming.retry().is_err() {
                tracing::debug!("ask a QUIC client to prove its address");
            }
            continue;
        }
        let client = incoming.remote_address().ip();
        let Admitted::Yes(slot) = admission.admit(client).await else {
            service.traffic().count_refused_connection();
            incoming.refuse();
            continue;
        };
        let (service, admission) = (Arc::clone(&service), Arc::clone(&admission));
        connections.spawn(async move {
            let _open = OpenConnection::new(service.traffic());
            let handshake = timeout(admission.limits.message_timeout, handshake(incoming));
            if let Ok(Some(connection)) = handshake.await {
                serve(&connection, client, &service, &admission).await;
                connection.close(NO_ERROR, b"");
            }
            drop(slot);
        });
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

/// Answers the streams of a connection until the client ends it, it is idle for too long, or another connection needs its
/// slot.
async fn serve(
    connection: &Connection,
    client: IpAddr,
    service: &Arc<Service>,
    admission: &Admission,
) {
    let limits = admission.limits;
    let mut streams = JoinSet::new();
    let mut since = Instant::now();
    loop {
        let is_idle = streams.is_empty();
        let may_yield = is_idle && since.elapsed() >= IDLE_GRACE;
        let idle_end = since + limits.idle_timeout;
        let next = if may_yield {
            idle_end
        } else {
            idle_end.min(since + IDLE_GRACE)
        };
        select! {
            stream = connection.accept_bi() => {
                let Ok((send, receive)) = stream else {
                    return;
                };
                let mut stream = QueryStream { send, receive, client, limits };
                let (connection, service) = (connection.clone(), Arc::clone(service));
                streams.spawn(async move {
                    // Before the stream is dropped, which would end it as if all were well.
                    if let Err(ProtocolViolation) = stream.run(&service).await {
                        connection.close(PROTOCOL_ERROR, b"");
                    }
                });
            }
            Some(_) = streams.join_next() => since = Instant::now(),
            () = admission.slot_wanted(), if may_yield => return,
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
    client: IpAddr,
    limits: TcpLimits,
}

/// The client violates DNS over QUIC, which ends the connection.
struct ProtocolViolation;

impl QueryStream {
    async fn run(&mut self, service: &Service) -> Result<(), ProtocolViolation> {
        let most = LENGTH_LEN + MAX_TCP_BYTES;
        let read = timeout(self.limits.message_timeout, self.receive.read_to_end(most));
        let framed = match read.await {
            Ok(Ok(framed)) => framed,
            Ok(Err(ReadToEndError::TooLong)) => return Err(ProtocolViolation),
            // The client wants no answer any more, or takes too long to ask.
            Ok(Err(ReadToEndError::Read(_))) | Err(_) => {
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

    /// Sends the answer; gives up where the client goes or does not read it in time.
    async fn send(&mut self, answer: &[u8]) {
        let length = u16::try_from(answer.len()).expect("answers are limited to 65,535 bytes");
        let framed = [&length.to_be_bytes(), answer].concat();
        match timeout(self.limits.write_timeout, self.send.write_all(&framed)).await {
            // It may be gone.
            Ok(Ok(())) => drop(self.send.finish()),
            Ok(Err(_)) => {}
            Err(_) => self.give_up(UNSPECIFIED_ERROR),
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
