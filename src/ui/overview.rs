//! `/`: whether all is well, in words: three lamps, how far the move is, what changed last, and what is wrong.

use std::time::Instant;

use maud::{Markup, html};
use serde::Serialize;

use super::{
    Shown, Stamp, Ui,
    changes::{self, Change},
    hosts::Totals,
    html,
    lately::WINDOW,
    refusal::Refusal,
    request::Asked,
};
use crate::{
    catalogue::HostState,
    control::Exhibit,
    status::{Status, Watching},
    wording::count,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OverviewPage {
    #[serde(flatten)]
    stamp: Stamp,
    lamps: Vec<Lamp>,
    last_reload: Option<String>,
    hosts: Hosts,
    problems: Problems,
    known_since: Option<String>,
    changes: Vec<Change>,
}

/// Whether a part is well.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lamp {
    name: &'static str,
    ok: bool,
    /// `ok`, or what is wrong with its number.
    word: String,
    #[serde(skip)]
    troubles: Vec<Trouble>,
}

/// What is wrong, and where there is more about it.
struct Trouble {
    what: String,
    path: &'static [&'static str],
    parameters: &'static [(&'static str, &'static str)],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hosts {
    total: usize,
    answered: usize,
    empty: usize,
    vm: usize,
    mixed: usize,
    pod: usize,
    names: usize,
    none: usize,
    partial: usize,
    changed1h: usize,
}

#[derive(Serialize)]
struct Problems {
    errors: usize,
    warnings: usize,
    infos: usize,
}

impl Lamp {
    fn new(name: &'static str, troubles: Vec<Trouble>) -> Self {
        let whats: Vec<&str> = troubles.iter().map(|trouble| &*trouble.what).collect();
        Self {
            name,
            ok: troubles.is_empty(),
            word: if troubles.is_empty() {
                "ok".to_owned()
            } else {
                format!("trouble, {}", whats.join(", "))
            },
            troubles,
        }
    }
}

impl Ui {
    pub(super) fn overview(&self, asked: &Asked) -> Result<Shown<OverviewPage>, Refusal> {
        asked.take_only(&[])?;
        let status = self.status.load_full();
        let exhibit = self.exhibit.load_full();
        let totals = Totals::of(&exhibit.catalogue);
        let lamps = vec![
            Lamp::new("data", data_troubles(&status)),
            Lamp::new("answers", answer_troubles(&status, &totals)),
            Lamp::new("traffic", self.traffic_troubles()),
        ];
        let data = OverviewPage {
            stamp: Stamp::of(&exhibit.snapshot),
            lamps,
            last_reload: status.last_reload.map(html::rfc3339),
            hosts: hosts(&exhibit, &status, &totals),
            problems: Problems {
                errors: status.diagnostics.errors,
                warnings: status.diagnostics.warnings,
                infos: status.diagnostics.infos,
            },
            known_since: exhibit.known_since.map(html::rfc3339),
            changes: exhibit
                .recent
                .iter()
                .map(|entry| Change::from(&**entry))
                .collect(),
        };
        let markup = page(asked, &data, &exhibit, &status);
        Ok(Shown {
            title: "Overview".to_owned(),
            version: None,
            data,
            markup,
        })
    }

    /// What questions met lately.
    fn traffic_troubles(&self) -> Vec<Trouble> {
        let lately = self.lately.since(self.traffic.answered(), Instant::now());
        let mut troubles = Vec::new();
        if lately.failures > 0 {
            troubles.push(Trouble {
                what: format!(
                    "{} of {} questions got SERVFAIL in the last {}",
                    lately.failures,
                    lately.questions,
                    humantime::format_duration(WINDOW)
                ),
                path: &["forwarding"],
                parameters: &[],
            });
        }
        let forwarder = self.forwarding.load_full();
        let upstreams = forwarder
            .iter()
            .flat_map(|forwarder| forwarder.upstream_views());
        let down = upstreams.filter(|upstream| !upstream.is_up).count();
        if down > 0 {
            troubles.push(Trouble {
                what: format!("{} down", count(down, "upstream")),
                path: &["forwarding"],
                parameters: &[],
            });
        }
        troubles
    }
}

fn hosts(exhibit: &Exhibit, status: &Status, totals: &Totals) -> Hosts {
    Hosts {
        total: exhibit.catalogue.len(),
        answered: status.hosts,
        empty: totals.in_state(HostState::Empty),
        vm: totals.in_state(HostState::Vm),
        mixed: totals.in_state(HostState::Mixed),
        pod: totals.in_state(HostState::Pod),
        names: totals.in_state(HostState::Names),
        none: totals.in_state(HostState::None),
        partial: totals.partial,
        changed1h: totals.changed,
    }
}

/// What is not served as it was written.
fn data_troubles(status: &Status) -> Vec<Trouble> {
    let errors = status.diagnostics.errors;
    let in_use = status.state.as_ref().map_or(0, |state| state.in_use.count);
    let numbers = [
        (status.kept, count(status.kept, "kept object")),
        (errors, count(errors, "error")),
        (
            status.missing_folders.len(),
            count(status.missing_folders.len(), "missing folder"),
        ),
        (
            status.unread.count,
            format!("{} unread", count(status.unread.count, "source")),
        ),
        (
            status.not_followed.count,
            format!(
                "{} not followed",
                count(status.not_followed.count, "source")
            ),
        ),
        (
            in_use,
            format!(
                "the last good state stands in for {}",
                count(in_use, "source")
            ),
        ),
    ];
    let mut whats: Vec<String> = numbers
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(_, what)| what)
        .collect();
    if status.generation == 0 {
        whats.push("the mesh is not loaded yet".to_owned());
    }
    if status.watching == Watching::Stopped {
        whats.push("changes are no longer followed: restart meshdns".to_owned());
    }
    let troubles = whats.into_iter().map(|what| Trouble {
        what,
        path: &["problems"],
        parameters: &[],
    });
    troubles.collect()
}

/// Whom nobody answers for.
fn answer_troubles(status: &Status, totals: &Totals) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let empty = totals.in_state(HostState::Empty);
    if empty > 0 {
        troubles.push(Trouble {
            what: format!("{} empty", count(empty, "host")),
            path: &["hosts"],
            parameters: &[("state", "empty")],
        });
    }
    if status.last_ones > 0 {
        troubles.push(Trouble {
            what: format!(
                "{} kept though their checks fail",
                count(status.last_ones, "endpoint")
            ),
            path: &["hosts"],
            parameters: &[],
        });
    }
    troubles
}

fn lamp(asked: &Asked, lamp: &Lamp) -> Markup {
    html! {
        li class=(if lamp.ok { "ok" } else { "trouble" }) {
            h2 { (lamp.name) }
            p {
                @if lamp.ok { span.word-ok { span aria-hidden="true" { "● " } "ok" } }
                @else {
                    span.word-trouble { span aria-hidden="true" { "▲ " } "trouble" }
                    @for trouble in &lamp.troubles {
                        ", " a href=(asked.link(trouble.path, trouble.parameters)) { (trouble.what) }
                    }
                }
            }
        }
    }
}

fn page(asked: &Asked, data: &OverviewPage, exhibit: &Exhibit, status: &Status) -> Markup {
    let hosts = &data.hosts;
    let numbers = [
        ("empty", hosts.empty),
        ("vm", hosts.vm),
        ("mixed", hosts.mixed),
        ("pod", hosts.pod),
        ("names", hosts.names),
        ("none", hosts.none),
        ("partial", hosts.partial),
        ("changed1h", hosts.changed1h),
    ];
    let problems = [
        ("error", data.problems.errors),
        ("warning", data.problems.warnings),
        ("info", data.problems.infos),
    ];
    html! {
        ul.lamps id="lamps" data-live="" aria-live="polite" {
            @for each in &data.lamps { (lamp(asked, each)) }
        }
        div id="state" data-live="" {
            (html::facts(&[
                (
                    "Last change of the mesh",
                    html! { @match status.last_reload { Some(time) => (html::time(time)), None => "none" } },
                ),
                ("Files", html! { (status.files) }),
            ]))
            h2 { "Hosts" }
            p { a href=(asked.link(&["hosts"], &[])) { (count(hosts.total, "host")) } ", by who answers:" }
            ul.states {
                @for (state, number) in numbers {
                    li { a href=(asked.link(&["hosts"], &[("state", state)])) { (number) " " (state) } }
                }
            }
            h2 { "Problems" }
            ul.states {
                @for (severity, number) in problems {
                    li { a href=(asked.link(&["problems"], &[("severity", severity)])) { (count(number, severity)) } }
                }
            }
            h2 { "Last changes" }
            (changes::known(exhibit.known_since))
            (changes::list(asked, &exhibit.recent))
            @if exhibit.changes > exhibit.recent.len() {
                p { a href=(asked.link(&["changes"], &[])) { "All " (exhibit.changes) " changes" } }
            }
        }
    }
}
