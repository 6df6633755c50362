//! Questions over HTTPS ([RFC 8484](https://www.rfc-editor.org/rfc/rfc8484)): one HTTP/2 connection for all of them.

use std::{
    io, mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http2::{self, SendRequest},
    header::{ACCEPT, CONTENT_TYPE},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    Endpoint, Transport,
    dial::{Dial, Stream},
    exchange::malformed,
    question::Question,
};
use crate::wire::{MAX_TCP_BYTES, UpstreamReply, read_whole_reply, write_question};

/// What a body with a DNS message says of itself.
const DNS_MESSAGE: &str = "application/dns-message";

/// How often a connection with questions under way is tried, and how long it may take to show that it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// After how long a kept connection on which nobody got an answer is doubted, and the question asked on another one, too.
const SILENCE: Duration = Duration::from_millis(700);

/// How long a connection is kept without questions.
const IDLE_TIME: Duration = Duration::from_secs(8);

/// One upstream, and the connection to it.
pub(super) struct Client {
    url: String,
    /// Held while a connection is made: those who come meanwhile wait for it.
    connection: Mutex<Option<Connection>>,
}

/// A way into a connection; all of its clones share that.
#[derive(Clone)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    uses: Arc<Uses>,
}

/// How many questions were begun, ended and answered on a connection.
#[derive(Debug, Default)]
struct Uses {
    begun: AtomicU64,
    ended: AtomicU64,
    /// How many of them got an answer, whatever it was.
    answered: AtomicU64,
}

impl Client {
    /// `None` where `endpoint` is not asked over HTTPS.
    pub(super) fn new(endpoint: &Endpoint) -> Option<Self> {
        let Transport::Https { name, path } = &endpoint.transport else {
            return None;
        };
        let port = endpoint.address.port();
        let url = match name.to_str() {
            ip if ip.contains(':') => format!("https://[{ip}]:{port}{path}"),
            name => format!("https://{name}:{port}{path}"),
        };
        Some(Self {
            url,
            connection: Mutex::default(),
        })
    }

    /// Asks over the connection that is there, or else over one that `dial` makes; over another one, too, where the first one
    /// ends or is silent.
    pub(super) async fn ask(
        &self,
        dial: &Dial,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        let (connection, is_fresh) = self.connection(dial, None).await?;
        let mut answered = connection.uses.answered.load(Relaxed);
        let mut first = pin!(connection.ask(&self.url, question, marks));
        if is_fresh {
            return first.await;
        }
        let again = async {
            let (connection, _) = self.connection(dial, Some(&connection)).await?;
            connection.ask(&self.url, question, marks).await
        };
        loop {
            match timeout(SILENCE, &mut first).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(_)) => return again.await,
                Err(_) => {}
            }
            // Others may have had their answers, and it may have fallen silent since.
            let before = mem::replace(&mut answered, connection.uses.answered.load(Relaxed));
            if answered == before {
                break;
            }
        }
        select! {
            Ok(reply) = first => Ok(reply),
            Ok(reply) = again => Ok(reply),
            else => Err(io::Error::other("neither of two connections brought a reply")),
        }
    }

    /// A connection other than `failed`, and whether it was made for this question.
    async fn connection(
        &self,
        dial: &Dial,
        failed: Option<&Connection>,
    ) -> io::Result<(Connection, bool)> {
        let mut held = self.connection.lock().await;
        let usable = held.as_ref().filter(|one| {
            !one.sender.is_closed() && failed.is_none_or(|it| !Arc::ptr_eq(&it.uses, &one.uses))
        });
        if let Some(connection) = usable {
            return Ok((connection.clone(), false));
        }
        let connection = match dial.connect().await? {
            Stream::Tcp(stream) => Connection::begin(stream).await?,
            Stream::Tls(stream) => Connection::begin(*stream).await?,
        };
        *held = Some(connection.clone());
        Ok((connection, true))
    }
}

impl Connection {
    /// Begins to speak HTTP/2 over `stream`, which ends when nobody has asked for a while.
    async fn begin<S>(stream: S) -> io::Result<Self>
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
        let uses = Arc::<Uses>::default();
        let seen = Arc::clone(&uses);
        // How it ends is told to those who wait for answers.
        tokio::spawn(async move {
            select! {
                ended = connection => drop(ended),
                () = seen.end() => {}
            }
        });
        Ok(Self { sender, uses })
    }

    /// Asks the server at `url`. The id is 0, so that caches on the way know equal questions.
    async fn ask(
        &self,
        url: &str,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        let _use = Use::of(&self.uses);
        let asked = question.message(0, marks);
        let mut message = Vec::new();
        write_question(&asked, &mut message);
        let request = Request::post(url)
            .header(CONTENT_TYPE, DNS_MESSAGE)
            .header(ACCEPT, DNS_MESSAGE)
            .body(Full::new(Bytes::from(message)))
            .map_err(io::Error::other)?;
        let mut sender = self.sender.clone();
        sender.ready().await.map_err(io::Error::other)?;
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        self.uses.answered.fetch_add(1, Relaxed);
        if response.status() != StatusCode::OK {
            return Err(io::Error::other(response.status().to_string()));
        }
        let body = Limited::new(response.into_body(), MAX_TCP_BYTES);
        let received = body.collect().await.map_err(io::Error::other)?.to_bytes();
        read_whole_reply(&received, &asked).map_err(|_| malformed())
    }
}

impl Uses {
    /// Waits until there was no question for a while.
    async fn end(&self) {
        let mut last = u64::MAX;
        loop {
            let begun = self.begun.load(Relaxed);
            if begun == last && self.ended.load(Relaxed) == begun {
                return;
            }
            last = begun;
            sleep(IDLE_TIME).await;
        }
    }
}

/// A question under way.
struct Use<'u>(&'u Uses);

impl<'u> Use<'u> {
    fn of(uses: &'u Uses) -> Self {
        uses.begun.fetch_add(1, Relaxed);
        Self(uses)
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}
