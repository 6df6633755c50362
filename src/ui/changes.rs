//! `/changes`: which object's which field changed which answers, newest first.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use maud::{Markup, html};
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};
use crate::{
    dns::Name,
    history::{Cause, Entry},
    mesh::{ObjectChange, ReadFrom},
};

/// What the page can be asked for.
const PARAMETERS: [&str; 6] = ["host", "object", "since", "until", "after", "limit"];

/// How many addresses of a change people are shown.
const SHOWN_ADDRESSES: usize = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangesPage {
    #[serde(flatten)]
    stamp: Stamp,
    known_since: Option<String>,
    changes: Vec<Change>,
    next: Option<String>,
}

/// One change, as programs get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    time: String,
    generation: u64,
    serial: u32,
    cause: CauseOf,
    hosts: Hosts,
    added: Vec<IpAddr>,
    removed: Vec<IpAddr>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseOf {
    object: Option<Object>,
    file: Option<String>,
    line: Option<u32>,
    cluster: Option<String>,
    what: &'static str,
    field: Option<&'static str>,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Object {
    kind: &'static str,
    namespace: String,
    name: String,
}

#[derive(Serialize)]
struct Hosts {
    count: usize,
    names: Vec<String>,
}

/// A wish for changes.
struct Filter {
    host: Option<Name>,
    object: Option<String>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    /// Only what came before this entry.
    after: Option<u64>,
}

impl Ui {
    pub(super) async fn changes(&self, asked: &Asked) -> Result<Shown<ChangesPage>, Refusal> {
        asked.take_only(&PARAMETERS)?;
        let limit = asked.limit()?;
        let filter = Filter::read(asked)?;
        let exhibit = self.exhibit.load_full();
        if !exhibit.snapshot.is_ready() {
            return Err(Refusal::starting());
        }
        let (mut entries, known_since) = self
            .ask(move |seen| {
                let of_host = |host: &Name| {
                    let scope = seen.pipeline.scope_of(host);
                    let entries = seen.history.of_host(host, scope);
                    entries
                        .map(|(entry, _)| entry)
                        .filter(|entry| filter.takes(entry))
                        .take(limit + 1)
                        .cloned()
                        .collect::<Vec<_>>()
                };
                let entries = match &filter.host {
                    Some(host) => of_host(host),
                    None => seen
                        .history
                        .entries()
                        .filter(|entry| filter.takes(entry))
                        .take(limit + 1)
                        .cloned()
                        .collect(),
                };
                (entries, seen.history.known_since())
            })
            .await?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more);
        let data = ChangesPage {
            stamp: Stamp::of(&exhibit.snapshot),
            known_since: known_since.map(html::rfc3339),
            changes: entries.iter().map(|entry| Change::from(&**entry)).collect(),
            next: next.map(|entry| entry.number.to_string()),
        };
        let markup = html! {
            form.filter method="get" action=(asked.address(&["changes"])) {
                label { "Host" input type="search" name="host" value=(asked.parameter("host").unwrap_or_default()); }
                label { "Object has" input name="object" value=(asked.parameter("object").unwrap_or_default()); }
                label { "Since" input name="since" placeholder="14:05 or 1h" value=(asked.parameter("since").unwrap_or_default()); }
                label { "Until" input name="until" value=(asked.parameter("until").unwrap_or_default()); }
                @if let Some(refresh) = asked.parameter("refresh") { input type="hidden" name="refresh" value=(refresh); }
                button { "Show" }
            }
            div id="changes" data-live="" {
                (known(known_since))
                (list(asked, &entries))
            }
            @if let Some(next) = &data.next {
                p { a rel="next" href=(asked.link_with(&["changes"], "after", next)) { "Earlier" } }
            }
        };
        Ok(Shown {
            title: "Changes".to_owned(),
            // An older one may be forgotten.
            version: None,
            data,
            markup,
        })
    }
}

/// From when on changes are known.
pub(super) fn known(since: Option<SystemTime>) -> Markup {
    html! {
        @if let Some(since) = since { p.soft { "Known since " (html::time(since)) "." } }
    }
}

impl Filter {
    fn read(asked: &Asked) -> Result<Self, Refusal> {
        let host = asked.parameter("host").map(|text| {
            Name::from_text(text)
                .map_err(|_| Refusal::wrong_parameter("host", text, "a domain name"))
        });
        let after = asked.parameter("after").map(|text| {
            text.parse()
                .map_err(|_| Refusal::wrong_parameter("after", text, "what `next` of a page says"))
        });
        Ok(Self {
            host: host.transpose()?,
            object: asked.parameter("object").map(ToOwned::to_owned),
            since: time_of(asked, "since")?,
            until: time_of(asked, "until")?.map(end_of_second),
            after: after.transpose()?,
        })
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.after.is_none_or(|after| entry.number < after)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at <= until)
            && self
                .object
                .as_ref()
                .is_none_or(|object| match &entry.cause {
                    Cause::Object(change) => change.key.to_string().contains(object.as_str()),
                    Cause::Other(_) => false,
                })
    }
}

/// The time of a parameter: RFC 3339, `HH:MM` of today in UTC, or how long ago.
pub(super) fn time_of(asked: &Asked, name: &str) -> Result<Option<SystemTime>, Refusal> {
    let Some(text) = asked.parameter(name) else {
        return Ok(None);
    };
    let time = read_time(text, SystemTime::now());
    let wrong = || {
        Refusal::wrong_parameter(
            name,
            text,
            "a time as in 2026-11-30T14:05:00Z or 14:05 (UTC), or how long ago, as in 1h",
        )
    };
    time.ok_or_else(wrong).map(Some)
}

/// The last moment of the second that a time is in: what is shown of times is whole seconds, and the time of a change is one at which
/// it is done.
pub(super) fn end_of_second(at: SystemTime) -> SystemTime {
    const SECOND: Duration = Duration::from_secs(1);
    let since_1970 = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970.as_secs()) + SECOND
        - Duration::from_nanos(1)
}

fn read_time(text: &str, now: SystemTime) -> Option<SystemTime> {
    const DAY: u64 = 24 * 60 * 60;
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    if let Some((hours, minutes)) = text.split_once(':') {
        let number = |text: &str, below: u64| {
            let number: Option<u64> = text.parse().ok();
            let number = number.filter(|number| *number < below);
            number.filter(|_| text.len() == 2)
        };
        let since_midnight = number(hours, 24)? * 3600 + number(minutes, 60)? * 60;
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let time = seconds - seconds % DAY + since_midnight;
        return Some(SystemTime::UNIX_EPOCH + Duration::from_secs(time));
    }
    now.checked_sub(humantime::parse_duration(text).ok()?)
}

impl From<&Entry> for Change {
    fn from(entry: &Entry) -> Self {
        let (added, removed) = entry.addresses();
        Self::new(entry, added, removed)
    }
}

impl Change {
    pub(super) fn new(
        entry: &Entry,
        added: impl IntoIterator<Item = IpAddr>,
        removed: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        Self {
            time: html::rfc3339(entry.at),
            generation: entry.generation,
            serial: entry.serial,
            cause: match &entry.cause {
                Cause::Object(object) => CauseOf::of_object(object),
                Cause::Other(what) => CauseOf {
                    object: None,
                    file: None,
                    line: None,
                    cluster: None,
                    what,
                    field: None,
                    before: None,
                    after: None,
                },
            },
            hosts: Hosts {
                count: entry.hosts(),
                names: entry.names().map(Name::to_host).collect(),
            },
            added: added.into_iter().collect(),
            removed: removed.into_iter().collect(),
        }
    }
}

impl CauseOf {
    fn of_object(change: &ObjectChange) -> Self {
        let text = |text: &Option<Box<str>>| text.as_deref().map(ToOwned::to_owned);
        let (file, line, cluster) = match &change.read_from {
            ReadFrom::File(place) => (
                Some(place.file.to_string()),
                Some(place.position.line),
                None,
            ),
            ReadFrom::Cluster(cluster) => (None, None, Some(cluster.name().to_owned())),
        };
        Self {
            object: Some(Object {
                kind: change.key.kind.as_str(),
                namespace: change.key.namespace.to_string(),
                name: change.key.name.to_string(),
            }),
            file,
            line,
            cluster,
            what: change.what,
            field: change.field,
            before: text(&change.before),
            after: text(&change.after),
        }
    }
}

/// Changes for people, newest first.
pub(super) fn list(asked: &Asked, entries: &[Arc<Entry>]) -> Markup {
    html! {
        @if entries.is_empty() { p { "No change." } }
        @else {
            ol.history {
                @for entry in entries {
                    @let (added, removed) = entry.addresses();
                    li {
                        (said(entry, added, removed))
                        " "
                        (hosts_of(asked, entry))
                    }
                }
            }
        }
    }
}

fn hosts_of(asked: &Asked, entry: &Entry) -> Markup {
    let count = entry.hosts();
    let names: Vec<&Name> = entry.names().collect();
    html! {
        span {
            "For "
            @for (index, name) in names.iter().enumerate() {
                @if index > 0 { ", " }
                (html::host_link(asked, name))
            }
            @if count > names.len() { " and " (count - names.len()) " more" }
            "."
        }
    }
}

/// One change in words: when, what, and which addresses came and went.
pub(super) fn said(
    entry: &Entry,
    added: impl IntoIterator<Item = IpAddr>,
    removed: impl IntoIterator<Item = IpAddr>,
) -> Markup {
    let added: Vec<IpAddr> = added.into_iter().collect();
    let removed: Vec<IpAddr> = removed.into_iter().collect();
    html! {
        (html::time(entry.at)) " "
        @match &entry.cause {
            Cause::Object(object) => {
                strong { (object.key) } " "
                @match (object.what, object.field) {
                    ("condition", Some(field)) => { "condition " (field) }
                    (what, Some(field)) => { (what) ": " (field) }
                    (what, None) => { (what) }
                }
                @if object.before.is_some() || object.after.is_some() {
                    " " (object.before.as_deref().unwrap_or("unset"))
                    " → " (object.after.as_deref().unwrap_or("unset"))
                }
                " (" code { (object.read_from.origin_of(&object.key)) } ")"
            }
            Cause::Other(what) => {
                @match *what {
                    "config" => "the configuration changed",
                    "name" => "a name came to mean something else",
                    "check" => "a check came to another result",
                    "override" => "a person's word came or ended",
                    _ => "the mesh changed",
                }
            }
        }
        ": "
        @if added.is_empty() && removed.is_empty() {
            "the same addresses in other parts"
        } @else {
            (addresses("+", "added", &added))
            (addresses("−", "removed", &removed))
        }
    }
}

fn addresses(sign: &str, word: &str, all: &[IpAddr]) -> Markup {
    let class = if word == "added" { "in" } else { "out" };
    html! {
        @if !all.is_empty() {
            span class=(class) {
                (word) " "
                @for address in all.iter().take(SHOWN_ADDRESSES) {
                    span aria-hidden="true" { (sign) } (address) " "
                }
                @if all.len() > SHOWN_ADDRESSES { "and " (all.len() - SHOWN_ADDRESSES) " more " }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_programs_write_them() {
        let now = humantime::parse_rfc3339("2026-11-30T14:05:30Z").expect("valid");
        let check = |text: &str, expected: Option<&str>| {
            let read = read_time(text, now).map(html::rfc3339);
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("2026-11-30T09:00:00Z", Some("2026-11-30T09:00:00Z"));
        check("14:05", Some("2026-11-30T14:05:00Z"));
        check("1h", Some("2026-11-30T13:05:30Z"));
        for wrong in ["", "24:00", "1:05", "14:60", "x", "14:05:00", "2026-11-30"] {
            check(wrong, None);
        }
    }
}
