//! One message to one upstream and its reply, over a socket of its own.
//!
//! What is not the reply to the question is passed over, whoever sent it.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
};

use super::question::Question;
use crate::wire::{NotTheReply, UpstreamReply, read_reply, write_question};

/// More than any upstream sends to those who advertise 1,232 bytes; the rest of a longer message is cut off.
const MAX_UDP_REPLY: usize = 4096;

/// Asks over UDP. The port is one that the kernel chose at random and nobody else uses, the id is as random, and the kernel
/// lets only the upstream's address through ([RFC 5452 §9](https://www.rfc-editor.org/rfc/rfc5452#section-9)).
pub(super) async fn udp(
    upstream: SocketAddr,
    question: &Question,
    marks: Option<&[u8]>,
) -> io::Result<UpstreamReply> {
    let from = match upstream {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(upstream).await?;
    let asked = question.message(random_id()?, marks);
    let mut message = Vec::with_capacity(512);
    write_question(&asked, &mut message);
    socket.send(&message).await?;
    let mut received = vec![0; MAX_UDP_REPLY];
    loop {
        let length = socket.recv(&mut received).await?;
        match read_reply(&received[..length], &asked) {
            Ok(reply) => return Ok(reply),
            Err(NotTheReply::Foreign) => {}
            Err(NotTheReply::Malformed) => return Err(malformed()),
        }
    }
}

/// Asks over a stream of messages behind their lengths.
pub(super) async fn stream<S>(
    stream: &mut S,
    question: &Question,
    marks: Option<&[u8]>,
) -> io::Result<UpstreamReply>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = question.message(random_id()?, marks);
    let mut message = vec![0; 2];
    write_question(&asked, &mut message);
    let length = u16::try_from(message.len() - 2).expect("a question is short");
    message[..2].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&message).await?;
    stream.flush().await?;
    let length = stream.read_u16().await?;
    let mut received = vec![0; usize::from(length)];
    stream.read_exact(&mut received).await?;
    // Nobody else writes into a stream: what is wrong with it comes from the upstream.
    read_reply(&received, &asked).map_err(|_| malformed())
}

pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the reply can't be read")
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    getrandom::fill(&mut id)?;
    Ok(u16::from_ne_bytes(id))
}
