//! Settings of forwarding that change while the server runs.

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, PATIENT, check_address, service},
    upstream::{Reply, Upstream},
};

fn to(upstream: &Upstream) -> String {
    format!(
        "forward: {{upstreams: ['{}'], {PATIENT}}}\n",
        upstream.flag()
    )
}

#[test]
fn other_upstreams_are_asked_and_the_cache_stays() {
    let [first, second] = [1, 2].map(Upstream::with_address);
    let forwarding = Forwarding::with(&[], &to(&first));
    check_address(&forwarding.ask("kept.test"), 1);
    forwarding.write("meshdns.yaml", &to(&second));
    forwarding.reload();
    check_address(&forwarding.ask("new.test"), 2);
    check_address(&forwarding.ask("kept.test"), 1);
    assert_eq!((first.count(), second.count()), (1, 1));
    let file = format!(
        "forward: {{upstreams: ['{}'], domains: [{{name: corp.test, upstreams: '{}'}}]}}\n",
        second.flag(),
        first.flag()
    );
    forwarding.write("meshdns.yaml", &file);
    forwarding.reload();
    check_address(&forwarding.ask("www.corp.test"), 1);
    check_address(&forwarding.ask("www.other.test"), 2);
    let page = forwarding.server.get("/metrics").body;
    let asked = format!(
        "meshdns_forward_requests_total{{to=\"{}\"}} 2",
        second.flag()
    );
    assert!(page.contains(&asked), "it is the same upstream: {page}");
}

#[test]
fn forwarding_begins_and_ends() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::with(&[], "");
    forwarding.write(
        "zones/objects.yaml",
        &service("db.internal.com", &["db.corp.test"]),
    );
    forwarding.server.wait_for_log(&["MDNS603", "db.corp.test"]);
    let is_refused = || {
        let answer = forwarding.ask("www.test");
        let header = &answer.metadata;
        assert_eq!(
            header.recursion_available,
            header.response_code != ResponseCode::Refused
        );
        header.response_code == ResponseCode::Refused
    };
    for _ in 0..2 {
        assert!(is_refused());
        assert_eq!(forwarding.addresses("db.internal.com", 1), [""; 0]);
        forwarding.write("meshdns.yaml", &to(&upstream));
        forwarding.reload();
        check_address(&forwarding.ask("www.test"), 1);
        forwarding.server.wait("the endpoint's name", || {
            forwarding.addresses("db.internal.com", 1) == ["192.0.2.1"]
        });
        forwarding.write("meshdns.yaml", "");
        forwarding.reload();
        forwarding.server.wait("an end of it", || {
            is_refused() && forwarding.addresses("db.internal.com", 1).is_empty()
        });
    }
}

#[test]
fn clients_and_limits_change() {
    let upstream = Upstream::answering(|asked| {
        Reply::to(asked).answer(asked.record_type(), 300, &[b'x'; 900])
    });
    let with = |more: &str| {
        let upstream = upstream.flag();
        format!("forward: {{upstreams: ['{upstream}'], {PATIENT}, {more}}}\n")
    };
    let forwarding = Forwarding::with(&[], &with("clients: [10.0.0.0/8]"));
    let answer = forwarding.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    forwarding.write("meshdns.yaml", &with("cacheSize: 8MiB"));
    forwarding.reload();
    for number in 0..2000 {
        forwarding.ask_for(&format!("name{number}.test"), 65_280);
    }
    let bytes = || forwarding.server.metric::<u64>("meshdns_cache_size_bytes");
    assert!(bytes() > 1 << 20, "{}", bytes());
    forwarding.write("meshdns.yaml", &with("cacheSize: 1MiB"));
    forwarding.reload();
    forwarding
        .server
        .wait("the cache to be smaller", || bytes() <= 1 << 20);
    assert!(bytes() > 1 << 18, "most of what fits stays");
}

#[test]
fn what_can_not_be_used_changes_nothing() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::with(&[], &to(&upstream));
    let itself = format!("forward: {{upstreams: ['{}']}}\n", forwarding.server.dns);
    for (file, why) in [
        ("forward: {upstreams: [nowhere]}\n", "nowhere"),
        ("forward: {timeout: 0s}\n", "timeout"),
        (&*itself, "this server itself"),
        (
            "zones: [{name: a.test, unmatched: forward}]\n",
            "nobody to forward to",
        ),
    ] {
        let failed = "meshdns_config_reload_failed_total";
        let before: u64 = forwarding.server.metric(failed);
        forwarding.write("meshdns.yaml", file);
        forwarding.reload();
        assert_eq!(
            forwarding.server.metric::<u64>(failed),
            before + 1,
            "{file}"
        );
        forwarding
            .server
            .wait_for_log(&["the configuration stays as it was", why]);
        check_address(&forwarding.ask(&format!("name{before}.test")), 1);
    }
}

#[test]
fn who_waits_is_answered_although_the_settings_change() {
    use std::sync::{Arc, Condvar, Mutex};
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = gate.clone();
    let slow = Upstream::answering(move |asked| {
        let (is_open, opened) = &*held;
        let open = is_open.lock().expect("no holder panics");
        drop(opened.wait_timeout_while(open, crate::program::PATIENCE, |open| !*open));
        Reply::to(asked).a(300, [192, 0, 2, 1])
    });
    let other = Upstream::with_address(2);
    let file = |upstream: &Upstream| {
        let upstream = upstream.flag();
        format!("forward: {{upstreams: ['{upstream}'], timeout: 1m, {PATIENT}}}\n")
    };
    let forwarding = Forwarding::with(&[], &file(&slow));
    let client = crate::serving::udp_client(forwarding.server.dns);
    let question = crate::serving::query(
        crate::harness::RD,
        "waiting.test",
        1,
        1,
        &crate::harness::edns(),
    );
    client.send(&question).expect("a sent query");
    forwarding
        .server
        .wait("the question to arrive", || slow.count() == 1);
    forwarding.write("meshdns.yaml", &file(&other));
    forwarding.reload();
    check_address(&forwarding.ask("new.test"), 2);
    let (is_open, opened) = &*gate;
    *is_open.lock().expect("no holder panics") = true;
    opened.notify_all();
    let mut answer = [0; 512];
    let length = client.recv(&mut answer).expect("an answer");
    check_address(&crate::harness::read(&answer[..length]), 1);
}
