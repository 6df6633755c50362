//! What is served, shown by the running server itself: pages for people, and the same as JSON for programs below `/api/v1`.
//!
//! Goes in: what `control` publishes, and answers to questions that its thread gets; comes out: HTML and JSON. A page is rendered
//! from one generation into a buffer, and whoever reads slowly holds nothing but that.
//!
//! Never changes anything: GET and HEAD alone, no cookie and no form that does something. Costs a query nothing: what is shown
//! is made where changes are taken in.

mod about;
mod assets;
mod changes;
mod events;
mod figures;
mod forwarding;
mod guard;
mod host;
mod hosts;
mod html;
mod lately;
mod migration;
mod overview;
mod problems;
mod refusal;
mod request;

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use maud::Markup;
use serde::Serialize;
use tokio::sync::watch;

pub use self::{about::Setting, figures::UiMetrics, guard::Guard, lately::Lately};
use self::{figures::Page, refusal::Refusal, request::Asked};
use crate::{
    admission::Activity,
    control::{Busy, Exhibit, Questions, Seen},
    forward::InForce,
    http,
    metrics::Traffic,
    probe::Probing,
    serve::Certificates,
    status::Status,
    zone::Snapshot,
};

/// What a page may load and do: what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The field by which answers of status pages are known; its value is the version of the API.
pub const API_HEADER: &str = "meshdns-api";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the pages show, and to whom.
#[derive(Debug)]
pub struct Ui {
    /// Who may see them.
    pub guard: Guard,
    /// Where the newest status is.
    pub status: Arc<ArcSwap<Status>>,
    /// Where the newest snapshot is.
    pub snapshots: Arc<ArcSwap<Snapshot>>,
    /// Where the newest exhibit is.
    pub exhibit: Arc<ArcSwap<Exhibit>>,
    /// Asks the loop what nobody else knows.
    pub questions: Arc<Questions>,
    /// What forwards at present.
    pub forwarding: Arc<InForce>,
    /// What passes through the sockets.
    pub traffic: Arc<Traffic>,
    /// What is checked.
    pub probing: Arc<Probing>,
    /// The settings in force, as `/about` shows them.
    pub settings: ArcSwap<Vec<Setting>>,
    /// What encrypted clients are shown, where there are any.
    pub certificates: Option<Arc<Certificates>>,
    /// What is counted.
    pub metrics: Arc<UiMetrics>,
    /// When this process began: generations of another one are others.
    pub started: SystemTime,
    /// What was answered lately.
    pub lately: Lately,
    /// Whether streams are to end.
    pub closing: watch::Sender<bool>,
}

/// What a page says in its head, whatever else it says.
#[derive(Clone, Debug, Serialize)]
struct Stamp {
    generation: u64,
    serial: u32,
    time: String,
}

impl Stamp {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            generation: snapshot.generation(),
            serial: snapshot.serial().0,
            time: html::rfc3339(SystemTime::now()),
        }
    }
}

/// An answer, on its way out.
struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    /// What comes in place of the body, for as long as it lasts.
    stream: Option<Body>,
    etag: Option<String>,
    is_immutable: bool,
    retry_after: Option<u64>,
}

/// A page for people and for programs.
struct Shown<T> {
    title: String,
    /// What programs get.
    data: T,
    /// What people get.
    markup: Markup,
    /// What it is made from, where it stays the same as long as that does.
    version: Option<u64>,
}

/// Looks now and then at what was answered, for as long as it is polled.
pub async fn watch(ui: Arc<Ui>) {
    loop {
        ui.lately.since(ui.traffic.answered(), Instant::now());
        tokio::time::sleep(lately::EVERY).await;
    }
}

/// All pages.
pub fn router(ui: Arc<Ui>) -> Router {
    Router::new().fallback(answer).with_state(ui)
}

async fn answer(State(ui): State<Arc<Ui>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let is_head = request.method == Method::HEAD;
    let (page, reply) = ui.reply(&request).await;
    ui.metrics.count(page, reply.status);
    reply.into_response(is_head, &request.headers)
}

impl Ui {
    /// Ends all streams: whoever stops the server would wait for them.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    async fn reply(self: &Arc<Self>, request: &Parts) -> (Page, Reply) {
        let Parts {
            method,
            uri,
            headers,
            ..
        } = request;
        let wants_text = headers
            .get(header::ACCEPT)
            .is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
        let asked = Asked::read(uri.path(), uri.query(), wants_text);
        let allowed = if *method == Method::GET || *method == Method::HEAD {
            self.guard.check(uri, headers)
        } else {
            Err(Refusal::method())
        };
        let Some(asked) = asked else {
            let refusal = allowed
                .err()
                .unwrap_or_else(|| Refusal::no_page(uri.path()));
            return (Page::Other, self.refuse(None, &refusal));
        };
        if let Err(refusal) = allowed {
            return (Page::Other, self.refuse(Some(&asked), &refusal));
        }
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (&*path, asked.is_api) {
            ([], _) => (Page::Overview, self.shown(&asked, self.overview(&asked))),
            (["hosts"], _) => (Page::Hosts, self.shown(&asked, self.hosts(&asked))),
            (["hosts", name], _) => (Page::Host, self.host(&asked, name).await),
            (["changes"], _) => (
                Page::Changes,
                self.shown(&asked, self.changes(&asked).await),
            ),
            (["migration"], _) => (Page::Migration, self.shown(&asked, self.migration(&asked))),
            (["problems"], _) => (
                Page::Problems,
                self.shown(&asked, self.problems(&asked).await),
            ),
            (["forwarding"], _) => (
                Page::Forwarding,
                self.shown(&asked, self.forwarding(&asked)),
            ),
            (["events"], true) => {
                let activity = request.extensions.get::<Arc<Activity>>();
                let reply = match self.events(&asked, headers, activity) {
                    Ok(stream) => Reply::of_stream(stream),
                    Err(refusal) => self.refuse(Some(&asked), &refusal),
                };
                (Page::Events, reply)
            }
            (["about"], _) => (Page::About, self.shown(&asked, self.about(&asked))),
            // The path of the HTTP pages, which older commands ask for.
            (["api", "health"], false) | (["health"], true) => (Page::Health, self.health().await),
            ([name], false) if let Some(asset) = assets::find(name) => {
                (Page::Asset, Reply::of_asset(asset))
            }
            _ => (
                Page::Other,
                self.refuse(Some(&asked), &Refusal::no_page(uri.path())),
            ),
        }
    }

    /// What is checked, as the HTTP pages show it where they are to.
    async fn health(&self) -> Reply {
        let Some(board) = self.probing.board() else {
            let refusal = Refusal::no_page("/api/health: the configuration has no `health`");
            return self.refuse(None, &refusal);
        };
        let page = http::health_page(&self.probing, &board, &self.status).await;
        Reply::new(StatusCode::OK, JSON, page)
    }

    /// What the loop makes of a question.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Seen<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.questions.ask(question).await.map_err(|Busy| {
            let looked = self.status.load().last_reload;
            let age = looked.and_then(|looked| looked.elapsed().ok());
            Refusal::busy(age.unwrap_or_default())
        })
    }

    /// A page, in the form that was asked for.
    fn shown<T: Serialize>(&self, asked: &Asked, shown: Result<Shown<T>, Refusal>) -> Reply {
        match shown {
            Ok(shown) => self.page(asked, StatusCode::OK, &shown),
            Err(refusal) => self.refuse(Some(asked), &refusal),
        }
    }

    fn page<T: Serialize>(&self, asked: &Asked, status: StatusCode, shown: &Shown<T>) -> Reply {
        let etag = shown.version.map(|version| self.etag(asked, version));
        let (content_type, body) = if asked.is_api {
            (JSON, json(&shown.data))
        } else {
            let page = html::page(asked, &shown.title, &self.stamp(), &shown.markup);
            (HTML, page.into_string())
        };
        Reply {
            etag,
            ..Reply::new(status, content_type, body)
        }
    }

    fn refuse(&self, asked: Option<&Asked>, refusal: &Refusal) -> Reply {
        let (content_type, body) = match asked {
            Some(asked) if !asked.is_api => {
                let markup = html::refusal(refusal);
                let page = html::page(asked, "Not shown", &self.stamp(), &markup);
                (HTML, page.into_string())
            }
            _ => (JSON, json(&Refused::from(refusal))),
        };
        Reply {
            retry_after: refusal.retry_after.map(|after| after.as_secs().max(1)),
            ..Reply::new(refusal.status, content_type, body)
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp::of(&self.snapshots.load())
    }

    /// `<start>-<generation>-<hash of the URL and of what the page is made from>`.
    fn etag(&self, asked: &Asked, version: u64) -> String {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let hash = hasher.hash_one((format!("{asked:?}"), version));
        let generation = self.snapshots.load().generation();
        format!("W/\"{}-{generation}-{hash:016x}\"", self.start_text())
    }

    /// When the process began, as identities of answers have it.
    fn start_text(&self) -> String {
        let since = self.started.duration_since(SystemTime::UNIX_EPOCH);
        format!("{:x}", since.unwrap_or_default().as_micros())
    }
}

/// An error as programs get it.
#[derive(Serialize)]
struct Refused<'r> {
    error: RefusedWhy<'r>,
}

#[derive(Serialize)]
struct RefusedWhy<'r> {
    code: &'static str,
    message: &'r str,
}

impl<'r> From<&'r Refusal> for Refused<'r> {
    fn from(refusal: &'r Refusal) -> Self {
        Self {
            error: RefusedWhy {
                code: refusal.code,
                message: &refusal.message,
            },
        }
    }
}

fn json(data: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string(data).expect("texts, numbers, lists and objects can be written");
    text.push('\n');
    text
}

impl Reply {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            stream: None,
            etag: None,
            is_immutable: false,
            retry_after: None,
        }
    }

    fn of_stream(stream: Body) -> Self {
        Self {
            stream: Some(stream),
            ..Self::new(StatusCode::OK, EVENTS, Vec::new())
        }
    }

    fn of_asset(asset: &assets::Asset) -> Self {
        Self {
            is_immutable: true,
            ..Self::new(StatusCode::OK, asset.content_type, asset.content)
        }
    }

    fn into_response(mut self, is_head: bool, asked: &HeaderMap) -> Response {
        let known = asked.get(header::IF_NONE_MATCH);
        let is_known = self.etag.as_ref().is_some_and(|etag| {
            let known = known.and_then(|known| known.to_str().ok());
            known.is_some_and(|known| known.split(',').any(|known| known.trim() == etag))
        });
        if is_known {
            self.status = StatusCode::NOT_MODIFIED;
            self.body.clear();
        }
        let length = self.body.len();
        if is_head {
            self.body.clear();
        }
        let is_stream = self.stream.is_some();
        let stream = self.stream.take().filter(|_| !is_head);
        let mut response = Response::new(stream.unwrap_or_else(|| Body::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut set = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if !is_known {
            set(header::CONTENT_TYPE, self.content_type);
            if !is_stream {
                set(header::CONTENT_LENGTH, &length.to_string());
            }
        }
        set(header::HeaderName::from_static(API_HEADER), "1");
        set(header::CONTENT_SECURITY_POLICY, POLICY);
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "no-referrer");
        set(
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        );
        let caching = if self.is_immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        set(header::CACHE_CONTROL, caching);
        set(header::VARY, "Accept, Authorization");
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => set(header::ALLOW, "GET, HEAD"),
            StatusCode::UNAUTHORIZED => {
                set(
                    header::WWW_AUTHENTICATE,
                    "Basic realm=\"meshdns\", charset=\"UTF-8\"",
                );
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            set(header::RETRY_AFTER, &seconds.to_string());
        }
        if let Some(etag) = &self.etag {
            set(header::ETAG, etag);
        }
        response
    }
}
