//! Follows one kind: asks, hears out and tells, for as long as the process lives; or lists it once.
//!
//! What to ask next is `progress`'s, what it means `hearing`'s. Every wait has an end.

use std::{
    future, mem,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::{
    super::inbox::{LoopEnded, Teller},
    backoff::Backoff,
    connect::SHORT_SILENCE,
    figures::Figures,
    hearing::Hearing,
    progress::{End, Next, Progress},
    reply::{Extent, Reply},
    resource::{Ask, Resource},
    server::{Availability, Server, chance},
    trouble::{Failure, Reason, Trouble, Why},
};
use crate::{mesh::ClusterEvent, precedence::give_way};

/// A watch that lasted so long was of use, even if it told nothing.
const OF_USE: Duration = Duration::from_secs(5);

/// How long what comes of a watch is left to gather after something was told: what follows closely is read at once, and published
/// with it. No change waits longer for that than for the loop, which waits as long for more.
const GATHERING: Duration = Duration::from_millis(10);

/// How often a page of a list may fail in a row until the list is given up.
const MOST_FAILED_PAGES: u32 = 2;

/// For how long a kind may be missing that the server lists, before anybody is told: it may be on its way out.
const GOING: Duration = Duration::from_secs(10);

/// One kind, in one namespace or in all.
pub(super) struct Follower {
    server: Arc<Server>,
    resource: Resource,
    hearing: Hearing,
    teller: Teller,
    backoff: Backoff,
    figures: Arc<Figures>,
    outage: Option<Outage>,
    was_synced: bool,
    is_absent: bool,
    /// Whether its thread gives way to those that answer queries.
    gives_way: bool,
}

/// Since when a kind is not followed, and why.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    /// What was told of it.
    told: Option<Reason>,
}

impl Follower {
    pub(super) fn new(
        server: Arc<Server>,
        resource: Resource,
        figures: Arc<Figures>,
        teller: Teller,
    ) -> Self {
        let (cluster, scope) = (server.cluster.clone(), resource.scope());
        Self {
            hearing: Hearing::new(cluster, scope, Progress::new(), figures.clone()),
            server,
            resource,
            teller,
            backoff: Backoff::default(),
            figures,
            outage: None,
            was_synced: false,
            is_absent: false,
            gives_way: false,
        }
    }

    /// Follows until the loop ends that is told.
    pub(super) async fn run(mut self) -> Result<(), LoopEnded> {
        let kind = self.resource.kind;
        let mut served = self.server.served();
        loop {
            let availability = served.borrow_and_update().of(kind);
            let moved = served.wait_for(|served| served.of(kind) != availability);
            let follow = async {
                match availability {
                    Availability::Unknown => future::pending().await,
                    Availability::Absent => {
                        self.become_absent().await?;
                        future::pending().await
                    }
                    Availability::At(version) => loop {
                        self.go_on(version).await?;
                    },
                }
            };
            tokio::select! {
                ended = follow => return ended,
                _ = moved => {}
            }
            if availability != Availability::Unknown {
                // It may have been told in part what was heard.
                self.hearing.forget();
            }
        }
    }

    /// Asks once, hears it out, and waits where that failed.
    async fn go_on(&mut self, version: &'static str) -> Result<(), LoopEnded> {
        let kind = self.resource.kind;
        if mem::take(&mut self.is_absent) {
            info!(cluster = self.server.cluster.name(), %kind, version, "the server has this kind");
        }
        let ask = self.hearing.progress.ask().clone();
        self.hearing.begin(&ask);
        let (began, events) = (Instant::now(), self.figures.events());
        let ended = self.converse(version, &ask).await?;
        let was_of_use = self.figures.events() > events || began.elapsed() >= OF_USE;
        if was_of_use {
            self.backoff.reset();
        }
        let end = match &ended {
            Ok(()) => End::Closed,
            Err(failure) => self.end_of(&ask, failure),
        };
        let next = self.hearing.progress.end(end, was_of_use);
        let retry_after = ended.as_ref().err().and_then(|failure| failure.retry_after);
        if let Err(Failure { why, .. }) = ended {
            self.figures.count_error(why.reason());
            if next == Next::AtOnce {
                debug!(cluster = self.server.cluster.name(), %kind, %why, "asking again");
            } else {
                self.note_outage(&ask, why);
            }
        }
        if next == Next::Later {
            let wait = self.backoff.wait(retry_after, chance());
            let begins_again = self.hearing.progress.ask().begins_list();
            if begins_again || self.backoff.failures() >= MOST_FAILED_PAGES {
                self.hearing.fail_list();
            }
            self.hearing.note_silence();
            self.tell().await?;
            sleep(wait).await;
        }
        Ok(())
    }

    /// What a failure means for what to ask next.
    fn end_of(&self, ask: &Ask, failure: &Failure) -> End {
        match &failure.why {
            Why::TooOld => End::TooOld,
            Why::Unreadable(_) => End::Unreadable,
            Why::Cut(_) | Why::Silent(_) => End::Cut,
            Why::Refusal { .. } => End::Unsupported,
            Why::Server { .. } if failure.in_stream && *ask == Ask::Stream => End::Unsupported,
            Why::NotServed(_) => {
                self.server.look_again();
                End::Failed
            }
            _ => End::Failed,
        }
    }

    /// Asks once, and tells what comes until it is over.
    async fn converse(
        &mut self,
        version: &'static str,
        ask: &Ask,
    ) -> Result<Result<(), Failure>, LoopEnded> {
        let (server, resource) = (Arc::clone(&self.server), self.resource.clone());
        let mut begun = pin!(Reply::begin(&server, &resource, version, ask));
        let begun = if let Ok(begun) = timeout(SHORT_SILENCE, begun.as_mut()).await {
            begun
        } else {
            self.hearing.note_silence();
            self.tell().await?;
            begun.await
        };
        let mut reply = match begun {
            Ok(reply) => reply,
            Err(failure) => return Ok(Err(failure)),
        };
        if matches!(ask, Ask::Watch(_)) {
            self.end_outage();
        }
        loop {
            let heard = reply.hear(&mut self.hearing).await;
            let has_told = self.tell().await?;
            match heard {
                Ok(Extent::All) if has_told && matches!(ask, Ask::Watch(_)) => {
                    sleep(GATHERING).await;
                }
                Ok(Extent::All | Extent::Part) => {}
                Ok(Extent::End) => break,
                Err(failure) => return Ok(Err(failure)),
            }
        }
        if !matches!(ask, Ask::Watch(_)) && !self.hearing.is_in_list() {
            self.end_list();
        }
        Ok(Ok(()))
    }

    /// Tells what was heard. Returns whether that was anything.
    async fn tell(&mut self) -> Result<bool, LoopEnded> {
        let events = self.hearing.take_events();
        if events.is_empty() {
            return Ok(false);
        }
        self.teller.tell(events).await?;
        if !self.gives_way && self.teller.is_served() {
            self.gives_way = true;
            give_way();
        }
        Ok(true)
    }

    /// There is nothing of this kind, for the server does not have it.
    async fn become_absent(&mut self) -> Result<(), LoopEnded> {
        let (cluster, kind) = (self.server.cluster.name(), self.resource.kind);
        if !mem::replace(&mut self.is_absent, true) {
            let again = Server::LOOK_SECONDS;
            info!(%cluster, %kind, "the server does not have this kind (no CRD): nothing of it, and a look again every {again} s");
        }
        self.hearing.hear_nothing();
        self.tell().await?;
        self.outage = None;
        self.teller.set_trouble(&self.resource.scope(), None);
        self.figures.set_synced(true);
        Ok(())
    }

    /// Says that all objects are known.
    fn end_list(&mut self) {
        let (cluster, kind) = (self.server.cluster.name(), self.resource.kind);
        let objects = self.hearing.objects();
        if mem::replace(&mut self.was_synced, true) {
            debug!(%cluster, %kind, objects, "listed again");
        } else {
            let namespace = self.resource.namespace.as_deref();
            info!(%cluster, %kind, namespace, objects, "synced");
        }
        self.end_outage();
    }

    /// Notes that the kind is not followed.
    fn note_outage(&mut self, ask: &Ask, why: Why) {
        self.figures.set_synced(false);
        let reason = why.reason();
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: Instant::now(),
            told: None,
        });
        let may_go = match reason {
            Reason::NotServed => outage.since.elapsed() < GOING,
            // Whoever is between them may have closed it: the next try tells.
            Reason::Cut => self.backoff.failures() == 0,
            _ => false,
        };
        let is_news = outage.told != Some(reason) && !may_go;
        let trouble = Trouble {
            cluster: self.server.cluster.clone(),
            verb: ask.verb(),
            what: self.resource.to_string(),
            why,
        };
        if is_news {
            outage.told = Some(reason);
            let Trouble {
                verb, what, why, ..
            } = &trouble;
            let told = format!("{verb} {what}: {why}");
            let scope = self.resource.scope();
            self.teller.set_trouble(&scope, Some(&told.into()));
            warn!("not followed: {trouble}");
        } else {
            debug!("not followed: {trouble}");
        }
    }

    /// Notes that it is followed.
    fn end_outage(&mut self) {
        self.figures.set_synced(true);
        if let Some(Outage { since, told }) = self.outage.take()
            && told.is_some()
        {
            self.teller.set_trouble(&self.resource.scope(), None);
            let (cluster, kind) = (self.server.cluster.name(), self.resource.kind);
            let namespace = self.resource.namespace.as_deref();
            let away = format!("{:.1}s", since.elapsed().as_secs_f64());
            info!(%cluster, %kind, namespace, %away, "followed again");
        }
    }
}

/// Lists everything of a kind, and hands on what it holds.
///
/// # Errors
///
/// Where that fails, even again.
pub(super) async fn list(
    server: &Server,
    resource: &Resource,
    version: Option<&'static str>,
    mut take_in: impl FnMut(Vec<ClusterEvent>),
) -> Result<(), Trouble> {
    let figures = Arc::new(Figures::new(server.cluster.clone(), resource.kind));
    let (cluster, scope) = (server.cluster.clone(), resource.scope());
    let mut hearing = Hearing::new(cluster, scope, Progress::of_pages(), figures);
    let Some(version) = version else {
        hearing.hear_nothing();
        take_in(hearing.take_events());
        return Ok(());
    };
    let mut backoff = Backoff::default();
    loop {
        let ask = hearing.progress.ask().clone();
        hearing.begin(&ask);
        let heard = async {
            let mut reply = Reply::begin(server, resource, version, &ask).await?;
            while reply.hear(&mut hearing).await? != Extent::End {
                take_in(hearing.take_events());
            }
            Ok::<_, Failure>(())
        };
        let heard = heard.await;
        take_in(hearing.take_events());
        let Err(failure) = heard else {
            if hearing.is_in_list() {
                continue;
            }
            return Ok(());
        };
        if backoff.failures() >= MOST_FAILED_PAGES || !failure.why.may_pass() {
            return Err(Trouble {
                cluster: server.cluster.clone(),
                verb: ask.verb(),
                what: resource.to_string(),
                why: failure.why,
            });
        }
        if failure.why.reason() == Reason::TooOld {
            hearing.progress.list_again();
        }
        sleep(backoff.wait(failure.retry_after, chance())).await;
    }
}
