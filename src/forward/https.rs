//! Questions over HTTPS ([RFC 8484](https://www.rfc-editor.org/rfc/rfc8484)): one HTTP/2 connection for all of them.

use std::{io, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http2::{self, SendRequest},
    header::{ACCEPT, CONTENT_TYPE},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{io::AsyncRead, io::AsyncWrite};

use super::question::Question;
use crate::wire::{MAX_TCP_BYTES, UpstreamReply, read_reply, write_question};

/// What a body with a DNS message says of itself.
const DNS_MESSAGE: &str = "application/dns-message";

/// How often a connection with questions under way is tried, and how long it may take to show that it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A way into a connection; all of its clones share that.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// Begins to speak HTTP/2 over `stream`, which ends when nobody has a sender any more.
pub(super) async fn connect<S>(stream: S) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // How it ends is told to those who wait for answers.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Asks the server at `url`. The id is 0, so that caches on the way know equal questions.
pub(super) async fn ask(
    mut sender: Sender,
    url: &str,
    question: &Question,
    marks: Option<&[u8]>,
) -> io::Result<UpstreamReply> {
    let asked = question.message(0, marks);
    let mut message = Vec::new();
    write_question(&asked, &mut message);
    let request = Request::post(url)
        .header(CONTENT_TYPE, DNS_MESSAGE)
        .header(ACCEPT, DNS_MESSAGE)
        .body(Full::new(Bytes::from(message)))
        .map_err(io::Error::other)?;
    sender.ready().await.map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    if response.status() != StatusCode::OK {
        return Err(io::Error::other(response.status().to_string()));
    }
    let body = Limited::new(response.into_body(), MAX_TCP_BYTES);
    let received = body.collect().await.map_err(io::Error::other)?.to_bytes();
    read_reply(&received, &asked).map_err(|_| super::exchange::malformed())
}
