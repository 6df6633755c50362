//! The story in text.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use super::{Others, shares};
use crate::{
    authority::Standing,
    dns::Name,
    explain::{AskerStory, Explanation, HostStory, Miss, NearWorkload, Outcome, Via, about_name},
    mesh::{Endpoints, Service},
    select::{Candidate, Loss, Source},
    wording::{count, table},
    zone::{Asker, Made, Role},
};

/// Tells the story, and for a name that is not ours which `others` answer for it.
pub fn write(
    out: &mut dyn Write,
    told: &Explanation,
    others: Option<&Others<'_>>,
) -> io::Result<()> {
    let Explanation {
        name, record_type, ..
    } = told;
    writeln!(out, "{name} {record_type}: {}", headline(told, others))?;
    writeln!(out)?;
    writeln!(out, "name   {}", existence(told))?;
    writeln!(out, "zone   {}", zone(told))?;
    if let Some(story) = &told.asker {
        writeln!(out, "asker  {}", asker(story))?;
    }
    if let Some(Others::Upstreams { domain, addresses }) = others {
        let upstreams = match &**addresses {
            [] => "nobody: there is no upstream at present".to_owned(),
            upstreams => upstreams.join(", "),
        };
        writeln!(out, "asks   {upstreams} (for {domain})")?;
    }
    for story in &told.hosts {
        writeln!(out)?;
        write_host(out, story, told.asker.as_ref().map(|story| story.asker))?;
    }
    if !told.near.is_empty() {
        let hosts: Vec<String> = told.near.iter().map(Name::to_host).collect();
        writeln!(out, "\nDid you mean {}?", hosts.join(" or "))?;
    }
    let is_root = name.parent().is_none();
    if told.hosts_below > 0 && !is_root {
        writeln!(
            out,
            "\nBelow it: {}. `--zone {}` answers for the whole domain.",
            count(told.hosts_below, "host"),
            name.to_host()
        )?;
    }
    // What others say takes the place of these.
    let sections = [("ANSWER", &told.answer), ("AUTHORITY", &told.authority)];
    let is_drawn = told
        .hosts
        .iter()
        .any(|story| story.answers && story.selection.gathering.split.is_some());
    for (section, records) in sections.into_iter().filter(|_| others.is_none()) {
        if !records.is_empty() {
            let one = if is_drawn && section == "ANSWER" {
                " (one of those that may be drawn)"
            } else {
                ""
            };
            writeln!(out, "\n;; {section} SECTION{one}:")?;
        }
        for record in records {
            writeln!(out, "{record}")?;
        }
    }
    Ok(())
}

fn forwarded(told: &Explanation) -> &'static str {
    match told.via {
        Via::Made(..) => "forwarded (the mesh has other records of this name)",
        Via::Host | Via::Wildcard(_) | Via::CopyOf(_) => {
            "forwarded (the mesh answers for the addresses of this name alone)"
        }
        Via::Apex | Via::EmptyNonTerminal | Via::Nothing => "forwarded (not a name of this server)",
    }
}

/// What the query gets, in a line.
pub(crate) fn headline(told: &Explanation, others: Option<&Others<'_>>) -> String {
    match others {
        Some(Others::Upstreams { .. }) => return forwarded(told).to_owned(),
        Some(Others::Special(rfc)) => {
            return format!(
                "answered here and never forwarded ({rfc}; docs/configuration.md#forwarding)"
            );
        }
        None => {}
    }
    let rcode = told.rcode;
    match told.outcome {
        Outcome::Answer => format!("{rcode}, {}", count(told.answer.len(), "record")),
        Outcome::NoData => {
            format!("{rcode} without an answer (the name exists, it has no such record)")
        }
        Outcome::NoName => format!("{rcode} (no such name)"),
        Outcome::NotOurs => format!("{rcode} (not a name of this server)"),
        Outcome::NoSuchQuestion => format!("{rcode} (no name has records of this type)"),
    }
}

pub(crate) fn existence(told: &Explanation) -> String {
    match &told.via {
        Via::Host => "is a host".to_owned(),
        Via::Wildcard(wildcard) => {
            format!("is covered by the wildcard host {}", wildcard.to_host())
        }
        Via::CopyOf(wildcard) => format!(
            "exists because there are hosts below it; covered by the wildcard host {}",
            wildcard.to_host()
        ),
        Via::Made(of_host, made) => made_name(of_host, *made),
        Via::Apex => "is the apex of a declared zone, and no host".to_owned(),
        Via::EmptyNonTerminal => "exists only because there are hosts below it".to_owned(),
        Via::Nothing if told.hosts.is_empty() => {
            "no ServiceEntry has it, and no wildcard covers it".to_owned()
        }
        Via::Nothing => "does not answer: see the host below".to_owned(),
    }
}

fn made_name(of_host: &Name, made: Made) -> String {
    let of_host = of_host.to_host();
    match made {
        Made::Endpoint(address) => format!("is the endpoint {address} of the host {of_host}"),
        Made::Service(_) => format!("is a port of the host {of_host}"),
        Made::GrpcConfig => format!("is where gRPC looks for the config of the host {of_host}"),
        Made::Https(port) => format!("is HTTPS at port {port} of the host {of_host}"),
        Made::Address(address) => {
            format!("is the address {address}, which leads to the host {of_host}")
        }
        Made::Between => format!("exists because there are ports of the host {of_host} below it"),
    }
}

pub(crate) fn zone(told: &Explanation) -> String {
    match &told.zone {
        Some(zone) if zone.is_declared => format!("{} (declared)", zone.apex),
        Some(zone) => format!("{} (of its own: no declared zone holds it)", zone.apex),
        None => "none: neither a declared zone nor a host above it".to_owned(),
    }
}

fn asker(story: &AskerStory) -> String {
    let asks = match story.asker.role {
        Role::Direct => "asks for itself",
        Role::Forwarder => "is a forwarder, and asks for others",
    };
    let objects: Vec<String> = story.objects.iter().map(ToString::to_string).collect();
    let objects = match &*objects {
        [] => String::new(),
        objects => format!(" ({})", objects.join(", ")),
    };
    let locality = match &story.locality {
        Some(locality) => format!(", locality {locality}"),
        None => String::new(),
    };
    let namespace = match &story.namespace {
        Some(namespace) => format!(", namespace {namespace}"),
        None => String::new(),
    };
    format!("{} {asks}{objects}{locality}{namespace}", story.client)
}

fn write_host(out: &mut dyn Write, story: &HostStory, asker: Option<Asker>) -> io::Result<()> {
    let selection = &story.selection;
    let heading = if story.answers {
        "answers"
    } else {
        "does not answer"
    };
    writeln!(out, "host {} {heading}", selection.host.to_host())?;
    let entries: Vec<_> = story
        .service_entries()
        .enumerate()
        .map(|(index, (service, loss))| {
            let selector = story.selectors.get(index).and_then(Option::as_ref);
            [
                if loss.is_none() { "chosen" } else { "lost" }.to_owned(),
                format!("{}/{}", service.key.namespace, service.key.name),
                service.origin().to_string(),
                endpoints(service, selector.map(Vec::as_slice)),
                loss.map_or_else(String::new, |loss| reason(loss).to_owned()),
            ]
        })
        .collect();
    table::write(
        out,
        2,
        ["", "SERVICEENTRY", "AT", "ENDPOINTS FROM", "WHY"],
        &entries,
    )?;
    if let Some(split) = &selection.gathering.split {
        writeln!(out)?;
        shares::write(out, split, &selection.chosen, asker)?;
    }
    let rows: Vec<_> = selection
        .candidates
        .iter()
        .map(|candidate| candidate_row(story, candidate))
        .collect();
    writeln!(out)?;
    if !rows.is_empty() {
        table::write(out, 2, ["", "ENDPOINT", "ADDRESSES", "AT", "WHY"], &rows)?;
    } else if !selection.chosen.is_empty() {
        writeln!(out, "  no endpoint: {}", why_none(story))?;
    }
    for near in &story.near {
        writeln!(out, "  {}", near_line(near))?;
    }
    if selection.gathering.all_unhealthy {
        writeln!(
            out,
            "  no endpoint is healthy: all answer that have an address (answers.whenAllUnhealthy: all)"
        )?;
    }
    Ok(())
}

pub(crate) fn endpoints(service: &Service, selector: Option<&[(String, String)]>) -> String {
    match (&service.endpoints, selector) {
        (Endpoints::Selector(_), Some([])) => "selector {} (empty, picks nobody)".to_owned(),
        (Endpoints::Selector(_), Some(labels)) => {
            let labels: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("selector {}", labels.join(","))
        }
        (Endpoints::Selector(_), None) => "selector".to_owned(),
        (Endpoints::Inline(_), _) => "spec.endpoints".to_owned(),
        (Endpoints::Neither, _) if service.has_real_addresses() => "spec.addresses".to_owned(),
        (Endpoints::Neither, _) => "nothing".to_owned(),
    }
}

pub(crate) fn reason(loss: Loss) -> &'static str {
    match loss {
        Loss::NotPublic => {
            "exportTo keeps it to some namespaces, and a ServiceEntry of another one is exported to everyone"
        }
        Loss::RoundRobin => "DNS_ROUND_ROBIN takes the endpoint of the oldest ServiceEntry alone",
        Loss::OtherNamespace => "an older ServiceEntry of another namespace has the host",
        Loss::Hidden => "exportTo is ~, which hides it from everyone",
        Loss::NotExported => "exportTo keeps it from who asks (answers.exportTo: enforce)",
        Loss::OwnNamespace => "a ServiceEntry of the asker's own namespace has the host",
    }
}

pub(crate) fn candidate_row(story: &HostStory, candidate: &Candidate) -> [String; 5] {
    let service = &story.selection.chosen[candidate.service];
    let (what, origin) = match &candidate.source {
        Source::Workload(workload) => (workload.key.to_string(), workload.origin()),
        Source::Inline(index) => (format!("endpoints[{index}]"), service.origin()),
        Source::Addresses => ("addresses".to_owned(), service.origin()),
    };
    let addresses: Vec<String> = candidate
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    let addresses = if addresses.is_empty() {
        "-".to_owned()
    } else {
        addresses.join(",")
    };
    let why = candidate.why();
    let why = why.or_else(|| about_name(candidate, SystemTime::now()));
    let is_sharing = story.selection.is_in(candidate);
    let part = story.part_of(candidate).map(|part| match part {
        0.0 if is_sharing => "others are nearer to the asker".to_owned(),
        // Its side has no share.
        0.0 if candidate.is_good() => "no share".to_owned(),
        part => format!("{:.1} % of answers", part * 100.0),
    });
    let why = match (part.filter(|_| candidate.is_good()), why) {
        (Some(part), Some(why)) => Some(format!("{part}; {why}")),
        (part, why) => part.or(why),
    };
    [
        if story.selection.is_in(candidate) {
            "in"
        } else {
            "out"
        }
        .to_owned(),
        what,
        addresses,
        origin.to_string(),
        why.unwrap_or_default(),
    ]
}

pub(crate) fn why_none(story: &HostStory) -> String {
    let selection = &story.selection;
    if selection.gathering.standing == Standing::Left {
        return "the ServiceEntry has no endpoints, and its resolution leaves the lookup to DNS"
            .to_owned();
    }
    let namespaces = selection
        .chosen
        .first()
        .map(|service| &service.key.namespace);
    let namespace = namespaces.map_or("", |namespace| namespace);
    if story.selectors.iter().any(Option::is_some) {
        format!("the selector picks no Pod and no WorkloadEntry of namespace {namespace}")
    } else {
        "the ServiceEntry has neither endpoints nor addresses".to_owned()
    }
}

pub(crate) fn near_line(near: &NearWorkload) -> String {
    let key = &near.workload.key;
    let origin = near.workload.origin();
    match &near.miss {
        Miss::OtherNamespace => format!(
            "near: {key} ({origin}) has the labels, but is in namespace {}",
            key.namespace
        ),
        Miss::Label {
            key: label,
            wanted,
            found: Some(found),
        } => format!("near: {key} ({origin}) has {label}={found}, not {label}={wanted}"),
        Miss::Label {
            key: label, wanted, ..
        } => format!("near: {key} ({origin}) lacks the label {label}={wanted}"),
    }
}
