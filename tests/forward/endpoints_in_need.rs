//! Endpoints that are names, while the upstreams that should know them are dead, slow or broken.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use crate::{
    harness::{Forwarding, service},
    upstream::{Reply, Upstream},
};

const A: u16 = 1;

fn failing(forwarding: &Forwarding) -> u64 {
    forwarding.server.metric("meshdns_endpoint_names_failing")
}

#[test]
fn what_was_good_stays_when_the_upstream_dies() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).only_a(asked, 1, 1));
    let address = upstream.address;
    let objects = [service("db.internal.com", &["db.corp.test", "10.0.0.1"])];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let is = |addresses: &[&str]| forwarding.addresses("db.internal.com", A) == addresses;
    assert!(is(&["10.0.0.1", "192.0.2.1"]));
    drop(upstream);
    forwarding
        .server
        .wait("the name to fail", || failing(&forwarding) == 1);
    forwarding
        .server
        .wait_for_log(&["db.corp.test", "can't be looked up"]);
    assert!(is(&["10.0.0.1", "192.0.2.1"]));
    let oldest: f64 = forwarding
        .server
        .metric("meshdns_endpoint_names_oldest_timestamp_seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.expect("a clock").as_secs_f64() - oldest;
    assert!((0.0..120.0).contains(&age), "{age}");

    let _back = Upstream::again_at(address, |asked| Reply::to(asked).only_a(asked, 1, 2));
    forwarding
        .server
        .wait("the new address", || is(&["10.0.0.1", "192.0.2.2"]));
    forwarding
        .server
        .wait("the name to be well", || failing(&forwarding) == 0);
    forwarding
        .server
        .wait_for_log(&["db.corp.test", "can be looked up again"]);
}

#[test]
fn what_was_good_stays_when_the_upstream_fails() {
    for rcode in [2, 5] {
        let is_broken = Arc::new(AtomicBool::new(false));
        let breaks = is_broken.clone();
        let upstream = Upstream::answering(move |asked| {
            let reply = Reply::to(asked);
            if breaks.load(Ordering::SeqCst) {
                return reply.rcode(rcode);
            }
            reply.only_a(asked, 1, 1)
        });
        let objects = [service("db.internal.com", &["db.corp.test"])];
        let forwarding = Forwarding::in_mesh(&upstream, &objects);
        let found = || forwarding.addresses("db.internal.com", A);
        assert_eq!(found(), ["192.0.2.1"]);
        is_broken.store(true, Ordering::SeqCst);
        forwarding
            .server
            .wait("the name to fail", || failing(&forwarding) == 1);
        assert_eq!(found(), ["192.0.2.1"], "rcode {rcode}");
    }
}

#[test]
fn one_family_that_fails_does_not_take_the_other_along() {
    let upstream = Upstream::answering(|asked| match asked.record_type() {
        A => Reply::to(asked).a(1, [192, 0, 2, 1]),
        _ => Reply::to(asked).rcode(2),
    });
    let objects = [service("db.internal.com", &["db.corp.test"])];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    forwarding.server.wait("the address", || {
        forwarding.addresses("db.internal.com", A) == ["192.0.2.1"]
    });
}

#[test]
fn one_family_sets_no_pace_for_the_other() {
    let last = Arc::new(AtomicU8::new(1));
    let moving = last.clone();
    let upstream = Upstream::sending(move |asked| {
        if asked.record_type() != A {
            return Vec::new();
        }
        let last = moving.load(Ordering::SeqCst);
        vec![Reply::to(asked).a(1, [192, 0, 2, last]).bytes()]
    });
    let objects = [service("db.internal.com", &["db.corp.test"])];
    let file = format!(
        "forward: {{upstreams: '{}', timeout: 1m, retryAfter: 1m}}\n",
        upstream.flag()
    );
    let forwarding = Forwarding::with(&[], &file);
    forwarding.write("zones/objects.yaml", &objects.join("---\n"));
    // All of this while the first question for AAAA waits for its reply.
    for number in 1..4 {
        last.store(number, Ordering::SeqCst);
        forwarding.server.wait("the new address", || {
            forwarding.addresses("db.internal.com", A) == [format!("192.0.2.{number}")]
        });
    }
    let asked = upstream.asked();
    let others = asked.iter().filter(|asked| asked.record_type() != A);
    assert_eq!(others.count(), 1);
}

#[test]
fn a_cut_reply_with_no_whole_one_is_a_failure() {
    let upstream = Upstream::sending(|asked| {
        if asked.over_tcp {
            return Vec::new();
        }
        let cut = Reply::to(asked).with(0x0200).a(1, [192, 0, 2, 66]);
        vec![cut.bytes()]
    });
    let objects = [service("db.internal.com", &["db.corp.test", "10.0.0.1"])];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    forwarding
        .server
        .wait("the name to fail", || failing(&forwarding) == 1);
    let found = forwarding.addresses("db.internal.com", A);
    assert_eq!(found, ["10.0.0.1"], "half of the addresses are none");
}

#[test]
fn other_upstreams_are_asked_at_once_for_what_failed() {
    let failing_one = Upstream::answering(|asked| Reply::to(asked).rcode(2));
    let good = Upstream::answering(|asked| Reply::to(asked).only_a(asked, 300, 1));
    let objects = [service("db.internal.com", &["db.corp.test"])];
    let forwarding = Forwarding::in_mesh(&failing_one, &objects);
    // From then on, it is left alone for 16 s or more.
    forwarding.server.wait("the name to fail often", || {
        failing_one.count_of("db.corp.test.") >= 2 * 5
    });
    let file = format!("forward: {{upstreams: '{}'}}\n", good.flag());
    forwarding.write("meshdns.yaml", &file);
    let since = std::time::Instant::now();
    forwarding.reload();
    forwarding.server.wait("the address", || {
        forwarding.addresses("db.internal.com", A) == ["192.0.2.1"]
    });
    assert!(since.elapsed().as_secs() < 10, "{:?}", since.elapsed());
}

#[test]
fn a_server_begins_without_upstreams() {
    let silent = Upstream::silent();
    let objects = [service("db.internal.com", &["db.corp.test", "10.0.0.1"])];
    // It is ready when this returns.
    let forwarding = Forwarding::in_mesh(&silent, &objects);
    assert_eq!(forwarding.addresses("db.internal.com", A), ["10.0.0.1"]);
    assert_eq!(forwarding.addresses("svc1.internal.com", A), ["10.0.0.1"]);
}
