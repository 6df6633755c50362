use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, runtime::Handle, time};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};
use tracing::{info, warn};

use super::{
    Endpoint, Transport, exchange,
    health::{Health, MOST_PATIENCE},
    https,
    question::{Mark, Question},
    tls::Connectors,
};
use crate::{dns::Rcode, wire::UpstreamReply};

/// How often an upstream that is down is tried, and for how long each time.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How many connections are kept for the next question, and how long: servers close idle ones, most after 10 s or more.
const MOST_IDLE: usize = 8;
const IDLE_TIME: Duration = Duration::from_secs(8);

/// One upstream server.
pub(super) struct Upstream {
    pub(super) endpoint: Endpoint,
    pub(super) figures: Figures,
    mark: Mark,
    runtime: Handle,
    health: Mutex<Health>,
    /// Connections that wait for another question, and since when.
    idle: Mutex<Vec<(Connection, Instant)>>,
    tls: Option<Connectors>,
    /// The connection for questions over HTTPS.
    https: Mutex<Option<https::Sender>>,
}

/// A stream to an upstream.
enum Connection {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is counted of an upstream.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Questions sent, without probes.
    pub(super) asked: AtomicU64,
    /// Questions of these without a reply.
    pub(super) unanswered: AtomicU64,
    /// Probes without a reply.
    pub(super) failed_probes: AtomicU64,
    /// How long the replies took together.
    pub(super) reply_nanos: AtomicU64,
}

impl Upstream {
    /// Its probes run on the runtime that this is called from.
    ///
    /// With `tls`, it can be spoken with over TLS.
    pub(super) fn new(
        endpoint: Endpoint,
        mark: Mark,
        retry_after: Option<Duration>,
        tls: Option<Connectors>,
    ) -> Self {
        Self {
            endpoint,
            figures: Figures::default(),
            mark,
            runtime: Handle::current(),
            health: Mutex::new(Health::unknown(retry_after)),
            idle: Mutex::default(),
            tls,
            https: Mutex::default(),
        }
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and notes what that says about the upstream. Ended early, it counts as unanswered if it has waited longer than
    /// its patience.
    pub(super) async fn ask(
        self: &Arc<Self>,
        question: &Question,
        marks: &[u8],
    ) -> io::Result<UpstreamReply> {
        let pending = Pending {
            upstream: self,
            since: Instant::now(),
            is_answered: false,
        };
        self.figures.asked.fetch_add(1, Relaxed);
        let reply = self.exchange(question, marks).await;
        pending.end(reply.is_ok());
        reply
    }

    /// Tries, until a reply comes, an upstream that may be down.
    async fn probe(upstream: std::sync::Weak<Self>) {
        while let Some(held) = upstream.upgrade().filter(|held| held.health().is_suspect()) {
            let start = Instant::now();
            match time::timeout(
                PROBE_INTERVAL,
                held.exchange(&Question::probe(), &held.mark),
            )
            .await
            {
                Ok(Ok(_)) => return held.answered(start.elapsed()),
                _ => held.missed_try(),
            }
            drop(held);
            time::sleep(PROBE_INTERVAL.saturating_sub(start.elapsed())).await;
        }
    }

    fn answered(&self, after: Duration) {
        if self.health().answered(after) {
            info!(upstream = %self.endpoint, "the upstream answers again");
        }
    }

    fn missed(self: &Arc<Self>) {
        self.figures.unanswered.fetch_add(1, Relaxed);
        if self.health().missed() {
            self.runtime.spawn(Self::probe(Arc::downgrade(self)));
        }
    }

    fn missed_try(&self) {
        self.figures.failed_probes.fetch_add(1, Relaxed);
        if self.health().missed_try() {
            warn!(upstream = %self.endpoint, "the upstream does not answer: others are asked until it does");
        }
    }

    /// Asks once, and once more where that helps: over TCP where the reply was cut, without EDNS where it is not known
    /// ([RFC 6891 §7](https://www.rfc-editor.org/rfc/rfc6891#section-7)).
    async fn exchange(&self, question: &Question, marks: &[u8]) -> io::Result<UpstreamReply> {
        let reply = self.exchange_with(question, Some(marks)).await?;
        let knows_no_edns = [Rcode::FormErr, Rcode::NotImp]
            .iter()
            .any(|&rcode| reply.rcode == rcode as u16);
        if knows_no_edns && !reply.has_edns {
            return self.exchange_with(question, None).await;
        }
        Ok(reply)
    }

    async fn exchange_with(
        &self,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        match &self.endpoint.transport {
            Transport::Udp => {
                let reply = exchange::udp(self.endpoint.address, question, marks).await?;
                if !reply.truncated {
                    return Ok(reply);
                }
                // A reply that was cut tells the client at least to ask over TCP.
                let whole = time::timeout(MOST_PATIENCE, self.over_stream(question, marks)).await;
                Ok(whole.ok().and_then(Result::ok).unwrap_or(reply))
            }
            Transport::Tcp | Transport::Tls(_) => self.over_stream(question, marks).await,
            Transport::Https { name, path } => self.over_https(name, path, question, marks).await,
        }
    }

    /// As [`Upstream::over_stream`], but all questions share the connection.
    async fn over_https(
        &self,
        name: &ServerName<'static>,
        path: &str,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        let url = match name.to_str() {
            ip if ip.contains(':') => {
                format!("https://[{ip}]:{}{path}", self.endpoint.address.port())
            }
            name => format!("https://{name}:{}{path}", self.endpoint.address.port()),
        };
        let shared = self.https().clone().filter(|sender| !sender.is_closed());
        if let Some(sender) = shared
            && let Ok(reply) = https::ask(sender, &url, question, marks).await
        {
            return Ok(reply);
        }
        let tls = self.tls.as_ref().map(|tls| &tls.http);
        let sender = https::connect(self.connect_tls(name, tls).await?).await?;
        *self.https() = Some(sender.clone());
        https::ask(sender, &url, question, marks).await
    }

    /// Asks over a connection that is there, or else over a new one: what is there may have been closed meanwhile.
    async fn over_stream(
        &self,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        if let Some(mut connection) = self.take_idle()
            && let Ok(reply) = connection.exchange(question, marks).await
        {
            self.keep_idle(connection);
            return Ok(reply);
        }
        let mut connection = self.connect().await?;
        let reply = connection.exchange(question, marks).await?;
        self.keep_idle(connection);
        Ok(reply)
    }

    async fn connect(&self) -> io::Result<Connection> {
        if let Transport::Tls(name) = &self.endpoint.transport {
            let tls = self.tls.as_ref().map(|tls| &tls.dns);
            let stream = self.connect_tls(name, tls).await?;
            return Ok(Connection::Tls(Box::new(stream)));
        }
        self.connect_tcp().await.map(Connection::Tcp)
    }

    async fn connect_tls(
        &self,
        name: &ServerName<'static>,
        tls: Option<&TlsConnector>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let tls = tls.expect("made where an endpoint needs it");
        tls.connect(name.clone(), self.connect_tcp().await?).await
    }

    async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.endpoint.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn https(&self) -> MutexGuard<'_, Option<https::Sender>> {
        self.https.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        let (connection, since) = idle.pop()?;
        if since.elapsed() < IDLE_TIME {
            return Some(connection);
        }
        idle.clear();
        None
    }

    fn keep_idle(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() == MOST_IDLE {
            idle.remove(0);
        }
        idle.push((connection, Instant::now()));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    async fn exchange(
        &mut self,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        match self {
            Self::Tcp(stream) => exchange::stream(stream, question, marks).await,
            Self::Tls(stream) => exchange::stream(stream, question, marks).await,
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// A question without a reply yet.
struct Pending<'u> {
    upstream: &'u Arc<Upstream>,
    since: Instant,
    is_answered: bool,
}

impl Pending<'_> {
    fn end(mut self, is_answered: bool) {
        self.is_answered = is_answered;
        let after = self.since.elapsed();
        if is_answered {
            let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
            self.upstream.figures.reply_nanos.fetch_add(nanos, Relaxed);
            self.upstream.answered(after);
        } else {
            self.upstream.missed();
            self.is_answered = true;
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let has_waited = || self.since.elapsed() >= self.upstream.health().patience();
        if !self.is_answered && has_waited() {
            self.upstream.missed();
        }
    }
}
