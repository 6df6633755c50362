//! Upstreams as they are: without EDNS, behind firewalls, with replies that are cut, too large, broken, or no answers.

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, RD, check_address, edns},
    serving::query,
    upstream::{Asked, Reply, Upstream},
};

/// TC in a reply's flags.
const TC: u16 = 0x0200;

/// Whether the query has an OPT record, and that an option.
fn edns_of(asked: &Asked) -> (bool, bool) {
    let opt = &asked.message[12 + asked.question().len()..];
    (!opt.is_empty(), opt.len() > 11)
}

/// A header with the id of `asked`, these flags and these counts.
fn header(asked: &Asked, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut header = asked.id().to_be_bytes().to_vec();
    for field in [flags].into_iter().chain(counts) {
        header.extend(field.to_be_bytes());
    }
    header
}

#[test]
fn a_server_that_knows_no_edns_answers_in_time() {
    type Complaint = fn(&Asked) -> Vec<u8>;
    let complaints: [Complaint; 9] = [
        |asked| header(asked, 0x8001, [0; 4]),
        |asked| header(asked, 0x8184, [0; 4]),
        |asked| header(asked, 0x8004, [1, 0, 0, 1]),
        |asked| {
            [
                header(asked, 0x8001, [1, 0, 0, 1]),
                asked.question().to_vec(),
            ]
            .concat()
        },
        |asked| {
            [
                header(asked, 0x8004, [1, 0, 0, 0]),
                asked.question().to_vec(),
            ]
            .concat()
        },
        |asked| {
            let copied = &asked.message[12..];
            [header(asked, 0x8001, [1, 0, 0, 1]), copied.to_vec()].concat()
        },
        |asked| {
            let opt = &asked.message[12 + asked.question().len()..];
            [header(asked, 0x8101, [0, 0, 0, 1]), opt.to_vec()].concat()
        },
        |asked| {
            let mut echo = asked.message.clone();
            echo[2] |= 0x80;
            echo
        },
        |asked| Reply::to(asked).opt(1, &[]).bytes(),
    ];
    for (place, complaint) in complaints.into_iter().enumerate() {
        let upstream = Upstream::sending(move |asked| {
            let reply = Reply::to(asked).a(300, [192, 0, 2, 1]);
            vec![if edns_of(asked).0 {
                complaint(asked)
            } else {
                reply.bytes()
            }]
        });
        let forwarding = Forwarding::to(&[&upstream.flag()]);
        let answer = forwarding.ask("first.test");
        assert_eq!(answer.answers.len(), 1, "complaint {place}");
        assert!(answer.edns.is_some(), "EDNS is between neighbours");
        check_address(&forwarding.ask("second.test"), 1);
        assert_eq!(upstream.count_of("second.test."), 1, "that is remembered");
    }
}

#[test]
fn an_option_that_nobody_knows_costs_no_answer() {
    for kind in ["FORMERR", "REFUSED", "BADVERS", "dropped"] {
        let upstream = Upstream::sending(move |asked| {
            let reply = Reply::to(asked);
            if !edns_of(asked).1 {
                return vec![reply.a(300, [192, 0, 2, 1]).opt(0, &[]).bytes()];
            }
            match kind {
                "FORMERR" => vec![reply.rcode(1).opt(0, &[]).bytes()],
                "REFUSED" => vec![reply.rcode(5).opt(0, &[]).bytes()],
                "BADVERS" => vec![reply.opt(1, &[]).bytes()],
                _ => Vec::new(),
            }
        });
        let forwarding = Forwarding::eagerly_to(&[&upstream.flag()]);
        let answer = forwarding.ask("first.test");
        assert_eq!(answer.answers.len(), 1, "{kind}");
        check_address(&forwarding.ask("second.test"), 1);
        let asked = upstream.asked();
        let mut second = asked.iter().filter(|asked| asked.name() == "second.test.");
        assert!(
            second.all(|asked| edns_of(asked) == (true, false)),
            "{kind}"
        );
    }
}

#[test]
fn an_upstream_that_is_back_is_told_the_marks_again() {
    // It dropped everything, and did not mind options: a silent server teaches nothing that lasts.
    let upstream = Upstream::silent();
    let (flag, address) = (upstream.flag(), upstream.address);
    let forwarding = Forwarding::eagerly_to(&[&flag]);
    for name in ["a.test", "b.test", "c.test"] {
        forwarding.ask(name);
    }
    drop(upstream);
    let upstream = Upstream::again_at(address, |asked| Reply::to(asked).a(300, [192, 0, 2, 1]));
    let number = std::cell::Cell::new(0);
    forwarding.server.wait("the marks to be told", || {
        number.set(number.get() + 1);
        forwarding.ask(&format!("name{}.test", number.get()));
        let asked = upstream.asked();
        asked.last().is_some_and(|asked| edns_of(asked).1)
    });
}

#[test]
fn a_reply_that_is_cut_and_does_not_say_so_is_fetched_over_tcp() {
    let whole = |asked: &Asked| {
        let reply = Reply::to(asked);
        (0..60)
            .fold(reply, |reply, last| reply.a(300, [192, 0, 2, last]))
            .bytes()
    };
    let cutting = |cut: usize, over_tcp: fn(Vec<u8>) -> Vec<Vec<u8>>| {
        Upstream::sending(move |asked| {
            let mut bytes = whole(asked);
            if asked.over_tcp {
                return over_tcp(bytes);
            }
            bytes.truncate(cut);
            vec![bytes]
        })
    };
    // In the midst of a record and between two.
    for cut in [512, 27 + 16 * 20] {
        let upstream = cutting(cut, |bytes| vec![bytes]);
        let forwarding = Forwarding::to(&[&upstream.flag()]);
        assert_eq!(forwarding.ask("cut.test").answers.len(), 60);

        let deaf = cutting(cut, |_| Vec::new());
        let forwarding = Forwarding::to(&[&deaf.flag()]);
        assert!(forwarding.ask("cut.test").metadata.truncation);
        let over_tcp = forwarding.send_tcp(&query(RD, "cut.test", 1, 1, &edns()));
        assert_eq!(over_tcp.metadata.response_code, ResponseCode::ServFail);
    }
}

#[test]
fn a_reply_larger_than_was_asked_for_is_taken() {
    let upstream = Upstream::answering(|asked| {
        assert!(!asked.over_tcp);
        (0..600).fold(Reply::to(asked), |reply, _| reply.a(300, [192, 0, 2, 1]))
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.send_tcp(&query(RD, "large.test", 1, 1, &edns()));
    assert_eq!(answer.answers.len(), 600);
}

#[test]
fn names_in_full_fit_a_small_answer() {
    let name = "a-name-that-is-rather-long.of-a-service.in-a-region.example.test";
    let upstream = Upstream::answering(|asked| {
        let owner = asked.question();
        let owner = owner[..owner.len() - 4].to_vec();
        (0..12).fold(Reply::to(asked), |reply, last| {
            reply.record(0, &owner, 1, 300, &[192, 0, 2, last])
        })
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.send(&query(RD, name, 1, 1, &[]));
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 12);
}

#[test]
fn what_nobody_asked_for_does_not_cut_the_answer() {
    let upstream = Upstream::answering(|asked| {
        let mut reply = Reply::to(asked).a(300, [192, 0, 2, 1]);
        for server in 0..20_u8 {
            reply = reply.record(
                1,
                b"\x04test\0",
                2,
                300,
                &[b"\x14a-server-of-the-zone", &[1, b'a' + server, 0][..]].concat(),
            );
        }
        for server in 0..20_u8 {
            let owner = [b"\x14a-server-of-the-zone", &[1, b'a' + server, 0][..]].concat();
            reply = reply.record(2, &owner, 1, 300, &[192, 0, 2, 66]);
        }
        reply
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for opt in [Vec::new(), edns()] {
        let answer = forwarding.send(&query(RD, "www.test", 1, 1, &opt));
        assert!(!answer.metadata.truncation);
        check_address(&answer, 1);
    }
}

#[test]
fn broken_replies_are_never_passed_on() {
    let good = Upstream::with_address(2);
    for record in [
        &b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x03abc"[..],
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x05abcde",
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x40abcd",
        b"\xc0\x00\0\x01\0\x01\0\0\0\x3c\0\x04abcd",
        b"\xcf\xff\0\x01\0\x01\0\0\0\x3c\0\x04abcd",
        b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xff\xff",
        b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x02\0\x0a",
    ] {
        let broken = Upstream::answering(move |asked| {
            let mut reply = Reply::to(asked);
            reply.counts[0] = 1;
            reply.records.extend(record);
            reply
        });
        let forwarding = Forwarding::to(&[&broken.flag()]);
        let answer = forwarding.ask("www.test");
        let code = answer.metadata.response_code;
        assert_eq!((code, answer.answers.len()), (ResponseCode::ServFail, 0));
        assert!(!answer.metadata.truncation);
        drop(forwarding);
        let forwarding = Forwarding::to(&[&broken.flag(), &good.flag()]);
        check_address(&forwarding.ask("www.test"), 2);
    }
}

#[test]
fn a_broken_datagram_does_not_hide_the_reply_behind_it() {
    let upstream = Upstream::sending(|asked| {
        let mut broken = Reply::to(asked);
        broken.counts[0] = 1;
        broken
            .records
            .extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x03abc");
        let truth = Reply::to(asked).a(300, [192, 0, 2, 1]);
        vec![b"garbage".to_vec(), broken.bytes(), truth.bytes()]
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    check_address(&forwarding.ask("www.test"), 1);
}

#[test]
fn a_referral_is_no_answer() {
    let referring = Upstream::answering(|asked| {
        let mut reply = Reply::to(asked).record(1, b"\x04test\0", 2, 300, b"\x02ns\x04test\0");
        reply.flags = 0x8100;
        reply
    });
    let good = Upstream::with_address(2);
    let forwarding = Forwarding::to(&[&referring.flag(), &good.flag()]);
    check_address(&forwarding.ask("www.test"), 2);
    drop(forwarding);
    let forwarding = Forwarding::to(&[&referring.flag()]);
    let answer = forwarding.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(answer.authorities.is_empty());
}

#[test]
fn nothing_from_a_server_that_looks_nothing_up_is_the_last_resort() {
    let empty = Upstream::answering(|asked| Reply {
        flags: 0x8100,
        ..Reply::to(asked)
    });
    let good = Upstream::with_address(2);
    let forwarding = Forwarding::to(&[&empty.flag(), &good.flag()]);
    check_address(&forwarding.ask("www.test"), 2);
    drop(forwarding);
    let forwarding = Forwarding::to(&[&empty.flag()]);
    let answer = forwarding.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
}

#[test]
fn a_type_that_is_never_answered_leaves_the_others_alone() {
    for scheme in ["", "tcp://"] {
        let upstream = Upstream::sending(|asked| {
            if asked.record_type() == 28 {
                return Vec::new();
            }
            vec![Reply::to(asked).a(300, [192, 0, 2, 1]).bytes()]
        });
        let forwarding = Forwarding::to(&[&format!("{scheme}{}", upstream.address)]);
        let socket = crate::serving::udp_client(forwarding.server.dns);
        for name in ["a.test", "b.test", "c.test"] {
            socket
                .send(&query(RD, name, 28, 1, &edns()))
                .expect("a sent query");
            forwarding.server.wait("the question to arrive", || {
                upstream.count_of(&format!("{name}.")) == 1
            });
            check_address(&forwarding.ask(name), 1);
        }
    }
}

#[test]
fn the_time_of_a_negative_answer_is_the_lesser_of_two() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).rcode(3).soa(3600, 60));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.ask("gone.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities[0].ttl, 60);
}

#[test]
fn a_reply_cut_over_tcp_too_is_no_answer() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).with(TC));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    assert!(forwarding.ask("www.test").metadata.truncation);
    let over_tcp = forwarding.send_tcp(&query(RD, "www.test", 1, 1, &edns()));
    assert_eq!(over_tcp.metadata.response_code, ResponseCode::ServFail);
    assert!(!over_tcp.metadata.truncation);
}

#[test]
fn clients_get_connections_while_many_questions_wait() {
    let upstream = Upstream::silent();
    let forwarding = Forwarding::with_few_files(&upstream, 96);
    let socket = crate::serving::udp_client(forwarding.server.dns);
    for number in 0..200 {
        let question = query(RD, &format!("name{number}.test"), 1, 1, &edns());
        socket.send(&question).expect("a sent query");
    }
    // Upstreams have 16 files, one of them 8, and one client three quarters of those.
    forwarding
        .server
        .wait("questions to arrive", || upstream.count() >= 6);
    for _ in 0..3 {
        let answer = forwarding.send_tcp(&query(RD, "svc1.internal.com", 1, 1, &edns()));
        assert_eq!(answer.answers.len(), 1);
    }
    let waiting = upstream.asked().len();
    assert!(waiting <= 96 / 4 / 2, "{waiting}");
}
