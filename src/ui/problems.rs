//! `/problems`: what is wrong with files and objects, and what stands in for what can't be used.

use std::collections::BTreeMap;

use maud::html;
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};
use crate::{
    diagnostic::{Diagnostic, Origin, Severity},
    mesh::Kept,
    status::{Status, Watching},
};

const PARAMETERS: [&str; 2] = ["severity", "limit"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemsPage {
    #[serde(flatten)]
    stamp: Stamp,
    errors: usize,
    warnings: usize,
    infos: usize,
    matching: usize,
    problems: Vec<Problem>,
    kept: Vec<KeptObject>,
    missing_folders: Vec<String>,
    unread: Vec<String>,
    not_followed: Vec<String>,
    ignored: BTreeMap<String, usize>,
    watching: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    severity: &'static str,
    code: &'static str,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    /// As the log writes it.
    at: String,
    object: Option<String>,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptObject {
    object: String,
    since: String,
}

impl Ui {
    pub(super) async fn problems(&self, asked: &Asked) -> Result<Shown<ProblemsPage>, Refusal> {
        asked.take_only(&PARAMETERS)?;
        let limit = asked.limit()?;
        let severity = asked.parameter("severity").map(|text| match text {
            "error" => Ok(Severity::Error),
            "warning" => Ok(Severity::Warning),
            "info" => Ok(Severity::Info),
            text => Err(Refusal::wrong_parameter(
                "severity",
                text,
                "error, warning or info",
            )),
        });
        let severity = severity.transpose()?;
        let (matching, problems, mut kept) = self
            .ask(move |seen| {
                let is_wanted = |diagnostic: &&Diagnostic| {
                    severity.is_none_or(|severity| diagnostic.severity == severity)
                };
                let all = seen.pipeline.known_diagnostics();
                let mut wanted: Vec<&Diagnostic> = all.filter(is_wanted).collect();
                // What is worst comes first, and then in the order of files.
                wanted.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity));
                let first = wanted.iter().take(limit).map(|wanted| (*wanted).clone());
                let first: Vec<Diagnostic> = first.collect();
                (wanted.len(), first, seen.pipeline.mesh().kept())
            })
            .await?;
        kept.sort_by_key(|kept| kept.since);
        let status = self.status.load_full();
        let data = ProblemsPage {
            stamp: self.stamp(),
            errors: status.diagnostics.errors,
            warnings: status.diagnostics.warnings,
            infos: status.diagnostics.infos,
            matching,
            problems: problems.iter().map(Problem::from).collect(),
            kept: kept
                .iter()
                .take(limit)
                .map(|kept| KeptObject {
                    object: kept.key.to_string(),
                    since: html::rfc3339(kept.since),
                })
                .collect(),
            missing_folders: status
                .missing_folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect(),
            unread: status
                .unread
                .first
                .iter()
                .map(ToString::to_string)
                .collect(),
            not_followed: status
                .not_followed
                .first
                .iter()
                .map(ToString::to_string)
                .collect(),
            ignored: status
                .ignored
                .iter()
                .map(|(kind, count)| (kind.to_string(), *count))
                .collect(),
            watching: watching(&status),
        };
        let markup = page(
            asked,
            &data,
            &kept[..kept.len().min(limit)],
            severity.is_some(),
        );
        Ok(Shown {
            title: "Problems".to_owned(),
            version: None,
            data,
            markup,
        })
    }
}

/// The page for people; `kept` are the objects of which an older version is served.
fn page(asked: &Asked, data: &ProblemsPage, kept: &[Kept], is_filtered: bool) -> maud::Markup {
    html! {
        div id="problems" data-live="" {
            p aria-live="polite" {
                a href=(asked.link(&["problems"], &[("severity", "error")])) { (data.errors) " errors" } ", "
                a href=(asked.link(&["problems"], &[("severity", "warning")])) { (data.warnings) " warnings" } ", "
                a href=(asked.link(&["problems"], &[("severity", "info")])) { (data.infos) " infos" }
                @if is_filtered { " · " a href=(asked.link(&["problems"], &[])) { "all" } }
            }
            @if data.problems.is_empty() { p { "Nothing." } }
            @else {
                div.wide tabindex="0" role="region" aria-label="Problems" {
                    table {
                        caption { (data.problems.len()) " of " (data.matching) "." }
                        thead { tr { th scope="col" { "Severity" } th scope="col" { "At" } th scope="col" { "Object" } th scope="col" { "What" } } }
                        tbody {
                            @for problem in &data.problems {
                                tr {
                                    td { span class=(format!("severity-{}", problem.severity)) { (problem.severity) } " " code { (problem.code) } }
                                    td { code { (problem.at) } }
                                    td { (problem.object.as_deref().unwrap_or("-")) }
                                    td { (problem.message) }
                                }
                            }
                        }
                    }
                }
            }
            h2 { "In their last good version" }
            @if kept.is_empty() { p { "No object: all that is served is the newest." } }
            @else { ul { @for kept in kept { li { (kept.key) ", since " (html::time(kept.since)) } } } }
            h2 { "Sources" }
            (html::facts(&[
                ("Changes come", html! { (data.watching) }),
                ("Missing folders", listed(&data.missing_folders)),
                ("Unread since the start", listed(&data.unread)),
                ("Not followed", listed(&data.not_followed)),
            ]))
            @if !data.ignored.is_empty() {
                h2 { "Kinds that are passed over" }
                ul { @for (kind, count) in &data.ignored { li { (kind) ": " (count) } } }
            }
        }
    }
}

fn listed(texts: &[String]) -> maud::Markup {
    html! { @if texts.is_empty() { "none" } @else { (texts.join(", ")) } }
}

/// How changes come.
fn watching(status: &Status) -> String {
    match &status.watching {
        Watching::Starting => "not yet: it starts, or follows clusters alone".to_owned(),
        Watching::Events => "by events of the operating system".to_owned(),
        Watching::Polling { every, why } => format!(
            "by looking every {}: {why}",
            humantime::format_duration(*every)
        ),
        Watching::Stopped => "no longer: restart meshdns".to_owned(),
    }
}

impl From<&Diagnostic> for Problem {
    fn from(diagnostic: &Diagnostic) -> Self {
        let place = match &diagnostic.origin {
            Origin::File(place) => Some(place),
            Origin::Cluster(_) => None,
        };
        Self {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code.as_str(),
            file: place.map(|place| place.file.to_string()),
            line: place.map(|place| place.position.line),
            column: place.map(|place| place.position.column),
            at: match &diagnostic.origin {
                Origin::File(place) => place.to_string(),
                Origin::Cluster(place) => place.to_string(),
            },
            object: diagnostic.object.as_ref().map(ToString::to_string),
            message: diagnostic.message.clone(),
        }
    }
}
