use std::time::Duration;

/// What connections may take: those of TCP, and what is spoken over it or over QUIC.
///
/// The defaults suit CoreDNS and its node-local cache in front: few clients, hundreds of connections each, reused after up to ten
/// seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpLimits {
    /// How many connections may be open. When another one comes, the connection that has been idle longest is closed in its
    /// favour; where none is idle, the oldest one of the client that has the most; where that is the client that comes, the
    /// one that comes.
    pub connections: usize,
    /// How many connections one client may have open; further ones are closed at once. An IPv6 network of 64 bits is one
    /// client.
    pub connections_per_client: usize,
    /// How many bytes may be buffered, over all connections: of messages that are incomplete, and of answers that wait for
    /// clients to read them. Above, a connection of the client with the most bytes is closed. The first
    /// [`TcpLimits::FREE_BYTES`] of a message over TCP and TLS are not counted: each connection has room for them.
    pub buffered_bytes: usize,
    /// How long a connection may be idle between messages, and before the first.
    pub idle_timeout: Duration,
    /// How long a message may take from its first byte to its last, and how long the handshake of TLS or QUIC.
    pub message_timeout: Duration,
    /// How long a client may take to accept answers that wait for it. Nothing is read from it meanwhile.
    pub write_timeout: Duration,
}

impl TcpLimits {
    /// How much of a message each connection over TCP or TLS has room for.
    pub const FREE_BYTES: usize = 4096;
}

impl Default for TcpLimits {
    /// 4096 connections, 1024 per client, 16 MiB, 30 s idle, 10 s for a message in either direction.
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_client: 1024,
            buffered_bytes: 16 << 20,
            idle_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
        }
    }
}
