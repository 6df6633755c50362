use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time};
use tracing::{info, warn};

use super::{
    Endpoint, Transport,
    asker::Asker,
    connection::{Connection, MOST_IN_FLIGHT},
    dial::Dial,
    edns::{Edns, Tolerance},
    exchange::Sockets,
    health::{Health, MOST_PATIENCE},
    https,
    question::{Mark, Question},
    shares::Shares,
    tls::Connectors,
};
use crate::{dns::RecordType, threads, wire::UpstreamReply};

/// How often an upstream that is down is tried, and for how long each time.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// One upstream server.
pub(super) struct Upstream {
    pub(super) endpoint: Endpoint,
    pub(super) figures: Figures,
    mark: Mark,
    runtime: Handle,
    health: Mutex<Health>,
    tolerance: Mutex<Tolerance>,
    dial: Dial,
    sockets: Sockets,
    /// Questions under way on streams.
    on_streams: Arc<Shares>,
    connection: Connection,
    https: Option<https::Client>,
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
            dial: Dial::new(&endpoint, tls),
            https: https::Client::new(&endpoint),
            endpoint,
            figures: Figures::default(),
            mark,
            runtime: Handle::current(),
            health: Mutex::new(Health::unknown(retry_after)),
            tolerance: Mutex::new(Tolerance::unknown()),
            sockets: Sockets::new(),
            on_streams: Shares::new(MOST_IN_FLIGHT),
            connection: Connection::default(),
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
        asker: &Asker,
    ) -> io::Result<UpstreamReply> {
        let pending = Pending {
            upstream: self,
            record_type: question.record_type,
            since: Instant::now(),
            is_answered: false,
        };
        self.figures.asked.fetch_add(1, Relaxed);
        let reply = self.exchange(question, asker).await;
        // An upstream whose reply can't be read is there all the same.
        let is_broken = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
        pending.end(reply.as_ref().map_or_else(is_broken, |_| true));
        reply
    }

    /// Tries, until a reply comes, an upstream that may be down.
    async fn probe(upstream: std::sync::Weak<Self>) {
        while let Some(held) = upstream.upgrade().filter(|held| held.health().is_suspect()) {
            let start = Instant::now();
            match time::timeout(
                PROBE_INTERVAL,
                held.exchange(&Question::probe(), &Asker::itself(held.mark)),
            )
            .await
            {
                Ok(Ok(_)) => return held.answered(RecordType::NS, start.elapsed()),
                _ => held.missed_try(),
            }
            drop(held);
            time::sleep(PROBE_INTERVAL.saturating_sub(start.elapsed())).await;
        }
    }

    fn answered(&self, record_type: RecordType, after: Duration) {
        if self.health().answered(record_type, after) {
            info!(upstream = %self.endpoint, "the upstream answers again");
        }
    }

    fn missed(self: &Arc<Self>) {
        self.figures.unanswered.fetch_add(1, Relaxed);
        if self.health().missed() {
            self.tolerance().doubt();
            let name = format!("upstream {}", self.endpoint);
            let probing = Self::probe(Arc::downgrade(self));
            self.runtime.spawn(threads::watched(name, probing));
        }
    }

    fn missed_try(&self) {
        self.figures.failed_probes.fetch_add(1, Relaxed);
        if self.health().missed_try() {
            warn!(upstream = %self.endpoint, "the upstream does not answer: others are asked until it does");
        }
    }

    /// Asks with as much EDNS as the upstream is known to bear, and with less where it complains
    /// ([RFC 6891 §7](https://www.rfc-editor.org/rfc/rfc6891#section-7)).
    async fn exchange(
        self: &Arc<Self>,
        question: &Question,
        asker: &Asker,
    ) -> io::Result<UpstreamReply> {
        let patience = self.health().patience(question.record_type);
        let mut edns = self.tolerance().choose(Instant::now(), patience);
        let mut reply = self.exchange_with(question, edns, asker).await?;
        let Some(less) = self.tolerance().less(edns, &reply) else {
            if answers(&reply) {
                self.count_answer(edns, false, question);
            }
            return Ok(reply);
        };
        // What it says to less is of use only where that is an answer.
        let complaint = reply;
        let mut next = Some(less);
        while let Some(less) = next {
            edns = less;
            let exchange = Box::pin(self.exchange_with(question, edns, asker));
            let Ok(Ok(said)) = time::timeout(MOST_PATIENCE, exchange).await else {
                break;
            };
            reply = said;
            if answers(&reply) {
                self.count_answer(edns, true, question);
                return Ok(reply);
            }
            next = self.tolerance().less(edns, &reply);
        }
        self.tolerance().count_fruitless();
        Ok(complaint)
    }

    /// Notes what was answered, and tries beside that, now and then, whether the upstream bears more.
    fn count_answer(self: &Arc<Self>, edns: Edns, after_complaint: bool, question: &Question) {
        let now = Instant::now();
        let mut tolerance = self.tolerance();
        tolerance.count_answer(edns, after_complaint, now);
        if !tolerance.claim_retry(now) {
            return;
        }
        let (this, question) = (Arc::clone(self), question.clone());
        let asker = Asker::itself(self.mark);
        self.runtime.spawn(async move {
            let most = Edns::Marked;
            let exchange = this.exchange_with(&question, most, &asker);
            if let Ok(Ok(reply)) = time::timeout(MOST_PATIENCE, exchange).await
                && answers(&reply)
            {
                this.tolerance().count_answer(most, false, Instant::now());
            }
        });
    }

    fn tolerance(&self) -> MutexGuard<'_, Tolerance> {
        self.tolerance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once, and over TCP where the reply over UDP was cut.
    async fn exchange_with(
        &self,
        question: &Question,
        edns: Edns,
        asker: &Asker,
    ) -> io::Result<UpstreamReply> {
        let marks = edns.of(&asker.marks);
        // Thousands may wait for replies over UDP: none has room for what is spoken over streams.
        let over_stream = || Box::pin(self.exchange_over_stream(question, marks, asker));
        if self.endpoint.transport != Transport::Udp {
            return over_stream().await;
        }
        let address = self.endpoint.address;
        let reply = self.sockets.ask(address, question, edns, asker).await?;
        if !reply.truncated {
            return Ok(reply);
        }
        match time::timeout(MOST_PATIENCE, over_stream()).await {
            Ok(Ok(whole)) => Ok(whole),
            // It is not cut, but broken.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(error),
            // A reply that was cut tells the client at least to ask over TCP.
            Ok(Err(_)) | Err(_) => Ok(reply),
        }
    }

    async fn exchange_over_stream(
        &self,
        question: &Question,
        marks: Option<&[u8]>,
        asker: &Asker,
    ) -> io::Result<UpstreamReply> {
        let _place = self.on_streams.take(asker.client).await;
        if let Some(https) = &self.https {
            return Box::pin(https.ask(&self.dial, question, marks)).await;
        }
        let (runtime, dial) = (&self.runtime, &self.dial);
        self.connection.ask(runtime, dial, question, marks).await
    }
}

/// Whether the upstream understood the question.
fn answers(reply: &UpstreamReply) -> bool {
    reply.truncated || reply.settles()
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// A question without a reply yet.
struct Pending<'u> {
    upstream: &'u Arc<Upstream>,
    record_type: RecordType,
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
            self.upstream.answered(self.record_type, after);
        } else {
            self.upstream.missed();
            self.is_answered = true;
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let patience = || self.upstream.health().patience(self.record_type);
        let has_waited = || self.since.elapsed() >= patience();
        if !self.is_answered && has_waited() {
            self.upstream.missed();
        }
    }
}
