//! CoreDNS as people configure it: the snippet's server block with one thing different, each block at a port of its own.

use crate::{
    forwarders::{coredns_block, coredns_with, machine, wait_for},
    machine::{SERVERS, wait},
    mesh,
};

/// What keeps answers as long as their TTL.
pub(crate) const CACHE: &str = "    cache {
        success 9984 5 0
        denial 9984 5 0
    }
";

/// What shuffles answers, kept ones too.
pub(crate) const SHUFFLE: &str = "    loadbalance\n";

/// What may stand in the snippet's block besides.
const ADDITIONS: [&str; 7] = [
    "",
    SHUFFLE,
    CACHE,
    "    loadbalance
    cache {
        success 9984 5 0
        denial 9984 5 0
    }
",
    "    cache {
        success 9984 5 0
        denial 9984 5 0
        servfail 0
    }
",
    "    cache {
        success 9984 30
        denial 9984 30
    }
",
    "    cache\n",
];

/// What may be different: what stands in the snippet's block, and what in its place.
const VARIANTS: [(&str, &str); 6] = [
    ("max_fails 2", "max_fails 2\n        force_tcp"),
    ("max_fails 2", "max_fails 2\n        prefer_udp"),
    ("policy round_robin", "policy random"),
    ("policy round_robin", "policy sequential"),
    ("max_fails 2", "max_fails 0"),
    (
        "max_fails 2",
        "max_fails 2\n        failover SERVFAIL REFUSED",
    ),
];

/// A block with more in it.
pub(crate) fn with(block: &str, addition: &str) -> String {
    block.replacen("    forward", &format!("{addition}    forward"), 1)
}

/// Every mesh name resolves, whatever the block says about caching, order and transport.
pub(crate) fn variants() {
    let machine = machine();
    let _servers = SERVERS.map(|server| machine.serve(server));
    let snippet = coredns_block(&machine);
    let mut blocks = ADDITIONS.map(|addition| with(&snippet, addition)).to_vec();
    for (old, new) in VARIANTS {
        assert!(snippet.contains(old), "{old:?} in {snippet}");
        blocks.push(snippet.replacen(old, new, 1));
    }
    let corefile: String = (0..)
        .zip(&blocks)
        .map(|(number, block)| block.replace(":53 {", &format!(":{} {{", 5310 + number)))
        .collect();
    let _coredns = coredns_with(&machine, &corefile);
    for (number, block) in blocks.iter().enumerate() {
        let port = format!("-p{}", 5310 + number);
        wait(block, || {
            machine
                .dig(&["@127.0.0.1", &port, "v4.internal.com", "+tries=1"])
                .status
                == "NOERROR"
        });
        mesh::is_answered(&machine, "127.0.0.1", &[&port]);
    }
}

/// The question with which CoreDNS looks whether a server is back gets an answer at once, and the server is taken back.
pub(crate) fn health_checks() {
    let machine = machine();
    let mut server = Some(machine.serve(SERVERS[0]));
    let at = format!("@{}", SERVERS[0]);
    let asked = (0..20).map(|_| machine.text_of("dig", &[&at, ".", "NS", "+tries=1"]));
    let times = asked.map(|printed| {
        assert!(printed.contains("status: REFUSED"), "{printed}");
        let (_, rest) = printed.split_once("Query time: ").expect("dig tells");
        let (millis, _) = rest.split_once(" msec").expect("in milliseconds");
        millis.parse::<u32>().expect("a number")
    });
    // What is busy besides may hold some of them up.
    let quickest = times.min();
    assert!(quickest < Some(10), "{quickest:?} ms");
    let _coredns = coredns_with(&machine, &coredns_block(&machine));
    let at = "127.0.0.1";
    wait_for(&machine, at, || "v4.internal.com".to_owned());
    drop(server.take());
    wait("a failure", || {
        machine.dig(&["@127.0.0.1", "v4.internal.com"]).status == "SERVFAIL"
    });
    server = Some(machine.serve(SERVERS[0]));
    wait_for(&machine, at, || "v4.internal.com".to_owned());
    mesh::is_answered(&machine, at, &[]);
    drop(server);
}
