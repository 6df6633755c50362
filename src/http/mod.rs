//! `/health`, `/ready` and `/metrics`, and `/api/health` where the configuration wants it.
//!
//! `/health` says OK as long as changes are followed and every thread runs, and no where only a restart helps. `/ready` names what is missing until
//! queries are answered from a loaded mesh, and for a while what can't be read at the start. It stays ready on last good data, and
//! turns unready when the process is asked to stop. This module reads what others
//! publish, and owns nothing but its sockets.
//!
//! Never changes anything: every page is a GET.

mod api;
mod figures;
#[cfg(fuzzing)]
pub mod fuzzing;
mod server;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Semaphore;

pub use api::{DrainPage, EndpointPage, HealthPage, OutcomeWord, PageError, StateWord, TargetPage};
pub use figures::Figures;
pub use server::{Audience, BindError, Sockets};

use crate::{
    metrics::MetricsPage,
    probe::{Probing, SharedBoard},
    status::{Status, Watching},
    threads,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writing the metrics takes a thread some time: the others are for probes.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// How far the process is between its start and its end.
#[derive(Debug, Default)]
pub struct Lifecycle {
    bound: AtomicBool,
    stopping: AtomicBool,
}

impl Lifecycle {
    /// The DNS sockets are bound and queries are read from them.
    pub fn mark_bound(&self) {
        self.bound.store(true, Ordering::Release);
    }

    /// The process was asked to stop; it still answers.
    pub fn mark_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// What the pages show.
#[derive(Debug)]
pub struct Pages {
    /// Tells whether the sockets are bound and whether the process stops.
    pub lifecycle: Arc<Lifecycle>,
    /// Tells whether the mesh is loaded.
    pub status: Arc<ArcSwap<Status>>,
    /// What `/metrics` shows.
    pub metrics: MetricsPage,
    /// What `/api/health` shows, where it is to be there.
    pub probing: Option<Arc<Probing>>,
}

impl Pages {
    /// What is missing before queries are answered as they should be; nothing where all is well.
    fn missing(&self, status: &Status) -> Vec<String> {
        let Lifecycle { bound, stopping } = &*self.lifecycle;
        let mut missing = Vec::new();
        if !bound.load(Ordering::Acquire) {
            missing.push("the DNS sockets are not bound yet".to_owned());
        }
        if status.generation == 0 {
            missing.push("the first load of the mesh is not done yet".to_owned());
        } else if status.waits {
            missing.push(format!("not everything can be read: {}", status.unread));
        }
        if stopping.load(Ordering::Acquire) {
            missing.push("shutting down".to_owned());
        }
        missing
    }
}

/// What is worth a note although queries are answered.
fn notes(status: &Status) -> Vec<String> {
    let mut notes = Vec::new();
    if status.unread.count > 0 {
        let unread = &status.unread;
        notes.push(format!("could not be read since the start: {unread}"));
    }
    if let Some(state) = &status.state
        && state.in_use.count > 0
    {
        let since = state.in_use_since.unwrap_or(SystemTime::UNIX_EPOCH);
        notes.push(format!(
            "the last good state, of {}, stands in for what can't be read: {}",
            humantime::format_rfc3339_seconds(since),
            state.in_use
        ));
    }
    notes
}

/// The pages by path. A HEAD request gets a GET's headers; another method gets 405.
pub fn router(pages: Arc<Pages>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/health", get(api_health))
        .fallback(not_found)
        .with_state(pages)
}

async fn health(State(pages): State<Arc<Pages>>) -> Response {
    let faults = faults(&pages.status.load().watching, &threads::ended());
    if faults.is_empty() {
        return "OK\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, faults).into_response()
}

/// What only a restart mends, a line each, for those who restart.
fn faults(watching: &Watching, ended: &[String]) -> String {
    let mut lines = String::new();
    if *watching == Watching::Stopped {
        lines.push_str("changes are no longer followed: restart meshdns\n");
    }
    for name in ended {
        let _ = writeln!(lines, "{name} has ended: restart meshdns");
    }
    lines
}

async fn ready(State(pages): State<Arc<Pages>>) -> Response {
    let status = pages.status.load();
    let missing = pages.missing(&status);
    let code = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut lines = missing;
    if lines.is_empty() {
        lines.push("OK".to_owned());
        lines.extend(notes(&status));
    }
    let reasons = &status.not_followed.first;
    lines.extend(
        reasons
            .iter()
            .map(|reason| format!("not followed: {reason}")),
    );
    match status.not_followed.count.saturating_sub(reasons.len()) {
        0 => {}
        more => lines.push(format!("not followed: {more} more")),
    }
    (code, format!("{}\n", lines.join("\n"))).into_response()
}

async fn metrics(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    // Others have their turn in between: those who ask for many pages at once must not keep a probe waiting.
    tokio::task::yield_now().await;
    let _turn = ONE_AT_A_TIME.acquire().await;
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let (content_type, page) = if wants_open_metrics(accept.unwrap_or_default()) {
        (OPEN_METRICS, pages.metrics.open_metrics())
    } else {
        (PROMETHEUS, pages.metrics.prometheus())
    };
    ([(header::CONTENT_TYPE, content_type)], page).into_response()
}

async fn api_health(State(pages): State<Arc<Pages>>, uri: Uri) -> Response {
    let Some(probing) = &pages.probing else {
        return not_found(uri).await;
    };
    let Some(board) = probing.shown_board() else {
        return not_found(uri).await;
    };
    let page = health_page(probing, &board, &pages.status).await;
    ([(header::CONTENT_TYPE, "application/json")], page).into_response()
}

/// What the server has observed of endpoints, as JSON.
pub(crate) async fn health_page(
    probing: &Probing,
    board: &SharedBoard,
    status: &ArcSwap<Status>,
) -> String {
    // The loop may be busy: nobody else has to wait for that.
    let judged = probing.judged().await;
    // As the metrics, it takes a thread some time.
    let _turn = ONE_AT_A_TIME.acquire().await;
    HealthPage::new(board, &status.load(), judged.as_deref()).to_json()
}

async fn not_found(uri: Uri) -> Response {
    let text = format!(
        "nothing at {}; the pages are /health, /ready and /metrics\n",
        uri.path()
    );
    (StatusCode::NOT_FOUND, text).into_response()
}

/// Whether an `Accept` header gives `OpenMetrics` 1.0 at least the weight of plain text; Prometheus sends both.
fn wants_open_metrics(accept: &str) -> bool {
    let mut open_metrics = 0.0;
    let mut plain = 0.0;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let (mut weight, mut version) = (1.0, "1.0.0");
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("q", value)) => weight = value.parse().unwrap_or(0.0),
                Some(("version", value)) => version = value,
                _ => {}
            }
        }
        match media_type {
            "application/openmetrics-text" if version == "1.0.0" => {
                open_metrics = f64::max(open_metrics, weight);
            }
            "text/plain" => plain = f64::max(plain, weight),
            _ => {}
        }
    }
    open_metrics > 0.0 && open_metrics >= plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_names_what_has_ended() {
        let ended = ["tcp 127.0.0.1:53", "udp-0"].map(str::to_owned);
        assert_eq!(faults(&Watching::Events, &[]), "");
        assert_eq!(
            faults(&Watching::Stopped, &ended),
            "changes are no longer followed: restart meshdns\n\
             tcp 127.0.0.1:53 has ended: restart meshdns\n\
             udp-0 has ended: restart meshdns\n"
        );
    }

    #[track_caller]
    fn check(accept: &str, expected: bool) {
        assert_eq!(wants_open_metrics(accept), expected, "{accept}");
    }

    #[test]
    fn writes_what_the_scraper_prefers() {
        check("", false);
        check("*/*", false);
        check("text/plain", false);
        check("application/openmetrics-text", true);
        check(
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        );
        check("application/openmetrics-text;version=0.0.1", false);
        check("application/openmetrics-text;version=1.0.0;q=0", false);
        // Prometheus 2 and 3.
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            true,
        );
        check(
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.2",
            false,
        );
    }
}
