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
    is_asked_for_anew(&forwarding, &upstream, "nothing-says-how-long.test");
    // Its MINIMUM ends before its TTL.
    is_asked_for_anew(&forwarding, &upstream, "short.test");
}

/// Checks that the upstream is asked again for a name, however often it was. Not each question reaches it: one that comes
/// in the moment before an answer's end is answered along with the one before it.
#[track_caller]
fn is_asked_for_anew(forwarding: &Forwarding, upstream: &Upstream, name: &str) {
    forwarding
        .server
        .wait(&format!("{name} to be asked for anew"), || {
            forwarding.ask(name);
            upstream.count_of(&format!("{name}.")) >= 3
        });
}

#[test]
fn what_can_not_be_kept_is_not() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        match asked.name().as_str() {
            "zero.test." => reply.a(0, [192, 0, 2, 1]),
            "cut.test." if asked.over_tcp => reply.with(TC),
            "cut.test." => reply.with(TC),
            // A TTL that no signed number holds counts as none.
            _ => reply.a(0x8000_0000, [192, 0, 2, 1]),
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["zero.test", "cut.test", "huge.test"] {
        is_asked_for_anew(&forwarding, &upstream, name);
    }
}

#[test]
fn failures_are_kept_for_a_moment() {
    for (code, expected) in [(2, ResponseCode::ServFail), (5, ResponseCode::Refused)] {
        let upstream = Upstream::answering(move |asked| Reply::to(asked).rcode(code));
        let forwarding = Forwarding::to(&[&upstream.flag()]);
        for _ in 0..100 {
            let answer = forwarding.ask("broken.test");
            assert_eq!(answer.metadata.response_code, expected);
        }
        assert!(upstream.count() < 50, "{}", upstream.count());
        let before = upstream.count();
        forwarding.server.wait("the failure to be forgotten", || {
            forwarding.ask("broken.test");
            upstream.count() > before
        });
    }
}

/// A server whose answer for `www.test` is too old, with one place for queries that wait; and how it was reached.
fn with_an_old_answer(upstream: &Upstream) -> Forwarding {
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {maxWaiting: 1, timeout: 1m, retryAfter: 1m}\n",
    );
    check_address(&forwarding.ask("www.test"), 1);
    forwarding
}

#[test]
fn an_old_answer_is_better_than_no_place() {
    // The first name is answered as long as nobody asks for the second one, and that never.
    let is_full = Arc::new(AtomicBool::new(false));
    let full = is_full.clone();
    let upstream = Upstream::sending(move |asked| {
        if full.load(Ordering::SeqCst) {
            return Vec::new();
        }
        vec![Reply::to(asked).a(1, [192, 0, 2, 1]).bytes()]
    });
    let forwarding = with_an_old_answer(&upstream);
    is_full.store(true, Ordering::SeqCst);
    let waiting = udp_client(forwarding.server.dns);
    let question = query(RD, "never.test", 1, 1, &edns());
    forwarding.server.wait("the one place to be taken", || {
        waiting.send(&question).expect("a sent query");
        upstream.count_of("never.test.") > 0
    });
    forwarding.server.wait("the answer to be too old", || {
        let answer = forwarding.ask("www.test");
        check_address(&answer, 1);
        extended_errors(&answer) == [3]
    });
    let unknown = forwarding.ask("other.test");
    assert_eq!(unknown.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn an_old_answer_is_better_than_a_loop() {
    let own = Arc::new(std::sync::OnceLock::new());
    let passed_to = own.clone();
    let loops = Arc::new(AtomicBool::new(false));
    let turned = loops.clone();
    let upstream = Upstream::sending(move |asked| {
        if !turned.load(Ordering::SeqCst) || asked.is_probe() {
            return vec![Reply::to(asked).a(1, [192, 0, 2, 1]).bytes()];
        }
        let server = *passed_to.get().expect("known before anything loops");
        vec![crate::serving::ask_udp(&udp_client(server), &asked.message)]
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    own.set(forwarding.server.dns).expect("set once");
    check_address(&forwarding.ask("www.test"), 1);
    loops.store(true, Ordering::SeqCst);
    forwarding.server.wait("the answer to be too old", || {
        let answer = forwarding.ask("www.test");
        check_address(&answer, 1);
        extended_errors(&answer) == [3]
    });
    assert!(
        forwarding
            .server
            .metric::<u64>("meshdns_forward_loops_total")
            > 0
    );
}

#[test]
fn a_question_through_too_many_servers_gets_what_is_old() {
    let is_gone = Arc::new(AtomicBool::new(false));
    let gone = is_gone.clone();
    let upstream = Upstream::answering(move |asked| {
        let reply = Reply::to(asked);
        if gone.load(Ordering::SeqCst) {
            return reply.rcode(2);
        }
        reply.a(1, [192, 0, 2, 1])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
    is_gone.store(true, Ordering::SeqCst);
    forwarding.server.wait("the answer to be too old", || {
        extended_errors(&forwarding.ask("www.test")) == [3]
    });
    // Eight others have asked before: there must be a circle.
    let marks = [b"\xfd\xe9\0\x80".as_slice(), &[7; 8 * 16]].concat();
    let long = |name: &str| query(RD, name, 1, 1, &crate::serving::opt(1232, 0, 0, &marks));
    let asked = upstream.count();
    let answer = forwarding.send(&long("www.test"));
    check_address(&answer, 1);
    let answer = forwarding.send(&long("other.test"));
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(upstream.count_of("other.test."), 0);
    assert!(
        upstream.count() <= asked + 1,
        "one renewal may be on its way"
    );
}

#[test]
fn an_upstream_that_is_back_is_believed_at_the_next_question() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).a(1, [192, 0, 2, 1]));
    let address = upstream.address;
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["first.test", "second.test"] {
        check_address(&forwarding.ask(name), 1);
    }
    drop(upstream);
    for name in ["first.test", "second.test"] {
        forwarding.server.wait("the answers to be too old", || {
            extended_errors(&forwarding.ask(name)) == [3]
        });
    }
    let up = format!("meshdns_forward_upstream_up{{to=\"{address}\"}}");
    forwarding.server.wait("the upstream to be down", || {
        forwarding.ask("first.test");
        forwarding.server.metric::<u64>(&up) == 0
    });
    let _back = Upstream::again_at(address, |asked| Reply::to(asked).a(300, [192, 0, 2, 2]));
    forwarding.server.wait("the upstream to be up", || {
        forwarding.server.metric::<u64>(&up) == 1
    });
    // Nobody has asked for these since; the first question gets the new answer.
    check_address(&forwarding.ask("second.test"), 2);
}

#[test]
fn a_cut_answer_is_a_failure_over_tcp() {
    let upstream = Upstream::sending(|asked| {
        if asked.over_tcp {
            return Vec::new();
        }
        vec![Reply::to(asked).with(TC).bytes()]
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let question = query(RD, "cut.test", 1, 1, &edns());
    assert!(forwarding.send(&question).metadata.truncation);
    let answer = forwarding.send_tcp(&question);
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
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
