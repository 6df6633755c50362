//! `check`: what is wrong with a mesh.

mod github;
mod json;
mod text;

use std::{fmt::Write as _, path::PathBuf, time::SystemTime};

use clap::{Args, ValueEnum};

use super::{
    Exit, Failure, clusters, exit,
    load::{self, Loaded},
    output::{self, count},
    policy::PolicyArgs,
};
use crate::{
    config::Config,
    diagnostic::{Diagnostic, Severity},
    pipeline::Pipeline,
    serve::{Certificates, CookieKeys},
};

const EXAMPLES: &str = "\
Examples:
  meshdns check zones                        a folder with everything below it
  meshdns check zones/reviews.yaml           one file
  meshdns check zones --output json | jq     for programs
  meshdns check zones --output github        annotations in a GitHub workflow
  meshdns check zones --config meshdns.yaml  the configuration file too
  meshdns check zones --strict               no file may be anything but a manifest
  meshdns check --kubernetes                 the cluster of the current context

What check rejects, serve does not answer with; warnings don't change the exit code.";

/// Look for mistakes in manifests, as serve would read them
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
pub(super) struct CheckArgs {
    /// Mesh folders or files
    #[arg(value_name = "PATH", required_unless_present = "kubernetes")]
    paths: Vec<PathBuf>,

    /// Take files that are no manifests for errors
    #[arg(long)]
    strict: bool,

    /// How to print what was found
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,

    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people: each problem under its line
    Text,
    /// One array of objects
    Json,
    /// Annotations in a GitHub workflow
    Github,
}

impl CheckArgs {
    /// Prints every diagnostic, and ends in an error where one is.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let mut config = self.policy.config(self.paths)?;
        if self.policy.has_file() {
            check_settings(&config)?;
        }
        if !self.policy.names_cluster() {
            // Those of the configuration file: files are checked where no cluster can be reached.
            config.clusters.clear();
        }
        let Loaded {
            pipeline,
            has_unreadable,
        } = load::load(&config)?;
        let mut diagnostics = pipeline.diagnostics().to_vec();
        diagnostics.extend(pipeline.mesh().unselected());
        diagnostics.extend(pipeline.untied());
        diagnostics.sort();
        let diagnostics = in_order(diagnostics, self.strict);
        let summary = summary(&pipeline, &diagnostics, config.clusters.len());
        output::data(|out| match self.output {
            Format::Text => {
                text::write(out, &diagnostics)?;
                writeln!(out, "{summary}")
            }
            Format::Json => json::write(out, &diagnostics),
            Format::Github => github::write(out, &diagnostics),
        })?;
        if self.output != Format::Text {
            output::talk(&summary);
        }
        Ok(if has_unreadable {
            Exit::NoInput
        } else if number(&diagnostics, Severity::Error) > 0 {
            Exit::Errors
        } else {
            Exit::Fine
        })
    }
}

/// What is wrong with the mesh first, then what is no part of it: errors where that is asked for.
fn in_order(mut diagnostics: Vec<Diagnostic>, is_strict: bool) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(|diagnostic| diagnostic.code.is_of_no_manifest());
    if is_strict {
        for diagnostic in diagnostics
            .iter_mut()
            .filter(|diagnostic| diagnostic.code.is_of_no_manifest())
        {
            diagnostic.severity = Severity::Error;
        }
    }
    diagnostics
}

/// Fails as `serve` does where the settings, or the files that they name, keep it from starting; warns of a certificate that
/// clients refuse, and of files that can't be used and that nothing needs so far.
fn check_settings(config: &Config) -> Result<(), Failure> {
    config.check()?;
    clusters::probe(&config.clusters)?;
    check_certificate(config)?;
    check_cookie_keys(config)?;
    let encrypted = config.encrypted.iter().map(|listener| listener.address);
    let own: Vec<_> = config.listen.iter().copied().chain(encrypted).collect();
    load::upstreams_of_server(config, &own)?;
    Ok(())
}

fn check_certificate(config: &Config) -> Result<(), Failure> {
    if let Some(files) = config.certificate() {
        let certificate = files.certificate.display().to_string();
        match Certificates::load(files) {
            Ok(loaded) => {
                if let Some(trouble) = loaded.validity().trouble(SystemTime::now()) {
                    output::talk(&format!("{certificate}: {trouble}"));
                }
            }
            Err(error) if config.encrypted.is_empty() => {
                let error = anyhow::Error::from(error);
                output::talk(&format!("{error:#}; no listener needs it so far"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn check_cookie_keys(config: &Config) -> Result<(), Failure> {
    let read = config.cookie_key_file.as_deref().map(CookieKeys::read);
    match read {
        Some(Err(error)) if !config.cookies => {
            let error = anyhow::Error::from(error);
            output::talk(&format!("{error:#}; no cookies are answered so far"));
            Ok(())
        }
        Some(Err(error)) => Err(error.into()),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn number(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    let of_severity = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
    diagnostics.iter().filter(of_severity).count()
}

/// What was read, so many clusters among it, and how much is wrong with it.
fn summary(pipeline: &Pipeline, diagnostics: &[Diagnostic], clusters: usize) -> String {
    let file_count = pipeline.mesh().file_count();
    let objects: usize = pipeline.mesh().object_counts().values().sum();
    let strays = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code.is_of_no_manifest())
        .count();
    let mut files = count(file_count, "file");
    if strays == file_count && strays > 0 && objects == 0 {
        files.push_str(", none of them a manifest");
    } else if strays > 0 {
        let _ = write!(files, ", {strays} of them no manifests");
    }
    let clusters = (clusters > 0).then(|| count(clusters, "cluster"));
    let places = match clusters {
        Some(clusters) if file_count == 0 => clusters,
        Some(clusters) => format!("{files} and {clusters}"),
        None => files,
    };
    let objects = count(objects, "object");
    let kinds = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Info, "note"),
    ];
    let found: Vec<String> = kinds
        .into_iter()
        .map(|(severity, word)| (number(diagnostics, severity), word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| count(number, word))
        .collect();
    if diagnostics
        .iter()
        .all(|diagnostic| diagnostic.severity == Severity::Info)
    {
        let notes = match &*found {
            [] => String::new(),
            notes => format!(" ({})", notes.join(", ")),
        };
        return format!("✔ no problems in {places}, {objects}{notes}");
    }
    format!("{} in {places}", found.join(", "))
}
