//! What comes back is what the upstream said, but for what is between two neighbours only.

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, RD, check_address, edns, extended_errors, read, records},
    serving::{ask_udp, opt, query, udp_client},
    upstream::{Reply, Upstream},
};

/// AD and CD in a query's flags, and AA and TC in a reply's.
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;

#[test]
fn response_codes_come_through() {
    let upstream = Upstream::answering(|asked| {
        let code = asked
            .name()
            .trim_start_matches("rcode")
            .split('.')
            .next()
            .and_then(|code| code.parse().ok());
        let code: u16 = code.expect("a number");
        let upper = u8::try_from(code >> 4).expect("12 bits");
        Reply::to(asked).rcode(code & 0xf).opt(upper, &[])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for code in [0, 2, 3, 4, 5, 6, 8, 10] {
        let question = query(RD, &format!("rcode{code}.test"), 1, 1, &edns());
        for answer in [forwarding.send(&question), forwarding.send_tcp(&question)] {
            assert_eq!(u16::from(answer.metadata.response_code), code);
        }
    }
    for code in [16, 23] {
        let answer = forwarding.ask(&format!("rcode{code}.test"));
        let code = answer.metadata.response_code;
        assert_eq!(code, ResponseCode::ServFail, "that is between neighbours");
    }
}

#[test]
fn flags_obey_the_rfcs() {
    let upstream =
        Upstream::answering(|asked| Reply::to(asked).with(AA | AD).a(300, [192, 0, 2, 1]));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for (flags, dnssec_ok, authentic) in [
        (RD, 0, false),
        (RD | AD, 0, true),
        (RD, 0x8000, true),
        (RD | CD, 0, false),
    ] {
        let question = query(flags, "flags.test", 1, 1, &opt(1232, 0, dnssec_ok, &[]));
        let header = forwarding.send(&question).metadata;
        assert!(!header.authoritative, "the answer is somebody else's");
        assert!(header.recursion_desired && header.recursion_available);
        assert_eq!(
            header.authentic_data, authentic,
            "{flags:04x} {dnssec_ok:04x}"
        );
        assert_eq!(header.checking_disabled, flags & CD != 0);
    }
    let asked = upstream.asked();
    assert_eq!(
        asked.len(),
        3,
        "DO and CD make other questions, AD does not"
    );
    for (asked, (cd, dnssec_ok)) in asked.iter().zip([(0, 0), (0, 0x80), (CD, 0)]) {
        assert_eq!(asked.flags(), RD | AD | cd);
        let opt = &asked.message[asked.question().len() + 12..];
        assert_eq!(opt[..9], [0, 0, 41, 4, 208, 0, 0, dnssec_ok, 0]);
    }
}

#[test]
fn unknown_types_and_records_come_through() {
    let upstream = Upstream::answering(|asked| {
        Reply::to(asked)
            .answer(65_280, 60, b"\x00\xc0\x0c\xff")
            .answer(65_281, 60, b"not a name")
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let socket = udp_client(forwarding.server.dns);
    let question = query(RD, "Odd.Test", 65_280, 1, &[]);
    let answer = ask_udp(&socket, &question);
    assert_eq!(
        answer[12..12 + 14],
        question[12..],
        "the question is as it was asked"
    );
    let expected = b"\xc0\x0c\xff\x00\0\x01\0\0\0\x3c\0\x04\x00\xc0\x0c\xff\xc0\x0c\xff\x01\0\x01\0\0\0\x3c\0\x0anot a name";
    assert_eq!(answer[12 + 14..], expected[..]);
}

#[test]
fn chains_of_aliases_come_through() {
    // `alias.test` is `target.test`, written in full, whose address follows behind a pointer to that.
    let upstream = Upstream::answering(|asked| {
        let target_at = 12 + asked.question().len() + 12;
        let pointer = 0xc000 | u16::try_from(target_at).expect("a short message");
        Reply::to(asked)
            .answer(5, 60, b"\x06target\x04test\0")
            .record(0, &pointer.to_be_bytes(), 1, 30, &[192, 0, 2, 1])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for _ in 0..2 {
        let answer = forwarding.ask("alias.test");
        let found: Vec<_> = answer.answers.iter().map(ToString::to_string).collect();
        assert!(
            found[0].starts_with("alias.test. 60 IN CNAME target.test."),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("target.test. 30 IN A 192.0.2.1"),
            "{found:?}"
        );
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn the_case_is_the_clients() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let socket = udp_client(forwarding.server.dns);
    for name in ["WWW.Example.ORG", "www.example.org", "wWw.eXample.org"] {
        let question = query(RD, name, 1, 1, &edns());
        let answer = ask_udp(&socket, &question);
        assert_eq!(answer[12..12 + 21], question[12..12 + 21]);
        check_address(&read(&answer), 1);
    }
    assert_eq!(upstream.count(), 1, "it is one name");
}

#[test]
fn a_cut_reply_is_fetched_over_tcp() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        if asked.over_tcp {
            (0..100).fold(reply, |reply, last| reply.a(300, [192, 0, 2, last]))
        } else {
            reply.with(TC)
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let question = query(RD, "big.test", 1, 1, &edns());
    let over_udp = forwarding.send(&question);
    assert!(over_udp.metadata.truncation && over_udp.answers.is_empty());
    let over_tcp = forwarding.send_tcp(&question);
    assert!(!over_tcp.metadata.truncation);
    assert_eq!(over_tcp.answers.len(), 100);
    let transports: Vec<_> = upstream
        .asked()
        .iter()
        .map(|asked| asked.over_tcp)
        .collect();
    assert_eq!(transports, [false, true], "the whole answer is kept");
}

#[test]
fn an_answer_of_64_kib_goes_over_tcp() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        if asked.over_tcp {
            (0..4000).fold(reply, |reply, _| reply.a(300, [192, 0, 2, 1]))
        } else {
            reply.with(TC)
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.send_tcp(&query(RD, "huge.test", 1, 1, &edns()));
    assert_eq!(answer.answers.len(), 4000);
}

#[test]
fn a_tcp_upstream_is_asked_over_tcp_alone() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&format!("tcp://{}", upstream.address)]);
    for name in ["a.test", "b.test", "c.test"] {
        check_address(&forwarding.ask(name), 1);
    }
    let asked = upstream.asked();
    assert!(asked.iter().all(|one| one.over_tcp));
    let one_peer = asked.iter().all(|one| one.peer == asked[0].peer);
    assert!(one_peer, "one connection serves all");
}

#[test]
fn a_server_that_knows_no_edns_is_asked_without() {
    let upstream = Upstream::answering(|asked| {
        let has_edns = asked.message[11] > 0;
        let reply = Reply::to(asked);
        if has_edns {
            reply.rcode(1)
        } else {
            reply.a(300, [192, 0, 2, 1])
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.ask("www.test");
    check_address(&answer, 1);
    assert!(answer.edns.is_some(), "EDNS is between neighbours");
}

#[test]
fn what_is_between_neighbours_stays_there() {
    // Extended errors tell the client something; cookies and the size are the upstream's.
    let options = b"\0\x0a\0\x08abcdefgh\0\x0f\0\x05\0\x06why";
    let upstream = Upstream::answering(|asked| Reply::to(asked).rcode(2).opt(0, options));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.ask("bogus.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(extended_errors(&answer), [6]);
    let edns = answer.edns.expect("the query had one");
    assert_eq!(edns.options().as_ref().len(), 1, "{edns:?}");
    assert_eq!(edns.max_payload(), 1232);
    let plain = forwarding.send(&query(RD, "bogus.test", 1, 1, &[]));
    assert!(plain.edns.is_none() && records(&plain).is_empty());
}
