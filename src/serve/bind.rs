use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::{
    AnswerLimits, Certificates, Encrypted, Listener, Presets, ServeSettings, TcpLimits, Transport,
    udp,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What the kernel is asked to hold of unread datagrams per socket; it grants what `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// How often a UDP thread looks whether to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(200);

/// How many free TCP ports are tried until one is free for UDP too.
const PORT_TRIES: usize = 64;

/// A listen address can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has the address.
    #[error(
        "listen on {address} ({protocol}): another server uses it; stop that one or choose another address with --listen"
    )]
    AddressInUse {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
    },
    /// The port is privileged and the process is not.
    #[error(
        "listen on {address}: a port below 1024 needs root or CAP_NET_BIND_SERVICE; or choose a higher port with --listen"
    )]
    PermissionDenied {
        /// The address.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error("listen on {address}: this machine does not have the address")]
    AddressNotAvailable {
        /// The address.
        address: SocketAddr,
    },
    /// No port was free for both UDP and TCP.
    #[error("listen on {address}: no port is free for both UDP and TCP")]
    NoFreePort {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else that the operating system has against it.
    #[error("listen on {address} ({protocol})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The socket is bound, and serving it could not be started.
    #[error("start serving {address}")]
    Start {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Bound sockets, not served yet: queries wait in the kernel.
#[derive(Debug)]
pub struct Sockets {
    pub(super) plain: Vec<Endpoint>,
    pub(super) encrypted: Option<EncryptedSockets>,
    pub(super) limits: TcpLimits,
    pub(super) answer_limits: AnswerLimits,
    /// With the ports that were taken.
    pub(super) presets: Presets,
}

/// One address with its sockets.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

/// The sockets of encrypted listeners, and what clients are shown there.
#[derive(Debug)]
pub(super) struct EncryptedSockets {
    pub(super) sockets: Vec<(Listener, Socket)>,
    pub(super) certificates: Arc<Certificates>,
}

impl Sockets {
    /// Takes every address: the plain ones for UDP and TCP, the encrypted ones for what they are to speak.
    ///
    /// # Errors
    ///
    /// [`BindError`] for the first address that can't be had.
    pub fn bind(settings: &ServeSettings) -> Result<Self, BindError> {
        let mut plain: Vec<Endpoint> = Vec::new();
        let mut presets = Presets::new();
        let mut note = |wanted: SocketAddr, taken: SocketAddr, is_quic: bool| {
            let preset = settings.presets.get(&(wanted, is_quic));
            presets.extend(preset.map(|preset| ((taken, is_quic), *preset)));
        };
        for (index, &address) in settings.listen.iter().enumerate() {
            let is_repeated = address.port() != 0 && settings.listen[..index].contains(&address);
            if !is_repeated {
                let endpoint = Endpoint::bind(address, settings.workers.get())?;
                note(address, endpoint.address, false);
                plain.push(endpoint);
            }
        }
        let encrypted = settings.encrypted.as_ref();
        Ok(Self {
            plain,
            encrypted: encrypted
                .map(|encrypted| EncryptedSockets::bind(encrypted, note))
                .transpose()?,
            presets,
            limits: settings.tcp,
            answer_limits: settings.answers.clone(),
        })
    }

    /// The addresses for UDP and TCP, with the ports that were taken for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let plain = self.plain.iter();
        plain.map(|endpoint| endpoint.address).collect()
    }

    /// The encrypted ones, with the ports that were taken for port 0.
    pub fn encrypted(&self) -> Vec<Listener> {
        let sockets = self
            .encrypted
            .iter()
            .flat_map(|encrypted| &encrypted.sockets);
        sockets.map(|(listener, _)| listener.clone()).collect()
    }
}

impl EncryptedSockets {
    fn bind(
        encrypted: &Encrypted,
        mut note: impl FnMut(SocketAddr, SocketAddr, bool),
    ) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        for (index, listener) in encrypted.listen.iter().enumerate() {
            let is_repeated =
                listener.address.port() != 0 && encrypted.listen[..index].contains(listener);
            if !is_repeated {
                let (taken, socket) = bind_encrypted(listener)?;
                let is_quic = listener.transport == Transport::Quic;
                note(listener.address, taken.address, is_quic);
                sockets.push((taken, socket));
            }
        }
        Ok(Self {
            sockets,
            certificates: Arc::clone(&encrypted.certificates),
        })
    }
}

fn bind_encrypted(listener: &Listener) -> Result<(Listener, Socket), BindError> {
    let address = listener.address;
    let (protocol, bind): (_, fn(SocketAddr) -> io::Result<Socket>) = match listener.transport {
        Transport::Tls | Transport::Https { .. } => ("TCP", bind_tcp),
        Transport::Quic => ("UDP", bind_quic),
    };
    let bound = bind(address).and_then(|socket| {
        let taken = socket.local_addr()?.as_socket();
        Ok((taken.unwrap_or(address), socket))
    });
    let (address, socket) = bound.map_err(|error| explain(address, protocol, error))?;
    let transport = listener.transport.clone();
    Ok((Listener { transport, address }, socket))
}

impl Endpoint {
    fn bind(address: SocketAddr, workers: usize) -> Result<Self, BindError> {
        if address.port() != 0 {
            probe_udp(address).map_err(|error| explain(address, "UDP", error))?;
            let tcp = listen_tcp(address).map_err(|error| explain(address, "TCP", error))?;
            return Self::with_tcp(address, tcp, workers);
        }
        for _ in 0..PORT_TRIES {
            let tcp = listen_tcp(address).map_err(|error| explain(address, "TCP", error))?;
            let taken = tcp
                .local_addr()
                .map_err(|error| explain(address, "TCP", error))?;
            match probe_udp(taken) {
                Ok(()) => return Self::with_tcp(taken, tcp, workers),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(explain(taken, "UDP", error)),
            }
        }
        Err(BindError::NoFreePort { address })
    }

    fn with_tcp(address: SocketAddr, tcp: TcpListener, workers: usize) -> Result<Self, BindError> {
        let udp = (0..workers)
            .map(|_| bind_udp(address, workers > 1))
            .collect::<io::Result<_>>()
            .map_err(|error| explain(address, "UDP", error))?;
        Ok(Self { address, udp, tcp })
    }
}

fn explain(address: SocketAddr, protocol: &'static str, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::AddressInUse { address, protocol },
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            BindError::PermissionDenied { address }
        }
        io::ErrorKind::AddrNotAvailable => BindError::AddressNotAvailable { address },
        _ => BindError::Listen {
            address,
            protocol,
            source,
        },
    }
}

/// Fails where anyone has the address: `SO_REUSEPORT` would let a second server of the same user in, and the kernel would
/// give each a part of the queries.
fn probe_udp(address: SocketAddr) -> io::Result<()> {
    socket(address, Type::DGRAM)?.bind(&address.into())
}

fn bind_udp(address: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM)?;
    // The kernel chooses among the sockets of an address for each datagram, even where there is one.
    socket.set_reuse_port(is_shared)?;
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
        tracing::debug!(%address, %error, "the receive buffer keeps its size");
    }
    socket.set_read_timeout(Some(STOP_INTERVAL))?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    if address.ip().is_unspecified() {
        udp::ask_for_destinations(&socket, address.is_ipv6())?;
    }
    Ok(socket)
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    bind_tcp(address).map(TcpListener::from)
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::STREAM)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One socket, which nobody else can share, for all connections.
fn bind_quic(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::DGRAM)?;
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
        tracing::debug!(%address, %error, "the receive buffer keeps its size");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// An IPv6 socket takes IPv6 only, so that `0.0.0.0` and `[::]` go together.
fn socket(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
