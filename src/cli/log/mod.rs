//! Log lines: to stderr, as text or JSON. Nobody waits for whoever reads them, and no line is said too often.

mod lines;
mod quota;

use std::{io, panic, sync::Arc, time::Duration};

use anyhow::Context as _;

use tracing_subscriber::{
    Layer as _, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

pub(super) use self::lines::Lines;
use self::quota::Quota;
use super::output;
use crate::{
    config::value::{LogFormat, LogLevel},
    metrics::LogLines,
};

/// How long the end of the process waits for whoever reads the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Changes the level of a log that has started; ends it when dropped.
#[derive(Debug)]
pub(super) struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    /// Where the log is written to.
    pub(super) lines: Lines,
    /// What is left out.
    pub(super) dropped: Arc<LogLines>,
}

/// Starts the log of this process.
///
/// # Errors
///
/// Where there is no thread that writes it.
pub(super) fn start(format: LogFormat, level: &LogLevel) -> anyhow::Result<LogControl> {
    let (filter, control) = reload::Layer::new(filter(level));
    let dropped = Arc::<LogLines>::default();
    let lines =
        Lines::start(Arc::clone(&dropped)).context("start the thread that writes the log")?;
    let writer = lines.clone();
    let layer = fmt::layer().with_writer(move || writer.clone());
    let layer = match format {
        LogFormat::Text => layer.with_ansi(output::is_coloured(&io::stderr())).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(Quota::new(Arc::clone(&dropped)))
        .with(layer)
        .init();
    // A panic is a log line like any other: whoever reads JSON must not stumble over it.
    panic::set_hook(Box::new(|info| {
        let message = info.to_string().replace('\n', " ");
        tracing::error!("{message}: this is a bug in meshdns, please report it");
    }));
    Ok(LogControl {
        filter: control,
        lines,
        dropped,
    })
}

/// What `level` says, and silence from the libraries that watch folders, ask API servers and speak TLS where it says nothing of them: what
/// those tell, such as of a folder that went before its watch, is told by this program where it is news.
fn filter(level: &LogLevel) -> Targets {
    let wished = level.0.clone();
    let quiet = Targets::new()
        .with_target("notify", LevelFilter::ERROR)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("rustls", LevelFilter::OFF)
        .with_target("tower", LevelFilter::OFF);
    match wished.default_level() {
        Some(default) => quiet.with_default(default).with_targets(wished),
        None => quiet.with_targets(wished),
    }
}

impl LogControl {
    /// Writes from here on what `level` says.
    pub(super) fn set(&self, level: &LogLevel) {
        self.filter
            .reload(filter(level))
            .expect("the subscriber lives as long as the process");
    }
}

impl Drop for LogControl {
    fn drop(&mut self) {
        self.lines.flush(LAST_LINES);
    }
}
