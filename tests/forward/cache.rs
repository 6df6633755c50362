//! What is kept of upstreams' answers, for how long, and what it is worth when they are gone.

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
};

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, RD, check_address, edns, extended_errors, read, records},
    program::PATIENCE,
    serving::{query, udp_client},
    upstream::{Reply, Upstream},
};

/// TC in a reply's flags.
const TC: u16 = 0x0200;

#[test]
fn ttls_count_down_together() {
    let upstream = Upstream::answering(|asked| {
        Reply::to(asked)
            .a(300, [192, 0, 2, 1])
            .a(400, [192, 0, 2, 2])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    forwarding.server.wait("the TTLs to count down", || {
        let ttls: Vec<_> = forwarding
            .ask("www.test")
            .answers
            .iter()
            .map(|record| record.ttl)
            .collect();
        assert_eq!(ttls[0] + 100, ttls[1]);
        assert!((290..=300).contains(&ttls[0]));
        ttls[0] < 300
    });
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_answer_is_asked_for_again_when_its_time_is_over() {
    let upstream =
        Upstream::answering(|asked| Reply::to(asked).a(1, [192, 0, 2, 1]).a(400, [192, 0, 2, 2]));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    forwarding.server.wait("the shorter TTL to end", || {
        forwarding.ask("www.test");
        upstream.count() >= 2
    });
}

#[test]
fn negative_answers_are_kept_for_what_the_soa_says() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        match asked.name().as_str() {
            "none.test." => reply.rcode(3).soa(300, 300),
            "empty.test." => reply.soa(300, 300),
            "short.test." => reply.rcode(3).soa(300, 1),
            "alias.test." => reply.answer(5, 300, b"\x05empty\x04test\0").soa(300, 300),
            _ => reply.rcode(3),
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for (name, code) in [
        ("none.test", ResponseCode::NXDomain),
        ("empty.test", ResponseCode::NoError),
        ("alias.test", ResponseCode::NoError),
    ] {
        let before = upstream.count();
        for _ in 0..3 {
            let answer = forwarding.ask(name);
            assert_eq!(answer.metadata.response_code, code);
            assert_eq!(answer.authorities.len(), 1);
        }
        assert_eq!(upstream.count(), before + 1, "{name}");
    }
    let before = upstream.count();
    for _ in 0..3 {
        forwarding.ask("nothing-says-how-long.test");
    }
    assert_eq!(upstream.count(), before + 3);
    forwarding
        .server
        .wait("the MINIMUM to end before the TTL", || {
            forwarding.ask("short.test");
            upstream.count() >= before + 3 + 2
        });
}

#[test]
fn what_can_not_be_kept_is_not() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        match asked.name().as_str() {
            "zero.test." => reply.a(0, [192, 0, 2, 1]),
            "refused.test." => reply.rcode(5),
            "cut.test." if asked.over_tcp => reply.with(TC),
            "cut.test." => reply.with(TC),
            // A TTL that no signed number holds counts as none.
            _ => reply.a(0x8000_0000, [192, 0, 2, 1]),
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["zero.test", "refused.test", "cut.test", "huge.test"] {
        forwarding.ask(name);
        let once = upstream.count();
        forwarding.ask(name);
        assert!(upstream.count() > once, "{name}");
    }
}

#[test]
fn failures_are_kept_for_a_moment() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).rcode(2));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for _ in 0..100 {
        let answer = forwarding.ask("broken.test");
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    }
    assert!(upstream.count() < 50, "{}", upstream.count());
    let before = upstream.count();
    forwarding.server.wait("the failure to be forgotten", || {
        forwarding.ask("broken.test");
        upstream.count() > before
    });
}

#[test]
fn many_equal_questions_are_one_to_the_upstream() {
    const CLIENTS: usize = 30;
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = gate.clone();
    let upstream = Upstream::answering(move |asked| {
        let (is_open, opened) = &*held;
        let open = is_open.lock().expect("no holder panics");
        drop(opened.wait_timeout_while(open, PATIENCE, |open| !*open));
        Reply::to(asked).a(0, [192, 0, 2, 1])
    });
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {timeout: 1m, retryAfter: 1m}\n",
    );
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| udp_client(forwarding.server.dns))
        .collect();
    for client in &clients {
        client
            .send(&query(RD, "www.test", 1, 1, &edns()))
            .expect("a sent query");
    }
    forwarding.server.wait("all to wait", || {
        forwarding
            .server
            .metric::<usize>("meshdns_cache_misses_total")
            == CLIENTS
    });
    let (is_open, opened) = &*gate;
    *is_open.lock().expect("no holder panics") = true;
    opened.notify_all();
    for client in &clients {
        let mut answer = [0; 512];
        let length = client.recv(&mut answer).expect("an answer");
        check_address(&read(&answer[..length]), 1);
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn old_answers_are_better_than_none() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).a(1, [192, 0, 2, 1]));
    let address = upstream.address;
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
    drop(upstream);
    forwarding.server.wait("the answer to be too old", || {
        let answer = forwarding.ask("www.test");
        check_address(&answer, 1);
        extended_errors(&answer) == [3]
    });
    assert_eq!(records(&forwarding.ask("www.test")), ["A 30 192.0.2.1"]);
    assert!(
        forwarding
            .server
            .metric::<u64>("meshdns_cache_served_stale_total")
            > 0
    );
    let unknown = forwarding.ask("other.test");
    assert_eq!(unknown.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(extended_errors(&unknown), [22]);

    let _back = Upstream::again_at(address, |asked| Reply::to(asked).a(300, [192, 0, 2, 2]));
    forwarding.server.wait("the new answer", || {
        let answer = forwarding.ask("www.test");
        answer.answers[0].data.to_string() == "192.0.2.2"
    });
}

#[test]
fn an_old_answer_is_given_when_the_upstream_takes_too_long() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let slow = is_slow.clone();
    let upstream = Upstream::sending(move |asked| {
        if slow.load(Ordering::SeqCst) {
            return Vec::new();
        }
        vec![Reply::to(asked).a(1, [192, 0, 2, 1]).bytes()]
    });
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {timeout: 10s}\n",
    );
    check_address(&forwarding.ask("www.test"), 1);
    is_slow.store(true, Ordering::SeqCst);
    forwarding.server.wait("the answer to be too old", || {
        let answer = forwarding.ask("www.test");
        check_address(&answer, 1);
        extended_errors(&answer) == [3]
    });
}

#[test]
fn an_old_answer_is_better_than_a_refusal() {
    for code in [2, 5] {
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = is_broken.clone();
        let upstream = Upstream::answering(move |asked| {
            let reply = Reply::to(asked);
            if broken.load(Ordering::SeqCst) {
                return reply.rcode(code);
            }
            reply.a(1, [192, 0, 2, 1])
        });
        let forwarding = Forwarding::to(&[&upstream.flag()]);
        check_address(&forwarding.ask("www.test"), 1);
        is_broken.store(true, Ordering::SeqCst);
        forwarding.server.wait("the answer to be too old", || {
            let answer = forwarding.ask("www.test");
            check_address(&answer, 1);
            extended_errors(&answer) == [3]
        });
    }
}

#[test]
fn old_answers_can_be_forbidden() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).a(1, [192, 0, 2, 1]));
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {serveStale: 0s}\n",
    );
    check_address(&forwarding.ask("www.test"), 1);
    drop(upstream);
    forwarding.server.wait("the answer to be gone", || {
        forwarding.ask("www.test").metadata.response_code == ResponseCode::ServFail
    });
}

#[test]
fn what_is_asked_often_is_renewed_before_it_ends() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).a(3, [192, 0, 2, 1]));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    forwarding.server.wait("a renewal", || {
        check_address(&forwarding.ask("www.test"), 1);
        forwarding
            .server
            .metric::<u64>("meshdns_cache_prefetch_total")
            > 0
    });
}

#[test]
fn the_cache_keeps_to_its_size() {
    const SIZE: u64 = 1 << 20;
    let upstream = Upstream::answering(|asked| Reply::to(asked).answer(65_280, 300, &[b'x'; 900]));
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {cacheSize: 1MiB}\n",
    );
    let client = udp_client(forwarding.server.dns);
    for number in 0..2000 {
        let question = query(RD, &format!("name{number}.test"), 65_280, 1, &edns());
        crate::serving::ask_udp(&client, &question);
    }
    let bytes: u64 = forwarding.server.metric("meshdns_cache_size_bytes");
    assert!((SIZE / 2..=SIZE).contains(&bytes), "{bytes}");
    let entries: u64 = forwarding.server.metric("meshdns_cache_entries");
    assert!((200..1100).contains(&entries), "{entries}");
}
