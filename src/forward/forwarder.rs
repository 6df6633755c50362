use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Settings,
    cache::{Cache, Kept, Use},
    figures::Figures,
    flights::{Departure, Flights},
    question::{AskedQuestion, Mark, Question},
    routes::Routes,
};
use crate::{
    answer::Query,
    dns::Rcode,
    wire::{self, Age, MARK_LEN, UpstreamReply},
};

/// How long a client waits for what it asks before it gets what is too old
/// ([RFC 8767 §5](https://www.rfc-editor.org/rfc/rfc8767#section-5)): stubs ask again after 2 s or more.
const STALE_AFTER: Duration = Duration::from_millis(1800);

/// Through how many of our kind a question may come; more than that can only be a loop.
const MOST_FORWARDERS: usize = 8;

/// Looks names up that are not ours.
#[derive(Debug)]
pub struct Forwarder {
    settings: Settings,
    mark: Mark,
    pub(super) routes: Routes,
    pub(super) cache: Cache,
    pub(super) figures: Figures,
    flights: Arc<Flights>,
    places: Arc<Semaphore>,
    runtime: Handle,
}

/// Forwarding can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An upstream is this server.
    #[error("upstream {upstream}: that is where this server itself answers; name another one")]
    Itself {
        /// The upstream.
        upstream: SocketAddr,
    },
    /// No certificate of an upstream could be checked.
    #[error(
        "trust upstreams over TLS: this machine has no certificates of authorities; name a file of them in the variable SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// The operating system has no random numbers.
    #[error("get random numbers to ask upstreams with")]
    Random(#[source] getrandom::Error),
}

/// What becomes of a query at once.
#[derive(Debug)]
pub enum Now {
    /// The answer is written.
    Passed(Passed),
    /// Nothing is looked up for this query: nobody answers for the name, or recursion is not desired.
    Refused,
    /// An upstream is to be asked.
    Later(Ticket),
}

/// What was written for a query.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// The response code; `None` for one that we have no name for.
    pub rcode: Option<Rcode>,
    /// Whether records were left out because they did not fit.
    pub truncated: bool,
    /// How many bytes at the end of the answer are its OPT record's; 0 where there is none.
    pub opt_bytes: usize,
}

/// A place among the queries that wait for upstreams.
#[derive(Debug)]
pub struct Ticket {
    question: Question,
    /// Through whom it came, and this process.
    marks: Vec<u8>,
    place: OwnedSemaphorePermit,
}

impl Forwarder {
    /// A forwarder whose work is done on the tokio runtime that this is called from; `own` is where this server answers.
    pub fn start(settings: Settings, own: &[SocketAddr]) -> Result<Arc<Self>, StartError> {
        let mut mark = [0; MARK_LEN];
        getrandom::fill(&mut mark).map_err(StartError::Random)?;
        let routes = Routes::new(&settings, mark, own)?;
        let places = settings.max_waiting.min(Semaphore::MAX_PERMITS);
        Ok(Arc::new(Self {
            mark,
            routes,
            cache: Cache::new(settings.cache_bytes, settings.serve_stale),
            figures: Figures::default(),
            flights: Arc::default(),
            places: Arc::new(Semaphore::new(places)),
            runtime: Handle::current(),
            settings,
        }))
    }

    /// Whether names are looked up for `client`: what RA says.
    pub fn serves(&self, client: IpAddr) -> bool {
        let clients = &self.settings.clients;
        clients.iter().any(|network| network.contains(&client))
    }

    /// The runtime that waits for upstreams.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Begins with `query`, which stands in `message`, and never waits. Appends at most `limit_bytes`.
    pub fn now(
        self: &Arc<Self>,
        query: &Query<'_>,
        message: &[u8],
        limit_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Now {
        let question = asked(query, message);
        if !query.recursion_desired || self.routes.pool_for(question.name).is_none() {
            return Now::Refused;
        }
        let now = Instant::now();
        if let Some((kept, Use::Give { renew })) = self.cache.get(&question, now) {
            if renew {
                self.renew(question);
            }
            let age = kept.age(now);
            self.figures.hit(age);
            return Now::Passed(write(query, message, &kept.reply, age, limit_bytes, out));
        }
        self.figures.misses.fetch_add(1, Relaxed);
        let before = wire::marks(query, message);
        let (marks, _) = before.as_chunks::<MARK_LEN>();
        if marks.contains(&self.mark) || marks.len() >= MOST_FORWARDERS {
            self.figures.loops.found(question.name);
        } else if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Now::Later(Ticket {
                question: question.to_owned(),
                marks: [marks.as_flattened(), &self.mark].concat(),
                place,
            });
        } else {
            self.figures.rejected.fetch_add(1, Relaxed);
        }
        let none = UpstreamReply::none();
        Now::Passed(write(
            query,
            message,
            &none,
            Age::Fresh(0),
            limit_bytes,
            out,
        ))
    }

    /// Writes what the upstreams say to `query`, for which [`Forwarder::now`] gave the ticket.
    pub async fn later(
        self: &Arc<Self>,
        ticket: Ticket,
        query: &Query<'_>,
        message: &[u8],
        limit_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Passed {
        let kept = self.look_up(ticket).await;
        let age = kept.age(Instant::now());
        if age == Age::Stale {
            self.figures.stale.fetch_add(1, Relaxed);
        }
        write(query, message, &kept.reply, age, limit_bytes, out)
    }

    /// What answers the question of `ticket`: the upstreams, or what is too old if they take too long.
    async fn look_up(self: &Arc<Self>, ticket: Ticket) -> Arc<Kept> {
        let Ticket {
            question,
            marks,
            place,
        } = ticket;
        let (landing, departure) = self.flights.board(&question);
        let held = self.cache.get(&question.as_asked(), Instant::now());
        if let Some((kept, Use::Give { .. })) = held {
            // It came in between the two looks into the cache.
            return kept;
        }
        // Who asks keeps the place until the upstreams have answered, others as long as they wait.
        let _place = match departure {
            Some(departure) => {
                self.depart(departure, marks, place);
                None
            }
            None => Some(place),
        };
        let landed = match &held {
            Some(_) => timeout(STALE_AFTER, landing.landed()).await.ok().flatten(),
            None => landing.landed().await,
        };
        landed
            .or(held.map(|(kept, _)| kept))
            .unwrap_or_else(|| Arc::new(Kept::new(UpstreamReply::none(), Instant::now())))
    }

    /// Asks for a reply anew before anyone has to wait for it, if there is a place.
    fn renew(self: &Arc<Self>, question: AskedQuestion<'_>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        if let (_, Some(departure)) = self.flights.board(&question.to_owned()) {
            self.figures.renewals.fetch_add(1, Relaxed);
            self.depart(departure, self.mark.to_vec(), place);
        }
    }

    /// Asks the upstreams, and puts what they say into the cache.
    fn depart(self: &Arc<Self>, departure: Departure, marks: Vec<u8>, place: OwnedSemaphorePermit) {
        let this = Arc::clone(self);
        self.runtime.spawn(async move {
            let question = &departure.question;
            let reply = match this.routes.pool_for(question.name.as_wire()) {
                Some(pool) => pool.ask(question, &marks).await,
                None => None,
            };
            let kept = this.cache.land(question, reply, Instant::now());
            departure.land(kept);
            drop(place);
        });
    }
}

fn write(
    query: &Query<'_>,
    message: &[u8],
    reply: &UpstreamReply,
    age: Age,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Passed {
    let written = wire::relay(query, message, reply, age, limit_bytes, out);
    Passed {
        rcode: Rcode::from_number(reply.rcode),
        truncated: written.truncated,
        opt_bytes: written.opt_bytes,
    }
}

fn asked<'q>(query: &'q Query<'_>, message: &[u8]) -> AskedQuestion<'q> {
    AskedQuestion {
        name: query.name,
        record_type: query.record_type,
        dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
        checking_disabled: wire::checking_disabled(message),
    }
}
