//! Connections to endpoints, and their end.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::miss::Miss;
use crate::health::{Forbidden, Nothing, Reach};

/// How long an endpoint may take to close a connection after its answer. Who closes first keeps the connection in mind for a
/// minute; and firewalls take a reset before the end for an attack.
const PATIENCE: Duration = Duration::from_millis(100);

/// How much is read of what an endpoint has left to say when its answer is through.
const MOST_LEFT: u64 = 64 * 1024;

/// How connections are made.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    reach: Reach,
    /// Where they come from; `None` for what the routes say.
    source: Option<IpAddr>,
}

impl Dial {
    pub(super) fn new(reach: Reach, source: Option<IpAddr>) -> Self {
        Self { reach, source }
    }

    /// Connects. When the connection is dropped, it is gone at once on both sides.
    pub(super) async fn connect(&self, to: SocketAddr) -> Result<TcpStream, Miss> {
        if let Some(why) = self.forbids(to) {
            return Err(Nothing::Forbidden(why).into());
        }
        self.connect_anywhere(to).await
    }

    /// The same, wherever `to` is: for what a person has written down by its address.
    pub(super) async fn connect_anywhere(&self, to: SocketAddr) -> Result<TcpStream, Miss> {
        let socket = self.socket(to).map_err(|error| local(&error))?;
        let stream = socket.connect(to).await.map_err(|error| Miss::of(&error))?;
        Ok(stream)
    }

    fn socket(&self, to: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_zero_linger()?;
        socket.set_nodelay(true)?;
        if let Some(source) = self.source
            && source.is_ipv4() == to.is_ipv4()
        {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        Ok(socket)
    }

    fn forbids(&self, to: SocketAddr) -> Option<Forbidden> {
        let is_here = || self.reach.is_at_own_port(to) && is_of_this_machine(to.ip());
        self.reach
            .forbids(to)
            .or_else(|| is_here().then_some(Forbidden::Own))
    }
}

/// Waits until the endpoints have closed these connections, for a moment at most, and ends them.
pub(super) async fn close(connections: Vec<TcpStream>) {
    let ends = async {
        for connection in connections {
            let mut left = connection.take(MOST_LEFT);
            // Whether it ends well is of no interest: the probe is over.
            let _ = tokio::io::copy(&mut left, &mut tokio::io::sink()).await;
        }
    };
    let _ = timeout(PATIENCE, ends).await;
}

/// What this machine refuses says nothing of an endpoint.
fn local(error: &io::Error) -> Miss {
    Nothing::Local(error.raw_os_error().unwrap_or(libc::EIO)).into()
}

/// Only a machine's own address can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
