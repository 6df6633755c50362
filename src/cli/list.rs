//! `list`: every host, where its endpoints come from and how many are in.

use std::{fmt::Write as _, net::IpAddr, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{
    Exit, Failure, exit, health, load, output,
    policy::{self, PolicyArgs},
    server::Server,
};
use crate::{
    authority::Authority, catalogue::EndpointsFrom, pipeline::Pipeline, select::Selection,
    wording::table,
};

/// How many addresses the table shows of one host.
const SHOWN_ADDRESSES: usize = 3;

const EXAMPLES: &str = "\
Examples:
  meshdns list                 the hosts of the folder zones
  meshdns list zones --output json | jq -r '.[] | select(.in == 0) | .host'
                               the hosts that have no endpoint at present";

/// List every host with its endpoints
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
pub(super) struct ListArgs {
    #[arg(value_name = "FOLDER", help = policy::FOLDERS_HELP)]
    folders: Vec<PathBuf>,

    /// Running server to ask, by the address of its status pages [default: the folders are read here]
    ///
    /// At the address of its HTTP pages it is asked what its checks came to, which the list made here takes in.
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// How to print the hosts
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,

    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One array of objects
    Json,
}

impl Format {
    /// Prints `rows`, which are `all` in JSON.
    fn print(
        self,
        rows: impl Iterator<Item = serde_json::Result<Row>>,
        all: &impl Serialize,
    ) -> Result<(), Failure> {
        output::data(|out| match self {
            Self::Table => {
                let headers = [
                    "HOST",
                    "NAMESPACE",
                    "SERVICEENTRY",
                    "SOURCE",
                    "IN",
                    "OUT",
                    "ADDRESSES",
                ];
                let cells: Result<Vec<_>, _> = rows.map(|row| row.map(|row| cells(&row))).collect();
                table::write(out, 0, headers, &cells?)
            }
            Self::Json => {
                serde_json::to_writer_pretty(&mut *out, all)?;
                writeln!(out)
            }
        })
    }
}

/// All hosts of the server at `url`; `None` where it has no status pages.
fn ask(url: &str) -> Result<Option<Vec<Value>>, Failure> {
    let server = Server::new(url)?;
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let parameters = [("limit", "1000"), ("after", &*after)];
        let page = server.ask(&["hosts"], &parameters, "application/json")?;
        let Some(page) = page else { return Ok(None) };
        let page: Page = serde_json::from_slice(&page.body)
            .with_context(|| format!("read what the server {url} says"))
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        rows.extend(page.hosts);
        match page.next {
            Some(next) => after = next,
            None => return Ok(Some(rows)),
        }
    }
}

/// A page of hosts of a server.
#[derive(Deserialize)]
struct Page {
    hosts: Vec<Value>,
    next: Option<String>,
}

/// One host.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    host: String,
    /// The namespace that answers; `None` where none does.
    namespace: Option<String>,
    /// The ServiceEntries that answer.
    service_entries: Vec<String>,
    source: String,
    r#in: usize,
    out: usize,
    addresses: Vec<IpAddr>,
    /// The ServiceEntries that have the host and do not answer, as `namespace/name`.
    lost: Vec<String>,
}

impl ListArgs {
    /// Prints the hosts in canonical order: what is below a name follows it.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        if let Some(url) = &self.server
            && let Some(rows) = ask(url)?
        {
            self.output
                .print(rows.iter().map(Row::deserialize), &rows)?;
            return Ok(Exit::Fine);
        }
        let config = self.policy.config(self.folders)?;
        let mut loaded = load::load(&config)?;
        if let Some(upstreams) = load::upstreams(&config)? {
            upstreams.resolve(&mut loaded.pipeline, None);
        }
        health::join(&mut loaded.pipeline, &config, self.server.as_deref())?;
        let rows = Rows(&loaded.pipeline);
        self.output.print(rows.iter().map(Ok), &rows)?;
        if loaded.pipeline.mesh().host_count() == 0 {
            output::talk("no ServiceEntry here has a host");
        }
        loaded.mention_errors(&config);
        Ok(Exit::Fine)
    }
}

/// All hosts, each made when its turn comes: together they may have far more addresses than the mesh has endpoints.
struct Rows<'p>(&'p Pipeline);

impl Rows<'_> {
    fn iter(&self) -> impl Iterator<Item = Row> {
        let hosts = self.0.mesh().hosts().into_iter();
        let selections = hosts.filter_map(|host| self.0.select(host));
        selections.map(|selection| row(self.0.authority(), &selection))
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

fn row(authority: &Authority, selection: &Selection) -> Row {
    let chosen = &selection.chosen;
    let candidates = selection.candidates.iter();
    let in_count = candidates
        .filter(|candidate| selection.is_in(candidate))
        .count();
    Row {
        host: selection.host.to_host(),
        namespace: chosen
            .first()
            .map(|service| service.key.namespace.to_string()),
        service_entries: chosen
            .iter()
            .map(|service| service.key.name.to_string())
            .collect(),
        source: EndpointsFrom::of(
            authority,
            &selection.host,
            chosen.iter().map(|service| &**service),
            selection.lost.iter().map(|(_, loss)| *loss),
        )
        .as_str()
        .to_owned(),
        r#in: in_count,
        out: selection.candidates.len() - in_count,
        addresses: selection.gathering.addresses.clone(),
        lost: selection
            .lost
            .iter()
            .map(|(service, _)| format!("{}/{}", service.key.namespace, service.key.name))
            .collect(),
    }
}

fn cells(row: &Row) -> [String; 7] {
    let or_dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let hidden = row.addresses.len().saturating_sub(SHOWN_ADDRESSES);
    let shown = row.addresses.iter().take(SHOWN_ADDRESSES);
    let shown: Vec<String> = shown.map(ToString::to_string).collect();
    let mut addresses = shown.join(",");
    if hidden > 0 {
        let _ = write!(addresses, " + {hidden} more");
    }
    [
        row.host.clone(),
        or_dash(row.namespace.clone().unwrap_or_default()),
        or_dash(row.service_entries.join(",")),
        row.source.clone(),
        row.r#in.to_string(),
        row.out.to_string(),
        or_dash(addresses),
    ]
}
