//! `drain`: takes an endpoint out before it is stopped, and waits until that is safe.

mod file;

use std::{
    fmt::Write as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::runtime::{self, Runtime};

use super::{Exit, Failure, exit, health::fetch, output, policy::PolicyArgs};
use crate::{diagnostic::Kind, health::Overrides, http::HealthPage};

const EXAMPLES: &str = "\
Examples:
  meshdns drain shop/orders-vm2 --overrides overrides.yaml --reason CHG-4711
                                      write the line that takes the VM out
  meshdns drain shop/orders-vm2 --wait
                                      wait until it is safe to stop, whoever drained it
  meshdns drain shop/orders-vm2 --overrides overrides.yaml --undo
                                      take it in again
  meshdns drain 'ServiceEntry shop/legacy/192.0.2.50' --config /etc/meshdns/meshdns.yaml --wait
                                      an inline endpoint; the file is that of the configuration

Safe to stop is when the last answer with it is older than its TTL, plus `health.drainMargin`. `--wait` asks the server's
/api/health for that, which the configuration opens by `health: {api: on}`.";

/// How often a server is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Take an endpoint out of the answers before it is stopped
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
pub(super) struct DrainArgs {
    /// NAMESPACE/NAME of a WorkloadEntry, or `KIND NAMESPACE/NAME`, as an override file has it
    #[arg(value_name = "NAME")]
    name: String,

    /// Override file to write into [default: that of the configuration]
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,

    /// Until when (RFC 3339) [default: for ever]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Why, as `explain` and the log show it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Take it in again
    #[arg(long, conflicts_with_all = ["wait", "until", "reason"])]
    undo: bool,

    /// Wait until every server says that it is safe to stop
    #[arg(long)]
    wait: bool,

    /// Where the pages of a server are; may be given several times
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9153")]
    server: Vec<String>,

    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    policy: PolicyArgs,
}

impl DrainArgs {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let endpoint = endpoint(&self.name);
        let file = self.file()?;
        let line = self.line(&endpoint);
        // The line itself is checked before anything is written.
        Overrides::parse("", &line)
            .map_err(|error| Failure::new(Exit::Usage, anyhow::anyhow!("{}", error.message)))?;
        match &file {
            Some(path) => {
                let undone = self.undo.then(|| drain_begin(&endpoint));
                file::say(path, &line, undone.as_deref())
                    .map_err(|error| Failure::new(Exit::NoInput, error))?;
                output::talk(&format!("{}: {line}", path.display()));
            }
            None if self.wait => {}
            None => {
                return Err(Failure::new(
                    Exit::Usage,
                    anyhow::anyhow!(
                        "nobody says where the override file is: add --overrides FILE, or --wait where an annotation \
                         `meshdns.io/state: drain` drains it"
                    ),
                ));
            }
        }
        if self.wait {
            return self.wait_until_safe(&endpoint);
        }
        Ok(Exit::Fine)
    }

    /// The override file; `None` where nobody names one.
    fn file(&self) -> Result<Option<PathBuf>, Failure> {
        if self.overrides.is_some() {
            return Ok(self.overrides.clone());
        }
        let config = self.policy.config(Vec::new())?;
        Ok(config.health.and_then(|health| health.overrides))
    }

    fn line(&self, endpoint: &str) -> String {
        if self.undo {
            return format!("- {{match: {}, state: auto}}", quoted(endpoint));
        }
        drain_line(endpoint, self.until.as_deref(), self.reason.as_deref())
    }

    fn wait_until_safe(&self, endpoint: &str) -> Result<Exit, Failure> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start what asks servers")?;
        let until = Instant::now() + self.timeout;
        let mut told = None;
        loop {
            let safe = self.safe_at(&runtime, endpoint)?;
            if let Some(safe) = safe {
                if told != Some(safe) {
                    let time = humantime::format_rfc3339_seconds(safe);
                    output::talk(&format!("{endpoint} is safe to stop {time}"));
                    told = Some(safe);
                }
                if SystemTime::now() >= safe {
                    return Ok(Exit::Fine);
                }
            }
            if Instant::now() >= until {
                let message = if told.is_some() {
                    format!("{endpoint} is not safe to stop yet")
                } else {
                    format!(
                        "{endpoint} is not drained at {}: see `meshdns explain`",
                        self.server.join(" and ")
                    )
                };
                return Err(Failure::new(Exit::TooLittle, anyhow::anyhow!(message)));
            }
            thread::sleep(INTERVAL);
        }
    }

    /// When the last server says that the endpoint may be stopped; `None` while one does not drain it.
    fn safe_at(&self, runtime: &Runtime, endpoint: &str) -> Result<Option<SystemTime>, Failure> {
        let mut latest = SystemTime::UNIX_EPOCH;
        for server in &self.server {
            let page = fetch(runtime, server)?;
            let Some(safe) = safe_by(&page, endpoint)? else {
                return Ok(None);
            };
            latest = latest.max(safe);
        }
        Ok(Some(latest))
    }
}

/// Where several clusters have an endpoint of the name, when all of them that are drained are safe to stop.
fn safe_by(page: &HealthPage, endpoint: &str) -> Result<Option<SystemTime>, anyhow::Error> {
    let mut latest = None;
    let drains = page.drains.iter();
    for drain in drains.filter(|drain| drain.endpoint == endpoint) {
        match humantime::parse_rfc3339(&drain.safe) {
            Ok(safe) => latest = latest.max(Some(safe)),
            Err(error) => bail!("the server says that it is safe {}: {error}", drain.safe),
        }
    }
    Ok(latest)
}

/// The endpoint as an override file names it: a WorkloadEntry is meant where no kind is named.
fn endpoint(name: &str) -> String {
    if name.contains(' ') || !name.contains('/') {
        name.to_owned()
    } else {
        format!("{} {name}", Kind::WorkloadEntry)
    }
}

fn drain_line(endpoint: &str, until: Option<&str>, reason: Option<&str>) -> String {
    let mut line = drain_begin(endpoint);
    for (key, value) in [("until", until), ("reason", reason)] {
        if let Some(value) = value {
            let _ = write!(line, ", {key}: {}", quoted(value));
        }
    }
    line.push('}');
    line
}

/// How a line begins that drains the endpoint, whatever else it says.
fn drain_begin(endpoint: &str) -> String {
    format!("- {{match: {}, state: drain", quoted(endpoint))
}

/// A text as YAML and JSON read it alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
