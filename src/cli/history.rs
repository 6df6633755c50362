//! `history`: what a name answered before, and which object's which field changed it, as a running server knows it.

use std::{
    fmt::Write as _,
    io::{self, Write},
    net::IpAddr,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{
    Exit, Failure, exit, output,
    server::{Got, Server},
};
use crate::{dns::Name, wording::table};

/// Where a server has its status pages where nothing is said.
const DEFAULT_SERVER: &str = "http://127.0.0.1:9154";

const EXAMPLES: &str = "\
Examples:
  meshdns history svc1.internal.com                   what changed its answer, newest first
  meshdns history svc1.internal.com --since 1h        in the last hour
  meshdns history svc1.internal.com --at 14:05        what it answered then (UTC, today)
  meshdns history svc1.internal.com --server http://10.0.0.53:9154 --output json";

/// Tell what a name answered before, and what changed it
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
pub(super) struct HistoryArgs {
    /// Host to ask for
    #[arg(value_name = "NAME")]
    name: String,

    /// Running server to ask, by the address of its status pages
    #[arg(long, value_name = "URL", default_value = DEFAULT_SERVER)]
    server: String,

    /// Time at which to tell what it answered: as in 2026-11-30T14:05:00Z, 14:05 of today in UTC, or 1h for an hour ago
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    at: Option<String>,

    /// Time from which on to tell changes, in the same forms [default: as far as they are known]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Record type, with --at
    #[arg(
        long = "type",
        short = 't',
        value_name = "TYPE",
        default_value = "A",
        requires = "at"
    )]
    record_type: String,

    /// How to print them
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object, as the API has it
    Json,
}

/// What the server knows of changes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    known_since: Option<String>,
    changes: Vec<Change>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    time: String,
    cause: Cause,
    added: Vec<IpAddr>,
    removed: Vec<IpAddr>,
}

#[derive(Deserialize)]
struct Cause {
    object: Option<Object>,
    file: Option<String>,
    line: Option<u32>,
    cluster: Option<String>,
    what: String,
    field: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    kind: String,
    namespace: String,
    name: String,
}

/// What the server knows of a time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Then {
    at: String,
    known_since: Option<String>,
    answer: Option<Vec<Record>>,
}

#[derive(Deserialize)]
struct Record {
    data: String,
}

impl HistoryArgs {
    /// Prints the history of one name.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let name = Name::from_text(&self.name)
            .with_context(|| format!("`{}` is no domain name", self.name))
            .map_err(|error| Failure::new(Exit::Usage, error))?;
        let server = Server::new(&self.server)?;
        match &self.at {
            Some(at) => self.show_then(&server, &name, at)?,
            None => self.show_changes(&server, &name)?,
        }
        Ok(Exit::Fine)
    }

    fn show_then(&self, server: &Server<'_>, name: &Name, at: &str) -> Result<(), Failure> {
        let parameters = [("type", &*self.record_type), ("at", at)];
        let got = self.ask(server, &["hosts", &name.to_host()], &parameters)?;
        if self.output == Format::Json {
            return output::data(|out| output::pretty(out, &got.body));
        }
        let then: Then = self.read(&got)?;
        let since = then.known_since.as_deref().unwrap_or("the first load");
        match then.answer {
            None => {
                output::talk(&format!("not known before {since}"));
                Ok(())
            }
            Some(answer) => {
                if answer.is_empty() {
                    output::talk(&format!("it answered with no address at {}", then.at));
                }
                output::data(|out| {
                    let mut records = answer.iter();
                    records.try_for_each(|record| writeln!(out, "{}", record.data))
                })
            }
        }
    }

    fn show_changes(&self, server: &Server<'_>, name: &Name) -> Result<(), Failure> {
        let host = name.to_host();
        let since = self.since.as_deref().unwrap_or_default();
        let parameters = [("host", &*host), ("since", since), ("limit", "1000")];
        let got = self.ask(server, &["changes"], &parameters)?;
        if self.output == Format::Json {
            return output::data(|out| output::pretty(out, &got.body));
        }
        let known: Told = self.read(&got)?;
        output::data(|out| write_changes(out, &known))?;
        if let Some(since) = &known.known_since {
            output::talk(&format!("changes are known since {since}"));
        }
        if known.next.is_some() {
            output::talk("there are earlier ones: ask for --output json, or look at /changes");
        }
        Ok(())
    }

    fn ask(
        &self,
        server: &Server<'_>,
        path: &[&str],
        parameters: &[(&str, &str)],
    ) -> Result<Got, Failure> {
        let got = server.ask(path, parameters, "application/json")?;
        got.ok_or_else(|| {
            let error = anyhow::anyhow!(
                "there are no status pages at {}: give the address of --ui",
                self.server
            );
            Failure::new(Exit::Unavailable, error)
        })
    }

    fn read<'g, T: Deserialize<'g>>(&self, got: &'g Got) -> Result<T, Failure> {
        serde_json::from_slice(&got.body)
            .with_context(|| format!("read what the server {} says", self.server))
            .map_err(|error| Failure::new(Exit::Unavailable, error))
    }
}

fn write_changes(out: &mut dyn Write, known: &Told) -> io::Result<()> {
    let rows: Vec<_> = known.changes.iter().map(row).collect();
    table::write(out, 0, ["TIME", "CAUSE", "AT", "ADDRESSES"], &rows)
}

fn row(change: &Change) -> [String; 4] {
    let cause = &change.cause;
    let mut what = match &cause.object {
        Some(object) => format!("{} {}/{}: ", object.kind, object.namespace, object.name),
        None => String::new(),
    };
    what += cause.field.as_deref().unwrap_or(&cause.what);
    if cause.before.is_some() || cause.after.is_some() {
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "unset".to_owned());
        let _ = write!(what, " {} → {}", said(&cause.before), said(&cause.after));
    }
    let at = match (&cause.file, cause.line, &cause.cluster) {
        (Some(file), Some(line), _) => format!("{file}:{line}"),
        (_, _, Some(cluster)) => format!("cluster {cluster}"),
        _ => "-".to_owned(),
    };
    let added = change.added.iter().map(|address| format!("+{address}"));
    let removed = change.removed.iter().map(|address| format!("-{address}"));
    let addresses: Vec<String> = added.chain(removed).collect();
    let addresses = if addresses.is_empty() {
        "the same, in other parts".to_owned()
    } else {
        addresses.join(" ")
    };
    [change.time.clone(), what, at, addresses]
}
