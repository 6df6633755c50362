use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
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
    dns::{Name, Rcode},
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
    pub(super) mark: Mark,
    /// Where this server answers.
    own: Vec<SocketAddr>,
    pub(super) routes: Routes,
    pub(super) cache: Arc<Cache>,
    pub(super) figures: Arc<Figures>,
    flights: Arc<Flights>,
    places: Arc<Semaphore>,
    runtime: Handle,
}

/// The forwarder in force, none where nothing is forwarded: replaced as a whole when the settings change.
pub type InForce = ArcSwapOption<Forwarder>;

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
    forwarder: Arc<Forwarder>,
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
        let routes = Routes::new(&settings, mark, own, &[])?;
        Ok(Arc::new(Self {
            mark,
            own: own.to_vec(),
            routes,
            cache: Arc::new(Cache::new(settings.cache_bytes)),
            figures: Arc::default(),
            flights: Arc::default(),
            places: places(&settings),
            runtime: Handle::current(),
            settings,
        }))
    }

    /// One with other settings in the place of this one. It goes on with the cache, the counts and the upstreams that stay;
    /// who waits for this one gets what this one finds.
    pub fn succeeded_by(&self, settings: Settings) -> Result<Arc<Self>, StartError> {
        let known = self.routes.upstreams();
        let routes = Routes::new(&settings, self.mark, &self.own, &known)?;
        Ok(Arc::new(Self {
            mark: self.mark,
            own: self.own.clone(),
            routes,
            cache: Arc::clone(&self.cache),
            figures: Arc::clone(&self.figures),
            flights: Arc::clone(&self.flights),
            places: if settings.max_waiting == self.settings.max_waiting {
                Arc::clone(&self.places)
            } else {
                places(&settings)
            },
            runtime: Handle::current(),
            settings,
        }))
    }

    /// Takes up its work in the place of another one.
    pub fn takes_over(&self) {
        self.cache.resize(self.settings.cache_bytes);
    }

    /// What is forwarded, where to, and for whom.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The domain of the route that holds `name`, and the upstreams that are asked for it, in order; `None` where nobody is.
    pub fn upstreams_for(&self, name: &Name) -> Option<(&Name, Vec<String>)> {
        self.routes.of(name)
    }

    /// Whether names are looked up for `client`: what RA says.
    pub fn serves(&self, client: IpAddr) -> bool {
        let clients = &self.settings.clients;
        clients.iter().any(|network| network.contains(&client))
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
        let held = self.cache.get(&question, now, self.settings.serve_stale);
        if let Some((kept, Use::Give { renew })) = held {
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
                forwarder: Arc::clone(self),
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

    /// What answers the question of `ticket`: the upstreams, or what is too old if they take too long.
    async fn look_up(
        self: &Arc<Self>,
        question: Question,
        marks: Vec<u8>,
        place: OwnedSemaphorePermit,
    ) -> Arc<Kept> {
        let (landing, departure) = self.flights.board(&question);
        let serve_stale = self.settings.serve_stale;
        let held = self
            .cache
            .get(&question.as_asked(), Instant::now(), serve_stale);
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
            let serve_stale = this.settings.serve_stale;
            let kept = this
                .cache
                .land(question, reply, Instant::now(), serve_stale);
            departure.land(kept);
            drop(place);
        });
    }
}

impl Ticket {
    /// Writes what the upstreams say to `query`, for which [`Forwarder::now`] gave the ticket.
    pub async fn redeem(
        self,
        query: &Query<'_>,
        message: &[u8],
        limit_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Passed {
        let Self {
            forwarder,
            question,
            marks,
            place,
        } = self;
        let kept = forwarder.look_up(question, marks, place).await;
        let age = kept.age(Instant::now());
        if age == Age::Stale {
            forwarder.figures.stale.fetch_add(1, Relaxed);
        }
        write(query, message, &kept.reply, age, limit_bytes, out)
    }
}

/// As many places as may wait.
fn places(settings: &Settings) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(
        settings.max_waiting.min(Semaphore::MAX_PERMITS),
    ))
}

fn write(
    query: &Query<'_>,
    message: &[u8],
    reply: &UpstreamReply,
    age: Age,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Passed {
    let relayed = wire::relay(query, message, reply, age, limit_bytes, out);
    Passed {
        rcode: Rcode::from_number(relayed.rcode),
        truncated: relayed.truncated,
        opt_bytes: relayed.opt_bytes,
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
