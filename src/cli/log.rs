//! Log lines: to stderr, as text or JSON.

use std::{io, panic};

use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::output;
use crate::config::value::{LogFormat, LogLevel};

/// Changes the level of a log that has started.
#[derive(Clone, Debug)]
pub(super) struct LogControl(reload::Handle<Targets, Registry>);

/// Starts the log of this process.
pub(super) fn start(format: LogFormat, level: &LogLevel) -> LogControl {
    let (filter, control) = reload::Layer::new(level.0.clone());
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(output::is_coloured(&io::stderr())).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    // A panic is a log line like any other: whoever reads JSON must not stumble over it.
    panic::set_hook(Box::new(|info| {
        let message = info.to_string().replace('\n', " ");
        tracing::error!("{message}: this is a bug in meshdns, please report it");
    }));
    LogControl(control)
}

impl LogControl {
    /// Writes from here on what `level` says.
    pub(super) fn set(&self, level: &LogLevel) {
        self.0
            .reload(level.0.clone())
            .expect("the subscriber lives as long as the process");
    }
}
