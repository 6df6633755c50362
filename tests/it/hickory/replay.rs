//! A second opinion on every transcript of `tests/cases`: the same snapshots, served by hickory-server.

use std::{cell::Cell, fmt::Write as _, sync::Arc};

use arc_swap::ArcSwap;
use hickory_proto::rr::rdata::opt::NSIDPayload;
use hickory_server::zone_handler::Catalog;
use meshdns::{
    dns::Name,
    hickory::{MeshHandler, MeshZone},
    zone::Snapshot,
};

use super::Running;
use crate::{
    cases::replay_all,
    transport::{Server, Transport, ask_over_tcp, ask_over_udp},
};

const HANDLER_OVER_UDP: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let running = Running::start(MeshHandler::new(snapshots));
        let address = running.udp;
        Server::new(move |query| ask_over_udp(address, query), running)
    },
};

const HANDLER_OVER_TCP: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let running = Running::start(MeshHandler::new(snapshots));
        let address = running.tcp;
        Server::new(move |query| ask_over_tcp(address, query), running)
    },
};

const CATALOG_OVER_UDP: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let running = Running::start(catalog(&snapshots));
        let address = running.udp;
        Server::new(move |query| ask_over_udp(address, query), running)
    },
};

const CATALOG_OVER_TCP: Transport = Transport {
    has_ids: true,
    start: |snapshots| {
        let running = Running::start(catalog(&snapshots));
        let address = running.tcp;
        Server::new(move |query| ask_over_tcp(address, query), running)
    },
};

/// The declared zones of the mesh, and the server's identifier.
fn catalog(snapshots: &Arc<ArcSwap<Snapshot>>) -> Catalog {
    let mut catalog = Catalog::new();
    let nsid = snapshots.load().settings().identity.nsid.clone();
    catalog.set_nsid(nsid.map(|nsid| NSIDPayload::new(nsid).expect("a short identifier")));
    MeshZone::mount_all(snapshots, &mut catalog);
    catalog
}

/// The handler has no differences: not one, in any transcript.
#[test]
fn the_handler_over_udp() {
    replay_all(HANDLER_OVER_UDP, str::to_owned);
}

#[test]
fn the_handler_over_tcp() {
    replay_all(HANDLER_OVER_TCP, str::to_owned);
}

/// What a catalog makes otherwise of the answers of our zones.
struct Difference {
    reason: &'static str,
    /// Turns our reply to a question into the catalog's.
    apply: fn(&Asked<'_>, &str) -> String,
}

/// What a step of a transcript asks, and of whom.
struct Asked<'t> {
    name: &'t str,
    record_type: &'t str,
    zones: Vec<Name>,
    /// TTL of NS records, in seconds.
    ttl: &'t str,
}

impl Asked<'_> {
    /// The zone of the catalog that the name is in, as text.
    fn zone(&self) -> Option<String> {
        let name = Name::from_text(self.name).expect("a valid name");
        let around = self.zones.iter().filter(|zone| name.is_at_or_below(zone));
        let nearest = around.max_by_key(|zone| zone.as_wire().len())?;
        Some(nearest.to_string())
    }
}

const DIFFERENCES: [Difference; 4] = [
    Difference {
        reason: "Hosts outside of declared zones, and names of class CHAOS, are in no zone that a catalog could hold. It \
                 refuses them without a look at the class.",
        apply: |asked, reply| {
            if asked.zone().is_some() {
                return reply.to_owned();
            }
            let lines = reply.split_inclusive('\n');
            let kept = lines.filter(|line| line.starts_with(";; NSID"));
            [";; REFUSED qr\n"].into_iter().chain(kept).collect()
        },
    },
    Difference {
        reason: "A catalog writes no Extended DNS Errors, and a zone can't tell it one.",
        apply: |_, reply| {
            let lines = reply.split_inclusive('\n');
            lines.filter(|line| !line.starts_with(";; EDE")).collect()
        },
    },
    Difference {
        reason: "A catalog sets AA before it asks the zone, and leaves it set where the zone refuses.",
        apply: |asked, reply| match asked.zone() {
            Some(_) => reply.replace(";; REFUSED qr", ";; REFUSED qr aa"),
            None => reply.to_owned(),
        },
    },
    Difference {
        reason: "A catalog adds the zone's NS records to an answer with its SOA, as older servers do; nobody needs them.",
        apply: |asked, reply| match asked.zone() {
            Some(zone) if asked.record_type == "SOA" && !reply.contains(";; AUTHORITY") => {
                let ttl = asked.ttl;
                format!("{reply};; AUTHORITY\n{zone} {ttl} IN NS ns.meshdns.invalid.\n")
            }
            _ => reply.to_owned(),
        },
    },
];

#[test]
fn the_catalog_over_udp() {
    replay_by_the_table(CATALOG_OVER_UDP);
}

#[test]
fn the_catalog_over_tcp() {
    replay_by_the_table(CATALOG_OVER_TCP);
}

#[track_caller]
fn replay_by_the_table(transport: Transport) {
    let applied = [const { Cell::new(false) }; DIFFERENCES.len()];
    replay_all(transport, |transcript| by_the_table(transcript, &applied));
    for (difference, applied) in DIFFERENCES.iter().zip(applied) {
        assert!(applied.get(), "differs no longer: {}", difference.reason);
    }
}

/// What the transcript is where a catalog answers.
fn by_the_table(transcript: &str, applied: &[Cell<bool>]) -> String {
    let serve = transcript
        .lines()
        .find_map(|line| line.strip_prefix("$ serve "))
        .unwrap_or_default();
    let flags: Vec<&str> = serve.split_whitespace().collect();
    let values = |flag| {
        flags
            .chunks(2)
            .filter(move |pair| pair[0] == flag)
            .map(|pair| pair[1])
    };
    let zones: Vec<Name> = values("--zone")
        .map(|zone| zone.parse().expect("a zone"))
        .collect();
    let ttl = values("--ttl")
        .next()
        .map_or("5", |ttl| ttl.trim_end_matches('s'));
    let mut expected = String::new();
    let mut lines = transcript.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        write!(expected, "{line}").expect("a string can be written to");
        let Some(question) = line.strip_prefix("$ dig ") else {
            continue;
        };
        let mut words = question.split_whitespace();
        let asked = Asked {
            name: words.next().expect("a name"),
            record_type: words.next().expect("a type"),
            zones: zones.clone(),
            ttl,
        };
        let mut reply = String::new();
        while let Some(line) = lines.next_if(|line| !is_no_reply(line)) {
            reply.push_str(line);
        }
        for (difference, applied) in DIFFERENCES.iter().zip(applied) {
            let changed = (difference.apply)(&asked, &reply);
            applied.set(applied.get() || changed != reply);
            reply = changed;
        }
        expected.push_str(&reply);
    }
    expected
}

/// Whether a line of a transcript is a step, a comment or blank.
fn is_no_reply(line: &str) -> bool {
    line.starts_with("$ ") || line.starts_with("; ") || line.trim().is_empty()
}
