//! Queries over QUIC, each in a stream of its own ([RFC 9250]).
//!
//! QUIC itself is quinn's. Owns who may connect and for how long, and what breaks the rules of DNS in it.
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
    tcp::Open,
    tls,
};
use crate::wire::{self, HEADER_LEN, MAX_TCP_BYTES, NameBuffer};

/// Why a stream or connection ends ([RFC 9250 §4.3](https://www.rfc-editor.org/rfc/rfc9250#section-4.3)).
pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0x0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(0x2);
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(0x5);

/// How many queries of a connection may be under way at a time.
const MOST_STREAMS: u8 = 100;

/// The length in front of each message.
const LENGTH_LEN: usize = 2;

/// How much of a connection's queries is read ahead of being answered, and how many bytes of answers wait for it to take
/// them.
const WINDOW_BYTES: u32 = 256 << 10;

/// How many connections may wait to be accepted, and how much of what they send is kept meanwhile.
const MOST_INCOMING: usize = 1024;
const MOST_INCOMING_BYTES: u64 = 8 << 20;

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
        .max_concurrent_bidi_streams(MOST_STREAMS.into())
        .max_concurrent_uni_streams(0_u8.into())
        .stream_receive_window(WINDOW_BYTES.into())
        .receive_window(WINDOW_BYTES.into())
        .send_window(WINDOW_BYTES.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_timeout).ok());
    config
        .transport_config(Arc::new(transport))
        .max_incoming(MOST_INCOMING)
        .incoming_buffer_size(WINDOW_BYTES.into())
        .incoming_buffer_size_total(MOST_INCOMING_BYTES);
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
        // Whoever has not shown yet that it is where it says shall not take a place that others are in want of.
        let is_proven = incoming.remote_address_validated() || !incoming.may_retry();
        if admission.is_crowded() && !is_proven {
            if incoming.retry().is_err() {
                tracing::debug!("a QUIC client can't be asked to show where it is");
            }
            continue;
        }
        let client = incoming.remote_address().ip();
        let Admitted::Yes(place) = admission.admit(client).await else {
            service.traffic().connection_refused();
            incoming.refuse();
            continue;
        };
        let (service, admission) = (Arc::clone(&service), Arc::clone(&admission));
        connections.spawn(async move {
            let _open = Open::new(service.traffic());
            let greeting = timeout(admission.limits.message_timeout, greet(incoming));
            if let Ok(Some(connection)) = greeting.await {
                serve(&connection, client, &service, &admission).await;
                connection.close(NO_ERROR, b"");
            }
            drop(place);
        });
    }
}

/// Does the handshake; `None` where it fails.
async fn greet(incoming: Incoming) -> Option<Connection> {
    let greeted = async { incoming.accept()?.await };
    match greeted.await {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::debug!(%error, "greet a client over QUIC");
            None
        }
    }
}

/// Answers the streams of a connection until the client ends it or is idle for too long, or another connection is in want
/// of its place.
async fn serve(
    connection: &Connection,
    client: IpAddr,
    service: &Arc<Service>,
    admission: &Admission,
) {
    let limits = admission.limits;
    let mut exchanges = JoinSet::new();
    let mut since = Instant::now();
    loop {
        let is_idle = exchanges.is_empty();
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
                let mut exchange = Exchange { send, receive, client, limits };
                let (connection, service) = (connection.clone(), Arc::clone(service));
                exchanges.spawn(async move {
                    // Before the stream goes, which would end it as if all were well.
                    if let Err(Broken) = exchange.run(&service).await {
                        connection.close(PROTOCOL_ERROR, b"");
                    }
                });
            }
            Some(_) = exchanges.join_next() => since = Instant::now(),
            () = admission.wanted_elsewhere(), if may_yield => return,
            () = sleep_until(next), if is_idle => {
                if Instant::now() >= idle_end {
                    return;
                }
            }
        }
    }
}

/// One query and its answer.
struct Exchange {
    send: SendStream,
    receive: RecvStream,
    client: IpAddr,
    limits: TcpLimits,
}

/// The client breaks the rules of DNS over QUIC, which ends the connection.
struct Broken;

impl Exchange {
    async fn run(&mut self, service: &Service) -> Result<(), Broken> {
        let most = LENGTH_LEN + MAX_TCP_BYTES;
        let read = timeout(self.limits.message_timeout, self.receive.read_to_end(most));
        let framed = match read.await {
            Ok(Ok(framed)) => framed,
            Ok(Err(ReadToEndError::TooLong)) => return Err(Broken),
            // The client wants no answer any more, or takes too long to ask.
            Ok(Err(ReadToEndError::Read(_))) | Err(_) => {
                self.give_up(UNSPECIFIED_ERROR);
                return Ok(());
            }
        };
        let message = only_message(&framed).ok_or(Broken)?;
        match service.answer(message, self.client).await {
            Ok(answer) => self.send(&answer).await,
            Err(Unanswered::NotAQuery) => return Err(Broken),
            Err(Unanswered::Panicked) => self.give_up(INTERNAL_ERROR),
        }
        Ok(())
    }

    /// Sends the answer, unless the client goes or does not take it in time.
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

/// The message behind its length, where it is the only one and as it may be over QUIC: with id 0, and without asking how
/// long a connection is kept ([RFC 9250 §4.2.1, §5.5.2](https://www.rfc-editor.org/rfc/rfc9250#section-4.2.1)).
fn only_message(framed: &[u8]) -> Option<&[u8]> {
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
