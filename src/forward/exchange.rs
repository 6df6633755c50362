//! One message to one upstream over UDP and its reply, over a socket of its own.
//!
//! What is not the reply to the question is passed over, whoever sent it.

use std::{
    cell::RefCell,
    io::{self, Read as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, LazyLock},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::Interest,
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::{asker::Asker, edns::Edns, question::Question, shares::Shares};
use crate::{
    descriptors,
    wire::{NotTheReply, UpstreamQuestion, UpstreamReply, read_reply, write_question},
};

/// The largest datagram.
const MAX_DATAGRAM: usize = 65_535;

/// How long a reply that can be read is waited for behind one that can't.
const GRACE: Duration = Duration::from_millis(100);

/// How many sockets may wait for replies at a time, however many files may be open.
const MOST_SOCKETS: usize = 4096;

/// The sockets of all upstreams.
static ALL_SOCKETS: LazyLock<Arc<Shares>> = LazyLock::new(|| Shares::new(most_sockets()));

/// The sockets that wait for replies of one upstream: it takes no more than half of all, so that one that is silent leaves some
/// to the others.
#[derive(Debug)]
pub(super) struct Sockets(Arc<Shares>);

impl Sockets {
    pub(super) fn new() -> Self {
        Self(Shares::new(most_sockets() / 2))
    }

    /// Asks over UDP, as soon as a socket may be opened for the client. The port is one that the kernel chose at random and nobody else
    /// uses, the id is as random, and the kernel lets only the upstream's address through
    /// ([RFC 5452 §9](https://www.rfc-editor.org/rfc/rfc5452#section-9)).
    pub(super) async fn ask(
        &self,
        upstream: SocketAddr,
        question: &Question,
        edns: Edns,
        asker: &Asker,
    ) -> io::Result<UpstreamReply> {
        let marks = edns.of(&asker.marks);
        let _own = self.0.take(asker.client).await;
        let _all = ALL_SOCKETS.take(asker.client).await;
        let from = match upstream {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(from).await?;
        socket.connect(upstream).await?;
        let id = random_id()?;
        let mut message = Vec::with_capacity(512);
        write_question(&question.message(id, marks), &mut message);
        socket.send(&message).await?;
        let mut patience = None;
        loop {
            // The error is that nobody is there.
            let received = socket.async_io(Interest::READABLE | Interest::ERROR, || {
                receive(&socket, &question.message(id, marks))
            });
            let reply = match patience {
                None => received.await?,
                Some(end) => match timeout_at(end, received).await {
                    Ok(reply) => reply?,
                    Err(_) => return Err(malformed()),
                },
            };
            match reply {
                Ok(reply) => return Ok(reply),
                Err(NotTheReply::Foreign) => {}
                Err(NotTheReply::Malformed) => {
                    patience.get_or_insert(Instant::now() + GRACE);
                }
            }
        }
    }
}

/// Reads a datagram that is there. The room for the largest is one per thread, not one per question.
fn receive(
    socket: &UdpSocket,
    asked: &UpstreamQuestion<'_>,
) -> io::Result<Result<UpstreamReply, NotTheReply>> {
    thread_local! {
        static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_DATAGRAM]);
    }
    ROOM.with_borrow_mut(|room| {
        let length = (&*SockRef::from(socket)).read(room)?;
        Ok(read_reply(&room[..length], asked))
    })
}

fn most_sockets() -> usize {
    descriptors::Shares::of_this_process()
        .upstreams
        .min(MOST_SOCKETS)
}

pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the reply can't be read")
}

pub(super) fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    getrandom::fill(&mut id)?;
    Ok(u16::from_ne_bytes(id))
}
