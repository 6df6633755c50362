//! `list`: every host, where its endpoints come from and how many are in.

use std::{fmt::Write as _, net::IpAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};

use super::{
    Exit, Failure, exit, health, load, output,
    policy::{self, PolicyArgs},
    table,
};
use crate::{
    authority::Authority, catalogue::EndpointsFrom, pipeline::Pipeline, select::Selection,
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

    /// Server to ask what its checks came to, by the address of its HTTP pages [default: the state file of the configuration]
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

/// One host.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    host: String,
    /// The namespace that answers; `None` where none does.
    namespace: Option<String>,
    /// The ServiceEntries that answer.
    service_entries: Vec<String>,
    source: &'static str,
    r#in: usize,
    out: usize,
    addresses: Vec<IpAddr>,
    /// The ServiceEntries that have the host and do not answer, as `namespace/name`.
    lost: Vec<String>,
}

impl ListArgs {
    /// Prints the hosts in canonical order: what is below a name follows it.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let config = self.policy.config(self.folders)?;
        let mut loaded = load::load(&config)?;
        if let Some(upstreams) = load::upstreams(&config)? {
            upstreams.resolve(&mut loaded.pipeline, None);
        }
        health::join(&mut loaded.pipeline, &config, self.server.as_deref())?;
        let rows = Rows(&loaded.pipeline);
        output::data(|out| match self.output {
            Format::Table => {
                let headers = [
                    "HOST",
                    "NAMESPACE",
                    "SERVICEENTRY",
                    "SOURCE",
                    "IN",
                    "OUT",
                    "ADDRESSES",
                ];
                let cells: Vec<_> = rows.iter().map(|row| cells(&row)).collect();
                table::write(out, 0, headers, &cells)
            }
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &rows)?;
                writeln!(out)
            }
        })?;
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
        host: output::host(&selection.host),
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
        .as_str(),
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
        row.source.to_owned(),
        row.r#in.to_string(),
        row.out.to_string(),
        or_dash(addresses),
    ]
}
