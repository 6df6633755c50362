use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use tokio::{runtime::Handle, time::timeout};

use super::{
    Settings,
    answered::Answered,
    asker::Asker,
    cache::{Cache, Kept},
    client::{Client, Mesh, Passed, is_in_mesh},
    decide::{Decision, Facts, Held, Path, decide},
    error::{ResolutionError, StartError},
    figures::Figures,
    in_flight::{InFlight, Leader},
    pool::Pool,
    question::{AskedQuestion, Mark, Question},
    routes::Routes,
    shares::{ClientNetwork, Place, Shares},
    special,
};
use crate::{
    answer::Query,
    dns::Name,
    explain::Others,
    wire::{self, Age, MARK_LEN},
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
    in_flight: Arc<InFlight>,
    places: Arc<Shares>,
    /// What aliases may lead into.
    mesh: Mesh,
    runtime: Handle,
}

/// The forwarder in force, none where nothing is forwarded: replaced as a whole when the settings change.
pub type InForce = ArcSwapOption<Forwarder>;

/// What becomes of a query at once.
#[derive(Debug)]
pub enum Now {
    /// The answer is written.
    Passed(Passed),
    /// Nothing is looked up for this query: nobody answers for the name, or recursion is not desired.
    Refused,
    /// An upstream is to be asked.
    Later(DeferredQuery),
}

/// A place among the queries that wait for upstreams.
#[derive(Debug)]
pub struct DeferredQuery {
    forwarder: Arc<Forwarder>,
    question: Question,
    asker: Asker,
    place: Place,
}

impl Forwarder {
    /// A forwarder whose work is done on the tokio runtime that this is called from; `own` is where this server answers, and
    /// `mesh` what aliases may lead into.
    pub fn start(
        settings: Settings,
        own: &[SocketAddr],
        mesh: Mesh,
    ) -> Result<Arc<Self>, StartError> {
        let mut mark = [0; MARK_LEN];
        getrandom::fill(&mut mark).map_err(StartError::Random)?;
        let routes = Routes::new(&settings, mark, own, None)?;
        Ok(Arc::new(Self {
            mark,
            own: own.to_vec(),
            routes,
            cache: Arc::new(Cache::new(settings.cache_bytes)),
            figures: Arc::default(),
            in_flight: Arc::default(),
            places: Shares::new(settings.max_waiting),
            mesh,
            runtime: Handle::current(),
            settings,
        }))
    }

    /// One with other settings in the place of this one. It goes on with the cache, the counts and the upstreams that stay;
    /// who waits for this one gets what this one finds.
    pub fn succeeded_by(&self, settings: Settings) -> Result<Arc<Self>, StartError> {
        let routes = Routes::new(&settings, self.mark, &self.own, Some(&self.routes))?;
        Ok(Arc::new(Self {
            mark: self.mark,
            own: self.own.clone(),
            routes,
            cache: Arc::clone(&self.cache),
            figures: Arc::clone(&self.figures),
            in_flight: Arc::clone(&self.in_flight),
            places: if settings.max_waiting == self.settings.max_waiting {
                Arc::clone(&self.places)
            } else {
                Shares::new(settings.max_waiting)
            },
            mesh: Arc::clone(&self.mesh),
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

    /// The RFC that has `name` answered here rather than asked upstream, such as `RFC 6761` for `localhost`; `None` for
    /// other names.
    pub fn special_rfc(&self, name: &Name) -> Option<&'static str> {
        special::rfc(name.as_wire(), self.routes.domains())
    }

    /// Who answers for `name`, which the mesh leaves to others; `None` where nobody does.
    pub fn others(&self, name: &Name) -> Option<Others<'_>> {
        if let Some(rfc) = self.special_rfc(name) {
            return Some(Others::Special(rfc));
        }
        let (domain, addresses) = self.upstreams_for(name)?;
        Some(Others::Upstreams { domain, addresses })
    }

    /// Whether names are looked up for `client`: what RA says.
    pub fn serves(&self, client: IpAddr) -> bool {
        let clients = &self.settings.clients;
        clients.iter().any(|network| network.contains(&client))
    }

    /// Begins with the `query` of `client`, which stands in `message`, and never waits. Appends at most `limit_bytes`, which are
    /// [`wire::MAX_TCP_BYTES`] over a stream.
    pub fn now(
        self: &Arc<Self>,
        query: &Query<'_>,
        message: &[u8],
        client: IpAddr,
        limit_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Now {
        let domains = self.routes.domains();
        if let Some((local, apex_at)) = special::answer(query.name, query.record_type, domains) {
            let written = wire::write_local(query, message, local, apex_at, limit_bytes, out);
            return Now::Passed(Passed::of(local.rcode() as u16, written));
        }
        let question = asked(query, message);
        let pool = self.routes.pool_for(question.name);
        let Some(pool) = pool.filter(|_| query.recursion_desired) else {
            return Now::Refused;
        };
        let now = Instant::now();
        let (held, kept) = self.held(&question, pool, now);
        let reader = Client {
            query,
            message,
            limit_bytes,
        };
        let before = wire::marks(query, message);
        let (marks, _) = before.as_chunks::<MARK_LEN>();
        let path = match marks {
            _ if marks.contains(&self.mark) => Path::Returned,
            _ if marks.len() >= MOST_FORWARDERS => Path::Endless,
            _ => Path::Usual,
        };
        if let (Held::Fresh, Path::Usual, Some(kept)) = (held, path, &kept) {
            // As most: neither a place nor an upstream is needed.
            return Now::Passed(self.give(kept, now, &reader, out));
        }
        let network = ClientNetwork::of(client);
        let place = self.places.try_take(network);
        let decision = decide(Facts {
            held,
            upstreams: pool.state(),
            path,
            has_place: place.is_some(),
        });
        match (decision, kept, place) {
            (Decision::Give { renew }, Some(kept), place) => {
                if renew && let Some(place) = place {
                    self.renew(&kept, question, now, network, place);
                }
                return Now::Passed(self.give(&kept, now, &reader, out));
            }
            (Decision::Ask | Decision::AskOrGive, _, Some(place)) => {
                self.figures.misses.fetch_add(1, Relaxed);
                return Now::Later(DeferredQuery {
                    forwarder: Arc::clone(self),
                    question: question.to_owned(),
                    asker: Asker {
                        marks: [marks.as_flattened(), &self.mark].concat(),
                        client: network,
                    },
                    place,
                });
            }
            (Decision::Refuse, ..) => return Now::Refused,
            (Decision::FailLoop, ..) => self.figures.loops.found(question.name),
            _ => {
                self.figures.rejected.fetch_add(1, Relaxed);
            }
        }
        self.figures.misses.fetch_add(1, Relaxed);
        let none = Kept::new(Answered::nothing(), now);
        Now::Passed(reader.write(&self.mesh, &none, Age::Fresh(0), out))
    }

    /// What is kept for `question`, and what that is worth at `now`.
    fn held(
        &self,
        question: &AskedQuestion<'_>,
        pool: &Pool,
        now: Instant,
    ) -> (Held, Option<Arc<Kept>>) {
        let Some(kept) = self.cache.get(question) else {
            return (Held::Nothing, None);
        };
        let is_useless = kept.is_open && {
            let mut targets = kept.aliases.iter().map(|alias| &alias.target);
            !targets.any(|target| is_in_mesh(&self.mesh, target, question.record_type))
        };
        if is_useless {
            return (Held::Nothing, None);
        }
        let held = kept.held(now, self.settings.serve_stale, || pool.back_at());
        (held, Some(kept))
    }

    /// Writes a reply from the cache, and counts it.
    fn give(&self, kept: &Kept, now: Instant, client: &Client<'_>, out: &mut Vec<u8>) -> Passed {
        let age = kept.age(now);
        self.figures.hit(age);
        client.write(&self.mesh, kept, age, out)
    }

    /// What answers the question of a [`DeferredQuery`]: the upstreams, or what is too old if they take too long.
    async fn look_up(
        self: &Arc<Self>,
        question: Question,
        asker: Asker,
        place: Place,
    ) -> Arc<Kept> {
        let (waiter, leader) = self.in_flight.join(&question);
        let pool = self.routes.pool_for(question.name.as_wire());
        let (held, kept) = match pool {
            Some(pool) => self.held(&question.as_asked(), pool, Instant::now()),
            None => (Held::Nothing, None),
        };
        let kept = match (held, kept) {
            // It came in between the two looks into the cache.
            (Held::Fresh | Held::Ending | Held::Failure, Some(kept)) => {
                if let Some(leader) = leader {
                    leader.tell(kept.clone());
                }
                return kept;
            }
            (Held::Nothing, _) => None,
            (_, kept) => kept,
        };
        // The asker keeps its place until the upstreams have answered, others as long as they wait.
        let _place = match leader {
            Some(leader) => {
                self.lead(leader, asker, place);
                None
            }
            None => Some(place),
        };
        let answer = match &kept {
            Some(_) => timeout(STALE_AFTER, waiter.wait()).await.ok().flatten(),
            None => waiter.wait().await,
        };
        answer
            .or(kept)
            .unwrap_or_else(|| Arc::new(Kept::new(Answered::nothing(), Instant::now())))
    }

    /// Asks for a reply anew before anyone has to wait for it, if nobody else does.
    fn renew(
        self: &Arc<Self>,
        kept: &Kept,
        question: AskedQuestion<'_>,
        now: Instant,
        client: ClientNetwork,
        place: Place,
    ) {
        if !kept.claim_renewal(now) {
            return;
        }
        if let (_, Some(leader)) = self.in_flight.join(&question.to_owned()) {
            self.figures.renewals.fetch_add(1, Relaxed);
            let asker = Asker {
                marks: self.mark.to_vec(),
                client,
            };
            self.lead(leader, asker, place);
        }
    }

    /// Asks the upstreams, and puts what they say into the cache.
    fn lead(self: &Arc<Self>, leader: Leader, asker: Asker, place: Place) {
        let this = Arc::clone(self);
        self.runtime.spawn(async move {
            let question = &leader.question;
            let is_ours = |name: &Name| is_in_mesh(&this.mesh, name, question.record_type);
            let answered = match this.ask_along(question, &asker, is_ours).await {
                Ok(answered) => Some(answered),
                Err(ResolutionError::NoUpstream | ResolutionError::NoReply) => None,
                Err(_) => Some(Answered::failed()),
            };
            let serve_stale = this.settings.serve_stale;
            let kept = this
                .cache
                .take_in(question, answered, Instant::now(), serve_stale);
            leader.tell(kept);
            drop(place);
        });
    }
}

impl DeferredQuery {
    /// Writes what the upstreams say to `query`, which [`Forwarder::now`] has put off; `limit_bytes` as there.
    pub async fn answer(
        self,
        query: &Query<'_>,
        message: &[u8],
        limit_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Passed {
        let Self {
            forwarder,
            question,
            asker,
            place,
        } = self;
        let kept = forwarder.look_up(question, asker, place).await;
        let age = kept.age(Instant::now());
        if age == Age::Stale {
            forwarder.figures.stale.fetch_add(1, Relaxed);
        }
        let client = Client {
            query,
            message,
            limit_bytes,
        };
        client.write(&forwarder.mesh, &kept, age, out)
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
