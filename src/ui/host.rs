//! `/hosts/NAME`: what a name answers now, who is in and out, why and since when. The story is `explain`'s own.

use std::{net::IpAddr, str, time::SystemTime};

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{HTML, JSON, Reply, TEXT, Ui, hosts, html, refusal::Refusal, request::Asked};
use crate::{
    catalogue::{HostCounts, HostRow, InOut},
    control::Exhibit,
    dns::{Name, RecordType},
    explain::{self, Explanation, HostStory, Others, Story, text},
};

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
        let told = self
            .ask(move |seen| explain::explain(seen.pipeline, &name, record_type, client))
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
            let body = self.object(&told, others.as_ref(), &exhibit);
            return Ok(Reply::new(status, JSON, super::json(&body)));
        }
        let markup = if is_known {
            page(asked, &told, others.as_ref(), &exhibit, &as_printed)
        } else {
            unknown(asked, &told)
        };
        let stamp = self.stamp_of(&exhibit.snapshot);
        let title = told.name.to_host();
        let page = html::page(asked, &title, &stamp, markup);
        Ok(Reply::new(status, HTML, page.into_string()))
    }

    /// The object of `explain --output json`, and what only the running server knows.
    fn object(&self, told: &Explanation, others: Option<&Others<'_>>, exhibit: &Exhibit) -> Value {
        let mut body = json!(self.stamp_of(&exhibit.snapshot));
        let story = json!(Story::new(told, others));
        let row = row(told, exhibit);
        let known = json!({
            "since": row.map(|row| html::rfc3339(row.changed())),
            "migration": row.map(|row| migration(row.counts())),
        });
        for part in [story, known] {
            if let (Value::Object(body), Value::Object(part)) = (&mut body, part) {
                body.extend(part);
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
fn migration(counts: &HostCounts) -> Value {
    let HostCounts {
        pods,
        vms,
        inline,
        names,
    } = *counts;
    let before = vms.in_count + inline.in_count;
    let all = pods.in_count + before;
    let in_out = |counts: InOut| json!({"in": counts.in_count, "out": counts.out_count});
    json!({
        "state": counts.state().as_str(),
        "pods": in_out(pods),
        "vms": in_out(vms),
        "inline": in_out(inline),
        "names": in_out(names),
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
                    li { (host_link(asked, near)) }
                }
            }
        }
        p { (text::existence(told)) ". Zone: " (text::zone(told)) }
        p { a href=(asked.link(&["hosts"], &[("q", &told.name.to_host())])) { "Look for it among all hosts" } }
    }
}

/// A link to the page of a host.
pub(super) fn host_link(asked: &Asked, host: &Name) -> Markup {
    let host = host.to_host();
    html! { a href=(asked.link(&["hosts", &host], &[])) { (host) } }
}

fn page(
    asked: &Asked,
    told: &Explanation,
    others: Option<&Others<'_>>,
    exhibit: &Exhibit,
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
            (host_story(number, story, exhibit))
        }
        details {
            summary { "As explain prints it" }
            pre id="printed" data-live="" tabindex="0" { (str::from_utf8(as_printed).unwrap_or_default()) }
        }
    }
}

/// One host that has a part in it.
fn host_story(number: usize, story: &HostStory, exhibit: &Exhibit) -> Markup {
    let selection = &story.selection;
    let host = selection.host.to_host();
    let candidates = format!("candidates-{number}");
    let entries = format!("entries-{number}");
    let since = exhibit
        .catalogue
        .row(&selection.host)
        .map_or(SystemTime::UNIX_EPOCH, HostRow::changed);
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
                            @for candidate in &selection.candidates {
                                @let [word, endpoint, addresses, at, why] = text::candidate_row(story, candidate);
                                tr {
                                    td { span class=(word) { span aria-hidden="true" { @if word == "in" { "● " } @else { "✕ " } } (word) } }
                                    th scope="row" { (endpoint) }
                                    td { (addresses) }
                                    td { (why) }
                                    td { code { (at) } }
                                    td { (html::time(since)) }
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
