//! `/migration`: how far the hosts are on their way from VMs to Pods.

use std::{collections::BTreeMap, time::SystemTime};

use maud::{Markup, html};
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};
use crate::catalogue::{Catalogue, HostState, Moves};

const PARAMETERS: [&str; 1] = ["ns"];

/// The hosts of a namespace, or all of them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    hosts: usize,
    states: BTreeMap<&'static str, usize>,
    /// Endpoints that are in, each as often as hosts have it.
    pods: u64,
    vms: u64,
    inline: u64,
    /// For how many days none of them has changed.
    days_without_change: u64,
    /// When the first of them had a Pod in, as far as that was seen.
    first_pod: Option<String>,
    /// When the last VM of all of them went out, where none is in.
    last_vm: Option<String>,
    #[serde(skip)]
    changed: Option<SystemTime>,
    #[serde(skip)]
    moves: Moves,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MigrationPage {
    #[serde(flatten)]
    stamp: Stamp,
    total: Sum,
    namespaces: BTreeMap<String, Sum>,
}

impl Ui {
    pub(super) fn migration(&self, asked: &Asked) -> Result<Shown<MigrationPage>, Refusal> {
        asked.take_only(&PARAMETERS)?;
        let exhibit = self.exhibit.load_full();
        if !exhibit.snapshot.is_ready() {
            return Err(Refusal::starting());
        }
        let wanted = asked.parameter("ns");
        let (total, namespaces) = sums(&exhibit.catalogue, wanted);
        let states = HostState::ALL.map(HostState::as_str);
        let data = MigrationPage {
            stamp: Stamp::of(&exhibit.snapshot),
            total,
            namespaces,
        };
        let link = |namespace: &str, state: &str| {
            asked.link(&["hosts"], &[("state", state), ("ns", namespace)])
        };
        let namespace = wanted.unwrap_or_default();
        let rows = || {
            let all = data.namespaces.iter();
            all.map(|(name, hosts)| (name.as_str(), hosts))
        };
        let markup = html! {
            form.filter method="get" action=(asked.address(&["migration"])) {
                label { "Namespace" input name="ns" value=(namespace); }
                button { "Show" }
            }
            div id="migration" data-live="" {
                p aria-live="polite" {
                    (data.total.hosts) " hosts: "
                    @for (index, state) in states.iter().enumerate() {
                        @let count = data.total.states.get(state).copied().unwrap_or(0);
                        @if index > 0 { ", " }
                        a href=(link(namespace, state)) { (count) " " (state) }
                    }
                    "."
                }
                div.wide tabindex="0" role="region" aria-label="Namespaces" {
                    table {
                        caption { "Hosts of each namespace by who answers for them, and the endpoints that are in, as often as hosts have them." }
                        thead {
                            tr {
                                th scope="col" { "Namespace" }
                                @for state in states { th.number scope="col" { (state) } }
                                th.number scope="col" { "Pods" }
                                th.number scope="col" { "VMs" }
                                th.number scope="col" { "Inline" }
                                th scope="col" { "First Pod in" }
                                th scope="col" { "Last VM out" }
                                th.number scope="col" { "Days without a change" }
                            }
                        }
                        tbody {
                            @for (name, hosts) in rows() {
                                tr {
                                    th scope="row" { a href=(asked.link(&["hosts"], &[("ns", name)])) { (name) } }
                                    @for state in states {
                                        td.number {
                                            @match hosts.states.get(state) {
                                                Some(count) => a href=(link(name, state)) { (count) },
                                                None => "0",
                                            }
                                        }
                                    }
                                    td.number { (hosts.pods) }
                                    td.number { (hosts.vms) }
                                    td.number { (hosts.inline) }
                                    td { (seen(hosts.moves.first_pod)) }
                                    td { (seen(hosts.moves.last_vm.filter(|_| hosts.last_vm.is_some()))) }
                                    td.number { (hosts.days_without_change) }
                                }
                            }
                        }
                    }
                }
            }
        };
        Ok(Shown {
            title: "Migration".to_owned(),
            // Days go by without a change.
            version: None,
            data,
            markup,
        })
    }
}

/// When something was seen.
fn seen(at: Option<SystemTime>) -> Markup {
    html! {
        @match at { Some(at) => (html::time(at)), None => "-" }
    }
}

/// The sums over all hosts of `wanted`, and by namespace.
fn sums(catalogue: &Catalogue, wanted: Option<&str>) -> (Sum, BTreeMap<String, Sum>) {
    let mut total = Sum::default();
    let mut namespaces = BTreeMap::<String, Sum>::new();
    for row in catalogue.rows() {
        let Some(namespace) = row.namespace() else {
            continue;
        };
        if wanted.is_some_and(|wanted| wanted != namespace) {
            continue;
        }
        if !namespaces.contains_key(namespace) {
            namespaces.insert(namespace.to_owned(), Sum::default());
        }
        let of_namespace = namespaces.get_mut(namespace).expect("just put there");
        for hosts in [&mut total, of_namespace] {
            let counts = row.counts();
            hosts.hosts += 1;
            *hosts.states.entry(counts.state().as_str()).or_default() += 1;
            hosts.pods += u64::from(counts.pods.in_count);
            hosts.vms += u64::from(counts.vms.in_count);
            hosts.inline += u64::from(counts.inline.in_count);
            hosts.changed = hosts.changed.max(Some(row.changed()));
            let moves = row.moves();
            let firsts = [hosts.moves.first_pod, moves.first_pod];
            hosts.moves.first_pod = firsts.into_iter().flatten().min();
            hosts.moves.last_vm = hosts.moves.last_vm.max(moves.last_vm);
        }
    }
    for hosts in namespaces.values_mut().chain([&mut total]) {
        let age = hosts.changed.and_then(|changed| changed.elapsed().ok());
        let has_vms = hosts.vms + hosts.inline > 0;
        hosts.first_pod = hosts.moves.first_pod.map(html::rfc3339);
        hosts.last_vm = hosts.moves.last_vm.filter(|_| !has_vms).map(html::rfc3339);
        hosts.days_without_change = age.unwrap_or_default().as_secs() / (24 * 60 * 60);
    }
    (total, namespaces)
}
