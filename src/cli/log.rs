//! Log lines: to stderr, as text or JSON.

use std::{io, panic};

use tracing_subscriber::{
    Layer as _, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use super::output::{self, Lines};
use crate::config::value::{LogFormat, LogLevel};

/// Changes the level of a log that has started.
#[derive(Clone, Debug)]
pub(super) struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    /// Where the log is written to.
    pub(super) lines: Lines,
}

/// Starts the log of this process.
pub(super) fn start(format: LogFormat, level: &LogLevel) -> LogControl {
    let (filter, control) = reload::Layer::new(filter(level));
    let lines = Lines::default();
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
        .with(layer)
        .init();
    // A panic is a log line like any other: whoever reads JSON must not stumble over it.
    panic::set_hook(Box::new(|info| {
        let message = info.to_string().replace('\n', " ");
        tracing::error!("{message}: this is a bug in meshdns, please report it");
    }));
    LogControl {
        filter: control,
        lines,
    }
}

/// What `level` says, and silence from the watching library where it says nothing of it: what that warns of, such as a
/// folder that went before its watch, is no news to anybody.
fn filter(level: &LogLevel) -> Targets {
    let wished = level.0.clone();
    let quiet = Targets::new().with_target("notify", LevelFilter::ERROR);
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
