//! `/hosts`: all hosts, with search, filters and an order; a page of them at a time.

use std::{
    cmp::Reverse,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use maud::{Markup, html};
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};
use crate::{
    catalogue::{Catalogue, HostCounts, HostRow, HostState, InOut},
    control::Exhibit,
    dns::Name,
    pipeline::shown::records,
    zone::Snapshot,
};

/// What the page can be asked for.
const PARAMETERS: [&str; 7] = ["q", "state", "ns", "zone", "sort", "after", "limit"];

/// How long ago a change still is one of the last hour.
const HOUR: Duration = Duration::from_hours(1);

/// How many addresses of a host people are shown.
const SHOWN_ADDRESSES: usize = 3;

/// A wish for hosts.
struct Filter<'a> {
    text: Option<String>,
    states: Vec<Wanted>,
    namespace: Option<&'a str>,
    zone: Option<Name>,
    /// From when on a change is one of the last hour.
    hour: SystemTime,
}

/// A state that hosts are to be in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    State(HostState),
    /// Some endpoints answer, and some don't.
    Partial,
    /// It changed in the last hour.
    Changed,
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sort {
    Host,
    /// What changed last comes first.
    Changed,
    /// What has most endpoints that do not answer comes first.
    Out,
}

/// How many hosts are in which state, and how many are what else can be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    states: [usize; HostState::ALL.len()],
    pub(super) partial: usize,
    pub(super) changed: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostsPage {
    #[serde(flatten)]
    stamp: Stamp,
    total: usize,
    matching: usize,
    next: Option<String>,
    hosts: Vec<Row>,
}

/// One host, as `list --output json` has it, and more.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    host: String,
    namespace: Option<String>,
    service_entries: Vec<String>,
    source: &'static str,
    r#in: u32,
    out: u32,
    addresses: Vec<IpAddr>,
    lost: Vec<String>,
    pods: Counts,
    vms: Counts,
    inline: Counts,
    names: Counts,
    state: &'static str,
    changed: String,
}

#[derive(Serialize)]
pub(super) struct Counts {
    r#in: u32,
    out: u32,
}

impl From<InOut> for Counts {
    fn from(counts: InOut) -> Self {
        Self {
            r#in: counts.in_count,
            out: counts.out_count,
        }
    }
}

impl Ui {
    pub(super) fn hosts(&self, asked: &Asked) -> Result<Shown<HostsPage>, Refusal> {
        asked.take_only(&PARAMETERS)?;
        let limit = asked.limit()?;
        let filter = Filter::read(asked)?;
        let sort = Sort::read(asked)?;
        let after = asked.parameter("after");
        let exhibit = self.exhibit.load_full();
        if !exhibit.snapshot.is_ready() {
            return Err(Refusal::starting());
        }
        let catalogue = &exhibit.catalogue;
        let (matching, rows, has_more) = match sort {
            Sort::Host => by_name(catalogue, &filter, after, limit)?,
            Sort::Changed | Sort::Out => by_key(catalogue, &filter, sort, after, limit)?,
        };
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| sort.place_of(row));
        let data = HostsPage {
            stamp: Stamp::of(&exhibit.snapshot),
            total: catalogue.len(),
            matching,
            next,
            hosts: rows.iter().map(|row| Row::new(row, &exhibit)).collect(),
        };
        let markup = page(asked, &filter, sort, &data, &rows, limit);
        let depends_on_the_clock = filter.states.contains(&Wanted::Changed);
        Ok(Shown {
            title: "Hosts".to_owned(),
            version: (!depends_on_the_clock).then(|| catalogue.version()),
            data,
            markup,
        })
    }
}

impl<'a> Filter<'a> {
    fn read(asked: &'a Asked) -> Result<Self, Refusal> {
        let text = asked.parameter("q").map(|text| {
            let text = text.trim().trim_end_matches('.');
            text.to_ascii_lowercase()
        });
        let states = asked.parameter("state").map(|text| {
            let words = text.split(',');
            let states: Option<Vec<Wanted>> = words.map(Wanted::read).collect();
            states.ok_or_else(|| {
                Refusal::wrong_parameter(
                    "state",
                    text,
                    "empty, vm, mixed, pod, names, none, partial or changed1h, or several with commas between them",
                )
            })
        });
        let zone = asked.parameter("zone").map(|text| {
            Name::from_text(text)
                .map_err(|_| Refusal::wrong_parameter("zone", text, "a domain name"))
        });
        Ok(Self {
            text: text.filter(|text| !text.is_empty()),
            states: states.transpose()?.unwrap_or_default(),
            namespace: asked.parameter("ns"),
            zone: zone.transpose()?,
            hour: SystemTime::now() - HOUR,
        })
    }

    fn takes(&self, row: &HostRow) -> bool {
        let is_wanted = |wanted: &Wanted| wanted.holds(row, self.hour);
        (self.states.is_empty() || self.states.iter().any(is_wanted))
            && self
                .namespace
                .is_none_or(|namespace| row.namespace() == Some(namespace))
            && self
                .zone
                .as_ref()
                .is_none_or(|zone| row.host().is_at_or_below(zone))
            && self
                .text
                .as_ref()
                .is_none_or(|text| row.host().to_host().contains(text.as_str()))
    }
}

impl Wanted {
    fn read(word: &str) -> Option<Self> {
        match word {
            "partial" => Some(Self::Partial),
            "changed1h" => Some(Self::Changed),
            word => {
                let mut all = HostState::ALL.into_iter();
                all.find(|state| state.as_str() == word).map(Self::State)
            }
        }
    }

    fn holds(self, row: &HostRow, hour: SystemTime) -> bool {
        let counts = row.counts();
        match self {
            Self::State(state) => counts.state() == state,
            Self::Partial => is_partial(counts),
            Self::Changed => row.changed() >= hour,
        }
    }
}

fn is_partial(counts: &HostCounts) -> bool {
    let total = counts.total();
    total.in_count > 0 && total.out_count > 0
}

impl Sort {
    fn read(asked: &Asked) -> Result<Self, Refusal> {
        match asked.parameter("sort") {
            None | Some("host") => Ok(Self::Host),
            Some("changed") => Ok(Self::Changed),
            Some("out") => Ok(Self::Out),
            Some(other) => Err(Refusal::wrong_parameter(
                "sort",
                other,
                "host, changed or out",
            )),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Changed => "changed",
            Self::Out => "out",
        }
    }

    /// What comes before the name in this order: more comes first.
    fn key(self, row: &HostRow) -> u64 {
        match self {
            Self::Host => 0,
            Self::Changed => row.generation(),
            Self::Out => row.counts().total().out_count.into(),
        }
    }

    /// Where a row stands, for who wants those behind it.
    fn place_of(self, row: &HostRow) -> String {
        let host = row.host().to_host();
        match self {
            Self::Host => host,
            Self::Changed | Self::Out => format!("{},{host}", self.key(row)),
        }
    }
}

type Rows<'c> = (usize, Vec<&'c HostRow>, bool);

/// How many rows there are that `filter` takes, a page of them behind `after`, and whether more follow.
fn by_name<'c>(
    catalogue: &'c Catalogue,
    filter: &Filter<'_>,
    after: Option<&str>,
    limit: usize,
) -> Result<Rows<'c>, Refusal> {
    let after = after.map(|after| read_name(after, after)).transpose()?;
    let mut matching = 0;
    let mut rows = Vec::new();
    let mut has_more = false;
    for row in catalogue.rows().filter(|row| filter.takes(row)) {
        matching += 1;
        if after.as_ref().is_some_and(|after| row.host() <= after) {
            continue;
        }
        if rows.len() < limit {
            rows.push(row);
        } else {
            has_more = true;
        }
    }
    Ok((matching, rows, has_more))
}

/// The same in another order than that of names.
fn by_key<'c>(
    catalogue: &'c Catalogue,
    filter: &Filter<'_>,
    sort: Sort,
    after: Option<&str>,
    limit: usize,
) -> Result<Rows<'c>, Refusal> {
    let after = after.map(|after| {
        let wrong = || Refusal::wrong_parameter("after", after, "what `next` of a page says");
        let (key, name) = after.split_once(',').ok_or_else(wrong)?;
        let key: u64 = key.parse().map_err(|_| wrong())?;
        Ok((Reverse(key), read_name(name, after)?))
    });
    let after = after.transpose()?;
    let mut rows: Vec<&HostRow> = catalogue.rows().filter(|row| filter.takes(row)).collect();
    let matching = rows.len();
    // Rows come in the order of names, which a stable sort keeps.
    rows.sort_by_key(|row| Reverse(sort.key(row)));
    let is_before = |row: &&HostRow| {
        after
            .as_ref()
            .is_some_and(|(key, name)| (Reverse(sort.key(row)), row.host()) <= (*key, name))
    };
    let from = rows.iter().take_while(|row| is_before(row)).count();
    rows.drain(..from);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok((matching, rows, has_more))
}

fn read_name(name: &str, parameter: &str) -> Result<Name, Refusal> {
    let wrong = |_| Refusal::wrong_parameter("after", parameter, "what `next` of a page says");
    Name::from_text(name).map_err(wrong)
}

impl Row {
    fn new(row: &HostRow, exhibit: &Exhibit) -> Self {
        let counts = row.counts();
        let total = counts.total();
        Self {
            host: row.host().to_host(),
            namespace: row.namespace().map(ToOwned::to_owned),
            service_entries: row
                .chosen()
                .map(|service| service.key.name.to_string())
                .collect(),
            source: row.source().as_str(),
            r#in: total.in_count,
            out: total.out_count,
            addresses: addresses(&exhibit.snapshot, row.host()),
            lost: row
                .lost()
                .map(|(service, _)| format!("{}/{}", service.key.namespace, service.key.name))
                .collect(),
            pods: counts.pods.into(),
            vms: counts.vms.into(),
            inline: counts.inline.into(),
            names: counts.names.into(),
            state: counts.state().as_str(),
            changed: html::rfc3339(row.changed()),
        }
    }
}

/// All that a host answers with, ascending.
fn addresses(snapshot: &Arc<Snapshot>, host: &Name) -> Vec<IpAddr> {
    let records = records(snapshot, host);
    records.map_or_else(Vec::new, |records| records.addresses().collect())
}

impl Totals {
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let hour = SystemTime::now() - HOUR;
        let mut totals = Self::default();
        for row in catalogue.rows() {
            let state = row.counts().state();
            let place = HostState::ALL.iter().position(|other| *other == state);
            totals.states[place.expect("all are there")] += 1;
            totals.partial += usize::from(Wanted::Partial.holds(row, hour));
            totals.changed += usize::from(Wanted::Changed.holds(row, hour));
        }
        totals
    }

    pub(super) fn in_state(&self, state: HostState) -> usize {
        let all = HostState::ALL.iter().zip(self.states);
        all.filter(|(other, _)| **other == state)
            .map(|(_, count)| count)
            .sum()
    }
}

fn page(
    asked: &Asked,
    filter: &Filter<'_>,
    sort: Sort,
    data: &HostsPage,
    rows: &[&HostRow],
    limit: usize,
) -> Markup {
    let text = filter.text.as_deref().unwrap_or_default();
    let state = asked.parameter("state").unwrap_or_default();
    let states = HostState::ALL.map(HostState::as_str);
    let states = states.into_iter().chain(["partial", "changed1h"]);
    html! {
        form.filter method="get" action=(asked.address(&["hosts"])) {
            label { "Name has" input type="search" name="q" value=(text); }
            label {
                "State"
                select name="state" {
                    option value="" selected[state.is_empty()] { "any" }
                    @for word in states {
                        option value=(word) selected[state == word] { (word) }
                    }
                    @if state.contains(',') { option value=(state) selected { (state) } }
                }
            }
            label { "Namespace" input name="ns" value=(asked.parameter("ns").unwrap_or_default()); }
            label { "Zone" input name="zone" value=(asked.parameter("zone").unwrap_or_default()); }
            label {
                "Order"
                select name="sort" {
                    @for (word, text) in [("host", "by name"), ("changed", "changed last"), ("out", "most out")] {
                        option value=(word) selected[sort.as_str() == word] { (text) }
                    }
                }
            }
            @if limit != 100 { input type="hidden" name="limit" value=(limit); }
            @if let Some(refresh) = asked.parameter("refresh") { input type="hidden" name="refresh" value=(refresh); }
            button { "Show" }
        }
        p id="matching" data-live="" aria-live="polite" {
            (data.matching) " of " (data.total) " hosts"
            @if rows.len() < data.matching { ", " (rows.len()) " on this page" }
            "."
        }
        div.wide id="hosts" data-live="" tabindex="0" role="region" aria-label="Hosts" {
            table {
                caption { "In and out count endpoints; the bar has the Pods, VMs and inline endpoints that are in." }
                thead {
                    tr {
                        th scope="col" { "Host" }
                        th scope="col" { "Namespace" }
                        th scope="col" { "ServiceEntry" }
                        th scope="col" { "State" }
                        th.number scope="col" { "In" }
                        th.number scope="col" { "Out" }
                        th scope="col" { "Pods and VMs" }
                        th scope="col" { "Answers" }
                        th scope="col" { "Last change" }
                    }
                }
                tbody {
                    @for (row, host) in data.hosts.iter().zip(rows) {
                        (table_row(asked, row, host))
                    }
                }
            }
        }
        @if let Some(next) = &data.next {
            p { a rel="next" href=(asked.link_with(&["hosts"], "after", next)) { "Next " (limit) } }
        }
    }
}

fn table_row(asked: &Asked, row: &Row, host: &HostRow) -> Markup {
    let hidden = row.addresses.len().saturating_sub(SHOWN_ADDRESSES);
    let shown: Vec<String> = row
        .addresses
        .iter()
        .take(SHOWN_ADDRESSES)
        .map(ToString::to_string)
        .collect();
    html! {
        tr {
            th scope="row" { a href=(asked.link(&["hosts", &row.host], &[])) { (row.host) } }
            td { (row.namespace.as_deref().unwrap_or("-")) }
            td {
                @if row.service_entries.is_empty() { (row.source) }
                @else { (row.service_entries.join(", ")) }
            }
            td { (state_word(host.counts())) }
            td.number { (row.r#in) }
            td.number { (row.out) }
            td { (bar(host.counts())) }
            td {
                @if shown.is_empty() { "-" }
                @else { (shown.join(", ")) }
                @if hidden > 0 { " + " (hidden) " more" }
            }
            td { (html::time(host.changed())) }
        }
    }
}

/// A state as a word, with a sign for those who scan a column.
pub(super) fn state_word(counts: &HostCounts) -> Markup {
    let state = counts.state();
    let (sign, class) = match state {
        HostState::Empty => ("✕ ", Some("out")),
        _ if is_partial(counts) => ("◐ ", Some("partial")),
        HostState::None => ("", None),
        _ => ("● ", Some("in")),
    };
    html! {
        span class=[class] { span aria-hidden="true" { (sign) } (state.as_str()) }
        @if is_partial(counts) { span.soft { " partial" } }
    }
}

/// How many Pods, VMs and inline endpoints are in, as a bar with words.
pub(super) fn bar(counts: &HostCounts) -> Markup {
    let kinds = [
        ("pod", "Pods", counts.pods.in_count),
        ("vm", "VMs", counts.vms.in_count),
        ("inline", "inline", counts.inline.in_count),
    ];
    let all: u32 = kinds.iter().map(|(.., count)| count).sum();
    let words: Vec<String> = kinds
        .iter()
        .filter(|(.., count)| *count > 0)
        .map(|(_, name, count)| match (*count, *name) {
            (1, "Pods") => "1 Pod".to_owned(),
            (1, "VMs") => "1 VM".to_owned(),
            (count, name) => format!("{count} {name}"),
        })
        .collect();
    let mut from = 0;
    let parts = kinds.map(|(class, _, count)| {
        let width = (u64::from(count) * 100)
            .checked_div(all.into())
            .unwrap_or(0);
        let part = (class, from, width);
        from += width;
        part
    });
    html! {
        @if all > 0 {
            svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                @for (class, from, width) in parts {
                    rect class=(class) x=(from) y="0" width=(width) height="8" {}
                }
            }
            span { (words.join(", ")) }
        } @else { span.soft { "nobody" } }
    }
}
