//! `/api/v1/events`: server-sent events that say that a page would be another one by now.
//!
//! An event is a word, not the news: whoever gets it reads the page anew. However much is published, a topic has one event a
//! second at most, and a reader that is slow gets the newest.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
};
use hyper::body::Frame;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{Ui, refusal::Refusal, request::Asked};
use crate::{
    admission::{Activity, Answering},
    control::Exhibit,
    dns::Name,
    status::Status,
};

/// How many streams there are at most.
pub(super) const MOST_STREAMS: usize = 16;

/// How many topics a stream has at most.
const MOST_TOPICS: usize = 8;

/// How often it is looked whether something changed.
const EVERY: Duration = Duration::from_secs(1);

/// How often a silent stream says that it lives.
const LIFE_SIGN: Duration = Duration::from_secs(15);

/// How long a browser waits before it connects again, in milliseconds.
const RETRY_MILLIS: u32 = 5000;

/// What somebody wants to know of.
#[derive(Clone, Debug)]
enum Topic {
    /// Whatever changes.
    Status,
    /// One host.
    Host(Name),
}

/// What a topic is made from: where it is the same, so is the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Version {
    Status {
        generation: u64,
        catalogue: u64,
        reloaded: Option<SystemTime>,
    },
    Host(Option<(u64, SystemTime)>),
}

impl Topic {
    fn read(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "status" => Some(Self::Status),
            Some(("host", name)) => Name::from_text(name).ok().map(Self::Host),
            _ => None,
        }
    }

    fn version(&self, exhibit: &Exhibit, status: &Status) -> Version {
        match self {
            Self::Status => Version::Status {
                generation: exhibit.snapshot.generation(),
                catalogue: exhibit.catalogue.version(),
                reloaded: status.last_reload,
            },
            Self::Host(host) => {
                // What a wildcard covers changes with it.
                let wildcards = host.ancestors().filter_map(|above| above.wildcard_below());
                let mut names = std::iter::once(host.clone()).chain(wildcards);
                let row = names.find_map(|name| exhibit.catalogue.row(&name));
                Version::Host(row.map(|row| (row.generation(), row.changed())))
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Status => "status".to_owned(),
            Self::Host(host) => format!("host:{}", host.to_host()),
        }
    }
}

/// A stream on its way to a reader. As long as it lasts it is an answer that is being given.
struct Stream {
    chunks: mpsc::Receiver<Bytes>,
    _answering: Option<Answering>,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunks.poll_recv(context);
        chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

impl Ui {
    /// A stream of events about the topics that are asked for.
    pub(super) fn events(
        self: &Arc<Self>,
        asked: &Asked,
        headers: &HeaderMap,
        activity: Option<&Arc<Activity>>,
    ) -> Result<Body, Refusal> {
        let topics = topics(asked)?;
        let place = Arc::clone(self.metrics.streams()).try_acquire_owned();
        let Ok(place) = place else {
            self.metrics.count_refused_stream();
            return Err(Refusal {
                retry_after: Some(Duration::from_secs(30)),
                ..Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "tooManyStreams",
                    format!("{MOST_STREAMS} streams are open already: fetch the page instead"),
                )
            });
        };
        let known = headers.get("last-event-id");
        let known = known.and_then(|known| known.to_str().ok());
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(Arc::clone(self).tell(topics, known.map(ToOwned::to_owned), sender));
        Ok(Body::new(Stream {
            chunks,
            _answering: activity.map(Activity::begin),
            _place: place,
        }))
    }

    /// Tells of changes until nobody listens or the server is told to stop.
    async fn tell(
        self: Arc<Self>,
        topics: Vec<Topic>,
        known: Option<String>,
        sender: mpsc::Sender<Bytes>,
    ) {
        let mut closing = self.closing.subscribe();
        let versions = |ui: &Self| -> Vec<Version> {
            let (exhibit, status) = (ui.exhibit.load(), ui.status.load());
            topics
                .iter()
                .map(|topic| topic.version(&exhibit, &status))
                .collect()
        };
        let mut told = versions(&self);
        let mut first = format!("retry: {RETRY_MILLIS}\n\n");
        match known {
            Some(known) if known == self.event_id() => {}
            // It missed something, or was told by another process.
            Some(_) => first += &self.event("reset", "reset"),
            None => {}
        }
        let mut spoke = Instant::now();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Some(first);
        loop {
            if let Some(text) = next.take() {
                spoke = Instant::now();
                // A reader that does not read gets what is newest once it does.
                tokio::select! {
                    sent = sender.send(text.into()) => if sent.is_err() { return },
                    _ = closing.wait_for(|closes| *closes) => return,
                }
            }
            tokio::select! {
                _ = ticks.tick() => {}
                () = sender.closed() => return,
                _ = closing.wait_for(|closes| *closes) => return,
            }
            let now = versions(&self);
            let mut text = String::new();
            for ((topic, told), now) in topics.iter().zip(&told).zip(&now) {
                if told != now {
                    text += &self.event("change", &topic.text());
                }
            }
            told = now;
            if text.is_empty() && spoke.elapsed() >= LIFE_SIGN {
                text += ": here\n\n";
            }
            next = Some(text).filter(|text| !text.is_empty());
        }
    }

    fn event(&self, event: &str, data: &str) -> String {
        format!("id: {}\nevent: {event}\ndata: {data}\n\n", self.event_id())
    }

    /// What a reader would get now, as an identity: `<start>-<generation>`.
    fn event_id(&self) -> String {
        let generation = self.exhibit.load().snapshot.generation();
        format!("{}-{generation}", self.start_text())
    }
}

fn topics(asked: &Asked) -> Result<Vec<Topic>, Refusal> {
    let mut topics = Vec::new();
    for (name, value) in asked.parameters() {
        match name {
            "topic" => {
                let wrong = || Refusal::wrong_parameter("topic", value, "status or host:NAME");
                topics.push(Topic::read(value).ok_or_else(wrong)?);
            }
            "refresh" => {}
            name => return Err(Refusal::unknown_parameter(name, &["topic"])),
        }
    }
    if topics.is_empty() || topics.len() > MOST_TOPICS {
        return Err(Refusal::wrong_parameter(
            "topic",
            &topics.len().to_string(),
            &format!("1 to {MOST_TOPICS} of them"),
        ));
    }
    Ok(topics)
}
