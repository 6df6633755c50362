//! Upstreams that are dead, slow, lying or broken, and the answer that a user would want.

use std::{
    collections::HashSet,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, RD, check_address, edns, extended_errors},
    serving::query,
    upstream::{Asked, Reply, Upstream},
};

/// TC in a reply's flags.
const TC: u16 = 0x0200;

fn is_up(forwarding: &Forwarding, upstream: &Upstream) -> bool {
    let name = format!("meshdns_forward_upstream_up{{to=\"{}\"}}", upstream.address);
    forwarding.server.metric::<u64>(&name) == 1
}

#[test]
fn a_dead_upstream_is_passed_over() {
    let dead = Upstream::silent();
    let flag = dead.flag();
    drop(dead);
    let alive = Upstream::with_address(2);
    let forwarding = Forwarding::to(&[&flag, &alive.flag()]);
    for name in ["a.test", "b.test", "c.test", "d.test"] {
        check_address(&forwarding.ask(name), 2);
    }
}

#[test]
fn a_silent_upstream_is_left_and_taken_back() {
    let answers = Arc::new(AtomicBool::new(false));
    let wakes = answers.clone();
    let silent = Upstream::sending(move |asked| {
        let reply = Reply::to(asked).a(300, [192, 0, 2, 1]);
        if wakes.load(Ordering::SeqCst) {
            vec![reply.bytes()]
        } else {
            Vec::new()
        }
    });
    let alive = Upstream::with_address(2);
    let forwarding = Forwarding::eagerly_to(&[&silent.flag(), &alive.flag()]);
    let mut asked = 0;
    while is_up(&forwarding, &silent) {
        check_address(&forwarding.ask(&format!("early{asked}.test")), 2);
        asked += 1;
        assert!(asked < 20, "it is noticed in time");
    }
    forwarding
        .server
        .wait_for_log(&["does not answer", &silent.flag()]);
    let before = silent.count();
    for number in 0..20 {
        check_address(&forwarding.ask(&format!("late{number}.test")), 2);
    }
    assert_eq!(silent.count(), before, "nobody waits for it any more");

    answers.store(true, Ordering::SeqCst);
    forwarding.server.wait("the upstream to be taken back", || {
        is_up(&forwarding, &silent)
    });
    forwarding
        .server
        .wait_for_log(&["answers again", &silent.flag()]);
    check_address(&forwarding.ask("back.test"), 1);
}

#[test]
fn a_slow_upstream_is_waited_for() {
    let slow = Upstream::answering(|asked| {
        thread::sleep(Duration::from_millis(700));
        Reply::to(asked).a(300, [192, 0, 2, 1])
    });
    let forwarding = Forwarding::to(&[&slow.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
    check_address(
        &forwarding.send_tcp(&query(RD, "tcp.test", 1, 1, &edns())),
        1,
    );
}

#[test]
fn a_quicker_upstream_is_asked_beside_a_slow_one() {
    let silent = Upstream::silent();
    let quick = Upstream::with_address(2);
    let forwarding = Forwarding::eagerly_to(&[&silent.flag(), &quick.flag()]);
    check_address(&forwarding.ask("www.test"), 2);
}

#[test]
fn a_slow_name_does_not_hold_up_the_others_of_a_connection() {
    let upstream = Upstream::sending(|asked| {
        let reply = Reply::to(asked).a(300, [192, 0, 2, 1]);
        if asked.name() == "never.test." {
            Vec::new()
        } else {
            vec![reply.bytes()]
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let mut stream = crate::serving::connect(forwarding.server.dns);
    for name in ["never.test", "quick.test", "svc1.internal.com"] {
        let question = crate::serving::framed(&query(RD, name, 1, 1, &[]));
        std::io::Write::write_all(&mut stream, &question).expect("a sent query");
    }
    stream.shutdown(std::net::Shutdown::Write).expect("an end");
    let mut codes = Vec::new();
    for _ in 0..3 {
        let answer = crate::harness::read(&crate::serving::read_framed(&mut stream));
        codes.push((
            answer.queries[0].name().to_string(),
            answer.metadata.response_code,
        ));
    }
    let last = codes.pop().expect("three answers");
    assert_eq!(last, ("never.test.".to_owned(), ResponseCode::ServFail));
    assert!(
        codes.iter().all(|(_, code)| *code == ResponseCode::NoError),
        "{codes:?}"
    );
}

#[test]
fn replies_to_other_questions_are_not_taken() {
    let forged = |asked: &Asked| {
        let forged = Reply::to(asked).a(300, [192, 0, 2, 66]);
        let other_id = Reply {
            id: asked.id().wrapping_add(1),
            ..forged.clone()
        };
        let other_name = Reply {
            question: b"\x05other\x04test\0\0\x01\0\x01".to_vec(),
            ..forged.clone()
        };
        let other_type = Reply {
            question: b"\x03www\x04test\0\0\x1c\0\x01".to_vec(),
            ..forged.clone()
        };
        let no_question = Reply {
            question: Vec::new(),
            ..forged.clone()
        };
        let no_reply = Reply {
            flags: 0x0100,
            ..forged
        };
        let forgeries = [other_id, other_name, other_type, no_question, no_reply];
        let mut messages: Vec<_> = forgeries.iter().map(Reply::bytes).collect();
        messages.extend([Vec::new(), vec![0; 11]]);
        messages
    };
    let upstream = Upstream::sending(move |asked| {
        let truth = Reply::to(asked).a(300, [192, 0, 2, 1]).bytes();
        [forged(asked), vec![truth]].concat()
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
    drop(forwarding);

    let liar = Upstream::sending(forged);
    let forwarding = Forwarding::to(&[&liar.flag()]);
    let answer = forwarding.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(extended_errors(&answer), [22]);
}

#[test]
fn a_reply_with_a_wrong_id_is_waited_past() {
    let upstream = Upstream::sending(|asked| {
        let truth = Reply::to(asked).a(300, [192, 0, 2, 1]);
        let forged = Reply {
            id: asked.id() ^ 1,
            ..Reply::to(asked).a(300, [192, 0, 2, 66])
        };
        vec![forged.bytes(), truth.bytes()]
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
    assert_eq!(upstream.count(), 1, "the forgery costs no second question");
}

#[test]
fn a_lie_about_a_mesh_name_changes_nothing() {
    let name = b"\x04svc1\x08internal\x03com\0";
    let upstream = Upstream::answering(move |asked| {
        Reply::to(asked)
            .a(300, [192, 0, 2, 1])
            .record(2, name, 1, 300, &[192, 0, 2, 66])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for _ in 0..2 {
        check_address(&forwarding.ask("www.test"), 1);
        assert_eq!(forwarding.addresses("svc1.internal.com", 1), ["10.0.0.1"]);
    }
}

#[test]
fn an_upstream_that_only_fails_fails_its_names_alone() {
    let failing = Upstream::answering(|asked| Reply::to(asked).rcode(2));
    let forwarding = Forwarding::to(&[&failing.flag()]);
    for question in ["www.test", "www.test", "other.test"] {
        let answer = forwarding.ask(question);
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert!(answer.metadata.recursion_available);
    }
    assert_eq!(forwarding.addresses("svc1.internal.com", 1), ["10.0.0.1"]);
    assert!(is_up(&forwarding, &failing), "it replies");
}

#[test]
fn replies_from_others_are_not_taken() {
    let upstream = Upstream::sending(|asked| {
        let forged = Reply::to(asked).a(300, [192, 0, 2, 66]).bytes();
        let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        elsewhere
            .send_to(&forged, asked.peer)
            .expect("a sent reply");
        vec![Reply::to(asked).a(300, [192, 0, 2, 1]).bytes()]
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
}

#[test]
fn ids_and_ports_can_not_be_guessed() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for number in 0..100 {
        forwarding.ask(&format!("name{number}.test"));
    }
    let asked = upstream.asked();
    let ids: HashSet<_> = asked.iter().map(Asked::id).collect();
    let ports: HashSet<_> = asked.iter().map(|asked| asked.peer.port()).collect();
    assert!(
        ids.len() > 90 && ports.len() > 90,
        "{} {}",
        ids.len(),
        ports.len()
    );
    let mut differences: Vec<_> = asked
        .windows(2)
        .map(|pair| pair[1].id().wrapping_sub(pair[0].id()))
        .collect();
    differences.sort_unstable();
    differences.dedup();
    assert!(differences.len() > 90, "they do not count");
}

#[test]
fn a_cut_reply_that_can_not_be_had_whole_sends_the_client_to_tcp() {
    let cutting = Upstream::sending(|asked| {
        let reply = Reply::to(asked).with(TC).a(300, [192, 0, 2, 66]);
        if asked.over_tcp {
            Vec::new()
        } else {
            vec![reply.bytes()]
        }
    });
    let forwarding = Forwarding::to(&[&cutting.flag()]);
    let answer = forwarding.ask("big.test");
    assert!(answer.metadata.truncation);
    check_address(&answer, 66);
    let over_tcp = forwarding.send_tcp(&query(RD, "big.test", 1, 1, &edns()));
    assert_eq!(over_tcp.metadata.response_code, ResponseCode::ServFail);
    assert!(!over_tcp.metadata.truncation && over_tcp.answers.is_empty());
    drop(forwarding);

    let whole = Upstream::with_address(2);
    let forwarding = Forwarding::to(&[&cutting.flag(), &whole.flag()]);
    check_address(&forwarding.ask("big.test"), 2);
}

#[test]
fn an_upstream_that_fails_leaves_the_word_to_the_next() {
    let good = Upstream::with_address(2);
    for code in [1, 2, 4, 5, 6, 9, 10, 11, 15] {
        let bad = Upstream::answering(move |asked| Reply::to(asked).rcode(code));
        let forwarding = Forwarding::to(&[&bad.flag(), &good.flag()]);
        check_address(&forwarding.ask("www.test"), 2);
    }
    let garbled = Upstream::sending(|asked| {
        let mut reply = Reply::to(asked).a(300, [192, 0, 2, 66]).bytes();
        reply.truncate(reply.len() - 1);
        vec![reply]
    });
    let forwarding = Forwarding::to(&[&garbled.flag(), &good.flag()]);
    check_address(&forwarding.ask("www.test"), 2);
}

#[test]
fn a_failure_that_all_share_comes_through() {
    let refusing = Upstream::answering(|asked| Reply::to(asked).rcode(5));
    let failing = Upstream::answering(|asked| Reply::to(asked).rcode(2));
    let forwarding = Forwarding::to(&[&refusing.flag(), &failing.flag()]);
    let answer = forwarding.ask("www.test");
    let code = answer.metadata.response_code;
    assert_eq!(code, ResponseCode::ServFail, "that one has tried");
    let without_edns = refusing
        .asked()
        .iter()
        .filter(|one| one.message[11] == 0)
        .count();
    assert_eq!((without_edns, failing.count()), (1, 1));
}

#[test]
fn an_upstream_that_refers_to_others_leaves_the_word_to_the_next() {
    const NS: u16 = 2;
    let refers = |owner: &'static [u8]| {
        Upstream::answering(move |asked| {
            let referral = Reply::to(asked).record(1, owner, NS, 300, b"\x02ns\x04test\0");
            // Neither AA nor RA.
            Reply {
                flags: 0x8100,
                ..referral
            }
        })
    };
    let good = Upstream::with_address(2);
    for owner in [b"\0".as_slice(), b"\x04test\0"] {
        let referring = refers(owner);
        let forwarding = Forwarding::to(&[&referring.flag(), &good.flag()]);
        check_address(&forwarding.ask("www.test"), 2);
        assert_eq!(referring.count(), 1);
        drop(forwarding);

        let forwarding = Forwarding::to(&[&referring.flag()]);
        let answer = forwarding.ask("www.test");
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert!(is_up(&forwarding, &referring), "it replies");
    }
}

#[test]
fn an_upstream_that_answers_names_is_up_whatever_it_does_with_the_root() {
    let upstream = Upstream::sending(|asked| {
        if asked.is_probe() || asked.record_type() != 1 {
            return Vec::new();
        }
        vec![Reply::to(asked).a(0, [192, 0, 2, 1]).bytes()]
    });
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {timeout: 1s, retryAfter: 100ms}\n",
    );
    // AAAA is never answered: that is noticed, and the next A that is answered says that the upstream is up.
    let unanswered = format!(
        "meshdns_forward_unanswered_total{{to=\"{}\"}}",
        upstream.address
    );
    for number in 0..3 {
        let before: u64 = forwarding.server.metric(&unanswered);
        forwarding.ask_for(&format!("name{number}.test"), 28);
        forwarding.server.wait("a question without reply", || {
            forwarding.server.metric::<u64>(&unanswered) > before
        });
        check_address(&forwarding.ask("www.test"), 1);
        forwarding
            .server
            .wait("it to be up", || is_up(&forwarding, &upstream));
    }
}

#[test]
fn a_name_that_does_not_exist_is_not_asked_elsewhere() {
    let first = Upstream::answering(|asked| Reply::to(asked).rcode(3).soa(300, 300));
    let second = Upstream::with_address(2);
    let forwarding = Forwarding::to(&[&first.flag(), &second.flag()]);
    let answer = forwarding.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(second.count(), 0);
}

#[test]
fn two_servers_that_point_at_each_other_notice() {
    // The first one's upstream passes everything on, as it is, to the second one, whose upstream is the first one.
    let second_at = Arc::new(std::sync::OnceLock::new());
    let passed_to = second_at.clone();
    let wire = Upstream::sending(move |asked| {
        let second = *passed_to.get().expect("both run before anyone asks");
        let socket = crate::serving::udp_client(second);
        vec![crate::serving::ask_udp(&socket, &asked.message)]
    });
    let first = Forwarding::to(&[&wire.flag()]);
    let second = Forwarding::to(&[&first.server.dns.to_string()]);
    second_at.set(second.server.dns).expect("set once");
    let answer = first.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    first.server.wait_for_log(&["came back", "www.test"]);
    assert_eq!(first.server.metric::<u64>("meshdns_forward_loops_total"), 1);
    assert_eq!(wire.count(), 1, "it went around once");
}
