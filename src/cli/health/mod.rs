//! `health`: the endpoints that are checked, and what is known of them: by servers, by the file that one left, or by trying.

mod attempt;
mod fetch;
mod join;
mod known;

use std::{
    collections::{BTreeMap, HashSet},
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
    time::SystemTime,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
pub(super) use join::join;
use known::Known;
use serde::Serialize;
use tokio::runtime::{self, Runtime};

use super::{
    Exit, Failure, exit, load, output,
    policy::{self, PolicyArgs},
};
use crate::{
    config::Config,
    dns::Name,
    health::{HeldFor, Observation, Ruling, Target},
    http::{HealthPage, StateWord, TargetPage},
    pipeline::{CheckedEndpoint, Pipeline},
    select::{Candidate, Selection, Source},
    wording::table,
};

const EXAMPLES: &str = "\
Examples:
  meshdns health --server http://127.0.0.1:9153       what a server has observed
  meshdns health svc1.internal.com zones --config meshdns.yaml --server http://127.0.0.1:9153
                                                      the same of the endpoints of one host
  meshdns health --server http://10.0.0.53:9153 --server http://10.0.0.54:9153
                                                      whether two servers see the same
  meshdns health --config meshdns.yaml                what the state file says
  meshdns health --try --config meshdns.yaml          whether checks pass from here, each made once";

/// Tell which endpoints are checked, and what is known of them
///
/// By the servers that --server names, which have `health.api: on`; else by the state file of the configuration. With --try each
/// endpoint is probed once from here, as a server on this machine would: the exit code is 79 where a check fails.
#[derive(Args, Debug)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
pub(super) struct HealthArgs {
    /// Host whose endpoints to show [default: all that are checked]
    #[arg(value_name = "NAME")]
    name: Option<String>,

    #[arg(value_name = "FOLDER", help = policy::FOLDERS_HELP)]
    folders: Vec<PathBuf>,

    /// Server to ask, by the address of its HTTP pages; repeat to compare
    #[arg(long = "server", value_name = "URL")]
    servers: Vec<String>,

    /// Probe each endpoint once from here
    #[arg(long = "try", conflicts_with = "servers")]
    is_try: bool,

    /// How to print the endpoints
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

/// What somebody knows of endpoints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// The server, or the file; `None` for this process.
    source: Option<String>,
    /// When it was known.
    at: Option<String>,
    endpoints: Vec<Row>,
}

/// One endpoint.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// `None` where only a server knows whose address it is, and does not say.
    endpoint: Option<String>,
    address: Option<IpAddr>,
    check: Option<String>,
    verdict: Option<String>,
    /// `in`, `kept` or `out`; `None` where the check was only tried.
    state: Option<&'static str>,
    why: String,
}

impl HealthArgs {
    /// Prints what is known of the endpoints.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let name = self.name.as_deref().map(read_name).transpose()?;
        let config = self.policy.config(self.folders.clone())?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start what asks servers and endpoints")?;
        if !self.servers.is_empty() && name.is_none() && !self.policy.has_file() {
            return self.show_servers(&runtime);
        }
        config.check()?;
        let Some(settings) = &config.health else {
            let error = anyhow::anyhow!(
                "the configuration has no `health`: nobody is checked; name it with --config"
            );
            return Err(Failure::new(Exit::Config, error));
        };
        let mut pipeline = load::load(&config)?.pipeline;
        let endpoints = self.endpoints(&pipeline, name.as_ref());
        if self.is_try {
            let targets: HashSet<Target> = endpoints
                .iter()
                .map(|endpoint| endpoint.target.clone())
                .collect();
            let observed = attempt::try_all(&runtime, settings, targets.into_iter().collect());
            let is_well = observed
                .values()
                .all(|observation| matches!(observation, Observation::Pass(_)));
            let rows = endpoints.iter().map(|endpoint| {
                let (verdict, why) =
                    attempt::described(&endpoint.target, observed[&endpoint.target]);
                row(endpoint, Some(verdict.to_owned()), None, why)
            });
            self.print(&[Report {
                source: None,
                at: None,
                endpoints: rows.collect(),
            }])?;
            return Ok(if is_well { Exit::Fine } else { Exit::Errors });
        }
        let mut reports = Vec::new();
        for (source, known) in self.known(&runtime, &config, &endpoints)? {
            let endpoints = match &name {
                Some(name) => host_rows(&mut pipeline, name, &known),
                None => endpoints
                    .iter()
                    .map(|endpoint| known_row(endpoint, &known))
                    .collect(),
            };
            reports.push(Report {
                source: Some(source),
                at: Some(known.at),
                endpoints,
            });
        }
        self.print(&reports)?;
        Ok(Exit::Fine)
    }

    /// What servers show, by the addresses that they probe.
    fn show_servers(&self, runtime: &Runtime) -> Result<Exit, Failure> {
        let mut reports = Vec::new();
        for server in &self.servers {
            let page = fetch(runtime, server)?;
            let rows = page.targets.iter().flat_map(shown_rows);
            reports.push(Report {
                source: Some(server.clone()),
                at: Some(page.at.clone()),
                endpoints: rows.collect(),
            });
        }
        self.print(&reports)?;
        Ok(Exit::Fine)
    }

    /// The endpoints that are checked: those of `name`, or all.
    fn endpoints(&self, pipeline: &Pipeline, name: Option<&Name>) -> Vec<CheckedEndpoint> {
        let mut endpoints = pipeline.checked_endpoints();
        if let Some(name) = name {
            let selection = pipeline.select(name);
            let candidates = selection.iter().flat_map(|selection| {
                let candidates = selection.candidates.iter();
                candidates.map(|candidate| endpoint_name(selection, candidate))
            });
            let named: HashSet<String> = candidates.collect();
            endpoints.retain(|endpoint| named.contains(&endpoint.name()));
        }
        if endpoints.is_empty() && self.output == Format::Table {
            output::talk("no endpoint here is checked");
        }
        endpoints
    }

    /// What servers, or the state file, know, and who that is.
    fn known(
        &self,
        runtime: &Runtime,
        config: &Config,
        endpoints: &[CheckedEndpoint],
    ) -> Result<Vec<(String, Known)>, Failure> {
        if self.servers.is_empty() {
            let file = config
                .health
                .as_ref()
                .and_then(|health| health.state_file.as_ref());
            let Some(file) = file else {
                let error = anyhow::anyhow!(
                    "nobody is asked: name a server with --server, set `health.stateFile`, or probe from here with --try"
                );
                return Err(Failure::new(Exit::Usage, error));
            };
            let known = Known::of_file(file, endpoints)
                .map_err(|error| Failure::new(Exit::NoInput, error))?;
            return Ok(vec![(file.display().to_string(), known)]);
        }
        let servers = self.servers.iter().map(|server| {
            let known = Known::of_page(&fetch(runtime, server)?);
            let known = known.map_err(|error| Failure::new(Exit::NoInput, error))?;
            Ok((server.clone(), known))
        });
        servers.collect()
    }

    fn print(&self, reports: &[Report]) -> Result<(), Failure> {
        output::data(|out| match self.output {
            Format::Table => reports
                .iter()
                .try_for_each(|report| write_table(out, report)),
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, reports)?;
                writeln!(out)
            }
        })
    }
}

fn read_name(text: &str) -> Result<Name, Failure> {
    let name = Name::from_text(text).with_context(|| format!("`{text}` is no domain name"));
    name.map_err(|error| Failure::new(Exit::Usage, error))
}

pub(super) fn fetch(runtime: &Runtime, server: &str) -> Result<HealthPage, Failure> {
    fetch::fetch(runtime, server).map_err(|error| Failure::new(Exit::NoInput, error))
}

fn row(
    endpoint: &CheckedEndpoint,
    verdict: Option<String>,
    state: Option<&'static str>,
    why: String,
) -> Row {
    Row {
        endpoint: Some(endpoint.name()),
        address: Some(endpoint.target.address),
        check: Some(known::check(&endpoint.target)),
        verdict,
        state,
        why,
    }
}

/// The endpoints of a target as its server joins what is said of them; the target alone where it names none.
fn shown_rows(target: &TargetPage) -> Vec<Row> {
    let row = |endpoint, state, why: &str| Row {
        endpoint,
        address: Some(target.address),
        check: Some(target.check.clone()),
        verdict: Some(target.verdict.clone()),
        state: Some(state),
        why: why.to_owned(),
    };
    let endpoints = target.endpoints.as_deref().unwrap_or_default();
    if endpoints.is_empty() {
        return vec![row(None, state(&target.ruling()), &target.why)];
    }
    let mut rows: Vec<Row> = endpoints
        .iter()
        .map(|endpoint| {
            // What follows from the check alone the target says in more words.
            let why = match (endpoint.state, &endpoint.why) {
                (StateWord::Out | StateWord::Kept, Some(why)) => why,
                _ => &target.why,
            };
            row(Some(endpoint.to_string()), endpoint.state.as_str(), why)
        })
        .collect();
    if target.more_endpoints > 0 {
        let more = format!("and {} more", target.more_endpoints);
        rows.push(row(Some(more), state(&target.ruling()), &target.why));
    }
    rows
}

fn known_row(endpoint: &CheckedEndpoint, known: &Known) -> Row {
    match known.targets.get(&endpoint.target) {
        Some(target) => row(
            endpoint,
            Some(target.verdict.clone()),
            Some(state(&target.ruling)),
            target.why.clone(),
        ),
        None => row(endpoint, None, None, "not known there".to_owned()),
    }
}

/// The endpoints of a host, as they count together with its others, with conditions and with persons' words.
fn host_rows(pipeline: &mut Pipeline, name: &Name, known: &Known) -> Vec<Row> {
    let checked = pipeline.checked_endpoints();
    let told = checked.iter().filter_map(|endpoint| {
        let known = known.targets.get(&endpoint.target)?;
        Some((endpoint.id, known.ruling.clone()))
    });
    pipeline.take_in_rulings(told);
    pipeline.compile(SystemTime::now());
    let by_name: BTreeMap<String, &CheckedEndpoint> = checked
        .iter()
        .map(|endpoint| (endpoint.name(), endpoint))
        .collect();
    let Some(selection) = pipeline.select(name) else {
        return Vec::new();
    };
    let rows = selection.candidates.iter().map(|candidate| {
        let endpoint = endpoint_name(&selection, candidate);
        let target = by_name.get(&endpoint).map(|checked| &checked.target);
        let known = target.and_then(|target| known.targets.get(target));
        let why = candidate
            .why()
            .or_else(|| known.map(|known| known.why.clone()));
        Row {
            endpoint: Some(endpoint),
            address: candidate.addresses.first().copied(),
            check: target.map(known::check),
            verdict: known.map(|known| known.verdict.clone()),
            state: Some(match &candidate.excluded {
                None => "in",
                Some(_) if candidate.kept => "kept",
                Some(_) => "out",
            }),
            why: why.unwrap_or_default(),
        }
    });
    rows.collect()
}

/// An endpoint of a host as [`CheckedEndpoint::name`] has it.
fn endpoint_name(selection: &Selection, candidate: &Candidate) -> String {
    let service = &selection.chosen[candidate.service].key;
    match (&candidate.source, candidate.addresses.first()) {
        (Source::Workload(workload), _) => workload.key.to_string(),
        (Source::Inline(_) | Source::Addresses, Some(address)) => format!("{service}/{address}"),
        (Source::Inline(_) | Source::Addresses, None) => service.to_string(),
    }
}

/// What follows for an endpoint from its check alone.
fn state(ruling: &Ruling) -> &'static str {
    match ruling {
        Ruling::Passing | Ruling::Pending => "in",
        Ruling::Held(HeldFor::Frozen | HeldFor::Unproven, _) => "kept",
        Ruling::Out(_) => "out",
    }
}

fn write_table(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    if let (Some(source), Some(at)) = (&report.source, &report.at) {
        writeln!(out, "{source}, {at}")?;
    }
    let dash = |text: Option<String>| {
        text.filter(|text| !text.is_empty())
            .unwrap_or("-".to_owned())
    };
    let cells = report.endpoints.iter().map(|row| {
        [
            dash(row.endpoint.clone()),
            dash(row.address.map(|address| address.to_string())),
            dash(row.check.clone()),
            dash(row.verdict.clone()),
            dash(row.state.map(ToOwned::to_owned)),
            dash(Some(row.why.clone())),
        ]
    });
    let cells: Vec<_> = cells.collect();
    let headers = ["ENDPOINT", "ADDRESS", "CHECK", "VERDICT", "STATE", "WHY"];
    table::write(out, 0, headers, &cells)
}
