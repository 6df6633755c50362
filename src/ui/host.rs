//! `/hosts/NAME`: what a name answers now, who is in and out, why and since when. The story is `explain`'s own.

use std::{collections::BTreeSet, net::IpAddr, str, sync::Arc, time::SystemTime};

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{
    HTML, JSON, Reply, Stamp, TEXT, Ui,
    changes::{self, Change, time_of},
    hosts, html,
    refusal::Refusal,
    request::Asked,
};
use crate::{
    catalogue::{HostCounts, HostRow, InOut},
    control::{Exhibit, Seen},
    dns::{Name, RecordType},
    explain::{self, Explanation, HostStory, Others, Story, text},
    history::{AddressChange, Entry},
    select::Candidate,
};

/// How many changes the page shows.
const MOST_ENTRIES: usize = 100;

/// What the page can be asked for.
const PARAMETERS: [&str; 3] = ["type", "client", "at"];

/// What is asked of a name.
struct Question {
    name: Name,
    record_type: RecordType,
    client: Option<IpAddr>,
}

impl Ui {
    /// The page of a name, in the form that was asked for.
    pub(super) async fn host(&self, asked: &Asked, name: &str) -> Reply {
        match self.told(asked, name).await {
            Ok(reply) => reply,
            Err(refusal) => self.refuse(Some(asked), &refusal),
        }
    }

    async fn told(&self, asked: &Asked, name: &str) -> Result<Reply, Refusal> {
        asked.take_only(&PARAMETERS)?;
        let question = Question::read(asked, name)?;
        let exhibit = self.exhibit.load_full();
        if !exhibit.snapshot.is_ready() {
            return Err(Refusal::starting());
        }
        let Question {
            name,
            record_type,
            client,
        } = question;
        let at = time_of(asked, "at")?;
        let (told, past) = self
            .ask(move |seen| {
                let told = explain::explain(seen.pipeline, &name, record_type, client);
                let past = Past::of(seen, &told, at);
                (told, past)
            })
            .await?;
        let forwarder = self.forwarding.load_full();
        let forwarder = forwarder.as_ref().filter(|_| told.is_others);
        let others = forwarder.and_then(|forwarder| forwarder.others(&told.name));
        let is_known = !told.hosts.is_empty();
        let status = if is_known {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        let as_printed = printed(&told, others.as_ref());
        if asked.is_api && asked.wants_text {
            return Ok(Reply::new(status, TEXT, as_printed));
        }
        if asked.is_api {
            let body = object(&told, others.as_ref(), &exhibit, &past);
            return Ok(Reply::new(status, JSON, super::json(&body)));
        }
        let markup = if is_known {
            page(asked, &told, others.as_ref(), &exhibit, &past, &as_printed)
        } else {
            unknown(asked, &told)
        };
        let stamp = Stamp::of(&exhibit.snapshot);
        let title = told.name.to_host();
        let page = html::page(asked, &title, &stamp, &markup);
        Ok(Reply::new(status, HTML, page.into_string()))
    }
}

/// The object of `explain --output json`, and what only the running server knows.
fn object(
    told: &Explanation,
    others: Option<&Others<'_>>,
    exhibit: &Exhibit,
    past: &Past,
) -> Value {
    let mut body = json!(Stamp::of(&exhibit.snapshot));
    let story = json!(Story::new(told, others));
    let row = row(told, exhibit);
    let known = json!({
        "since": row.map(|row| html::rfc3339(row.changed())),
        "migration": row.map(migration),
        "knownSince": past.known_since.map(html::rfc3339),
        "history": past.changes(),
    });
    for part in [story, known] {
        if let (Value::Object(body), Value::Object(part)) = (&mut body, part) {
            body.extend(part);
        }
    }
    // Since when each candidate is as it is, beside the rest that is told of it.
    if let Some(hosts) = body["hosts"].as_array_mut() {
        for (host, since) in hosts.iter_mut().zip(&past.since) {
            let endpoints = host["endpoints"].as_array_mut().into_iter().flatten();
            for (endpoint, since) in endpoints.zip(since) {
                endpoint["since"] = json!(since.map(html::rfc3339));
            }
        }
    }
    if let Some(at) = past.at {
        body["at"] = json!(html::rfc3339(at));
        if past.then.is_some() {
            body["answer"] = json!(past.records(told));
        } else if let Some(body) = body.as_object_mut() {
            body.remove("answer");
        }
    }
    if told.hosts.is_empty() {
        body["error"] = json!({
            "code": "unknownHost",
            "message": format!("no host of the mesh is {} or covers it", told.name.to_host()),
        });
    }
    body
}

impl Question {
    fn read(asked: &Asked, name: &str) -> Result<Self, Refusal> {
        let name = Name::from_text(name).map_err(|error| {
            let message = format!("`{name}` is no domain name: {error}");
            Refusal::new(StatusCode::NOT_FOUND, "unknownHost", message)
        })?;
        let record_type = match asked.parameter("type") {
            None => RecordType::A,
            Some(text) => RecordType::from_text(text).ok_or_else(|| {
                Refusal::wrong_parameter("type", text, "a record type such as A, AAAA or TYPE65")
            })?,
        };
        let client = asked.parameter("client").map(|text| {
            text.parse()
                .map_err(|_| Refusal::wrong_parameter("client", text, "an IP address"))
        });
        Ok(Self {
            name,
            record_type,
            client: client.transpose()?,
        })
    }
}

/// What only the running server knows of a name: what was before.
struct Past {
    known_since: Option<SystemTime>,
    /// What changed answers of the host that answers, newest first.
    entries: Vec<(Arc<Entry>, AddressChange)>,
    /// Since when each candidate of each host is in, or out, where that is known.
    since: Vec<Vec<Option<SystemTime>>>,
    /// Which time was asked for.
    at: Option<SystemTime>,
    /// What was answered then, where that is known.
    then: Option<BTreeSet<IpAddr>>,
}

impl Past {
    fn of(seen: &Seen<'_>, told: &Explanation, at: Option<SystemTime>) -> Self {
        let history = seen.history;
        let of_host = |story: &HostStory| {
            let host = &story.selection.host;
            let scope = seen.pipeline.scope_of(host);
            let entries = history.of_host(host, scope);
            entries
                .map(|(entry, change)| (entry.clone(), change.clone()))
                .collect::<Vec<_>>()
        };
        let of_hosts: Vec<_> = told.hosts.iter().map(of_host).collect();
        let stories = told.hosts.iter().zip(&of_hosts);
        let since = stories
            .map(|(story, entries)| {
                let candidates = story.selection.candidates.iter();
                candidates
                    .map(|candidate| since(story, candidate, entries))
                    .collect()
            })
            .collect();
        let then = at.and_then(|at| {
            let selection = &told.hosts.first()?.selection;
            let scope = seen.pipeline.scope_of(&selection.host);
            let now = selection.gathering.addresses.iter().copied();
            history.at(changes::end_of_second(at), &selection.host, scope, now)
        });
        let mut entries = of_hosts.into_iter().next().unwrap_or_default();
        entries.truncate(MOST_ENTRIES);
        Self {
            known_since: history.known_since(),
            entries,
            since,
            at,
            then,
        }
    }

    fn changes(&self) -> Vec<Change> {
        let entries = self.entries.iter();
        entries
            .map(|(entry, change)| {
                let (added, removed) = (change.added.iter(), change.removed.iter());
                Change::new(entry, added.copied(), removed.copied())
            })
            .collect()
    }

    /// The answer of then, as `explain` has that of now.
    fn records(&self, told: &Explanation) -> Vec<Value> {
        let is_wanted = |address: &&IpAddr| match told.record_type {
            RecordType::A => address.is_ipv4(),
            RecordType::AAAA => address.is_ipv6(),
            _ => false,
        };
        let addresses = self.then.iter().flatten().filter(is_wanted);
        let records = addresses.map(|address| {
            json!({
                "name": told.name.to_string(),
                "type": told.record_type.to_string(),
                "data": address.to_string(),
            })
        });
        records.collect()
    }
}

/// Since when a candidate is in, or out, by the newest change of its addresses.
fn since(
    story: &HostStory,
    candidate: &Candidate,
    entries: &[(Arc<Entry>, AddressChange)],
) -> Option<SystemTime> {
    let is_in = story.selection.is_in(candidate);
    let mut entries = entries.iter();
    let newest = entries.find(|(_, change)| {
        let addresses = if is_in {
            &change.added
        } else {
            &change.removed
        };
        let mut own = candidate.addresses.iter();
        own.any(|address| addresses.contains(address))
    });
    newest.map(|(entry, _)| entry.at)
}

/// As `explain` prints it.
fn printed(told: &Explanation, others: Option<&Others<'_>>) -> Vec<u8> {
    let mut text = Vec::new();
    explain::write_text(&mut text, told, others).expect("a Vec takes everything");
    text
}

/// The row of the host that answers, or else of the first that could.
fn row<'e>(told: &Explanation, exhibit: &'e Exhibit) -> Option<&'e HostRow> {
    let story = told.hosts.first()?;
    exhibit.catalogue.row(&story.selection.host)
}

/// How far the host is on its way.
fn migration(row: &HostRow) -> Value {
    let moves = row.moves();
    let HostCounts {
        pods,
        vms,
        inline,
        names,
    } = *row.counts();
    let before = row.counts().vms_in();
    let all = pods.in_count + before;
    let in_out = |counts: InOut| json!({"in": counts.in_count, "out": counts.out_count});
    json!({
        "state": row.counts().state().as_str(),
        "pods": in_out(pods),
        "vms": in_out(vms),
        "inline": in_out(inline),
        "names": in_out(names),
        "firstPod": moves.first_pod.map(html::rfc3339),
        "lastVm": moves.last_vm.map(html::rfc3339),
        "share": (all > 0).then(|| f64::from(pods.in_count) / f64::from(all)),
    })
}

fn unknown(asked: &Asked, told: &Explanation) -> Markup {
    html! {
        p.refusal role="alert" { "No host of the mesh is " code { (told.name.to_host()) } ", and no wildcard covers it." }
        @if !told.near.is_empty() {
            p { "Did you mean one of these?" }
            ul {
                @for near in &told.near {
                    li { (html::host_link(asked, near)) }
                }
            }
        }
        p { (text::existence(told)) ". Zone: " (text::zone(told)) }
        p { a href=(asked.link(&["hosts"], &[("q", &told.name.to_host())])) { "Look for it among all hosts" } }
    }
}

fn page(
    asked: &Asked,
    told: &Explanation,
    others: Option<&Others<'_>>,
    exhibit: &Exhibit,
    past: &Past,
    as_printed: &[u8],
) -> Markup {
    let row = row(told, exhibit);
    let mut facts = vec![
        ("Name", html! { (text::existence(told)) }),
        ("Zone", html! { (text::zone(told)) }),
    ];
    if let Some(row) = row {
        facts.extend([
            (
                "State",
                html! { (hosts::state_word(row.counts())) " " (hosts::bar(row.counts())) },
            ),
            (
                "Since",
                html! { (html::time(row.changed())) ", generation " (row.generation()) },
            ),
        ]);
    }
    if let Some(ttl) = told.answer.first().map(|record| record.ttl) {
        facts.push(("TTL", html! { (ttl) " s" }));
    }
    if let Some(Others::Upstreams { domain, addresses }) = others {
        facts.push((
            "Asks",
            html! { (addresses.join(", ")) " for " (domain.to_host()) },
        ));
    }
    html! {
        div id="answer" data-live="" {
            p aria-live="polite" { strong { (told.record_type) ": " (text::headline(told, others)) } }
            (html::facts(&facts))
            @if others.is_none() && !told.answer.is_empty() {
                h2 { "Answer" }
                ul {
                    @for record in &told.answer { li { code { (record.record_type) " " (record.data) } } }
                }
            }
            p {
                "Ask for "
                @for record_type in ["A", "AAAA", "SOA"] {
                    a href=(asked.link(&["hosts", &told.name.to_host()], &[("type", record_type)])) { (record_type) }
                    " "
                }
            }
        }
        @for (number, story) in told.hosts.iter().enumerate() {
            (host_story(number, story, past))
        }
        section id="history" data-live="" { (history(told, past)) }
        details {
            summary { "As explain prints it" }
            pre id="printed" data-live="" tabindex="0" { (str::from_utf8(as_printed).unwrap_or_default()) }
        }
    }
}

/// One host that has a part in it.
fn host_story(number: usize, story: &HostStory, past: &Past) -> Markup {
    let selection = &story.selection;
    let host = selection.host.to_host();
    let candidates = format!("candidates-{number}");
    let entries = format!("entries-{number}");
    let since = past.since.get(number).map_or(&[][..], Vec::as_slice);
    html! {
        section id=(format!("host-{number}")) data-live="" {
            h2 { (host) " " @if story.answers { "answers" } @else { "does not answer" } }
            h3 id=(candidates) { "Candidates" }
            @if selection.candidates.is_empty() {
                p { "No endpoint: " (text::why_none(story)) "." }
            } @else {
                div.wide tabindex="0" role="region" aria-labelledby=(candidates) {
                    table aria-labelledby=(candidates) {
                        thead {
                            tr {
                                th scope="col" { "In or out" }
                                th scope="col" { "Endpoint" }
                                th scope="col" { "Addresses" }
                                th scope="col" { "Why" }
                                th scope="col" { "At" }
                                th scope="col" { "Since" }
                            }
                        }
                        tbody {
                            @for (place, candidate) in selection.candidates.iter().enumerate() {
                                @let [word, endpoint, addresses, at, why] = text::candidate_row(story, candidate);
                                tr {
                                    td { span class=(word) { span aria-hidden="true" { @if word == "in" { "● " } @else { "✕ " } } (word) } }
                                    th scope="row" { (endpoint) }
                                    td { (addresses) }
                                    td { (why) }
                                    td { code { (at) } }
                                    td {
                                        @match (since.get(place).copied().flatten(), past.known_since) {
                                            (Some(since), _) => (html::time(since)),
                                            (None, Some(known)) => { "before " (html::time(known)) }
                                            (None, None) => "-",
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @for near in &story.near { p { (text::near_line(near)) } }
            h3 id=(entries) { "ServiceEntries" }
            div.wide tabindex="0" role="region" aria-labelledby=(entries) {
                table aria-labelledby=(entries) {
                    thead { tr { th scope="col" { "Standing" } th scope="col" { "ServiceEntry" } th scope="col" { "At" } th scope="col" { "Endpoints from" } th scope="col" { "Why" } } }
                    tbody {
                        @for (index, (service, loss)) in story.service_entries().enumerate() {
                            @let selector = story.selectors.get(index).and_then(Option::as_deref);
                            tr {
                                td { @if loss.is_none() { "chosen" } @else { "lost" } }
                                th scope="row" { (service.key.namespace) "/" (service.key.name) }
                                td { code { (service.origin()) } }
                                td { (text::endpoints(service, selector)) }
                                td { (loss.map_or("", text::reason)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What changed the answers of the host that answers, and what they were at a time that was asked for.
fn history(told: &Explanation, past: &Past) -> Markup {
    html! {
        @if let Some(at) = past.at {
            h2 { "At " (html::time(at)) }
            @match &past.then {
                Some(then) if then.is_empty() => p { "It answered with no address." },
                Some(then) => {
                    p { (told.name.to_host()) " answered with:" }
                    ul { @for address in then { li { code { (address) } } } }
                }
                None => p {
                    "Not known before "
                    @match past.known_since { Some(since) => (html::time(since)), None => "the first load" }
                    "."
                },
            }
        }
        h2 { "History" }
        (changes::known(past.known_since))
        @if past.entries.is_empty() { p { "No change." } }
        @else {
            ol.history {
                @for (entry, change) in &past.entries {
                    li { (changes::said(entry, change.added.iter().copied(), change.removed.iter().copied())) }
                }
            }
        }
    }
}
