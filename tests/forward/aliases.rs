//! Upstreams' aliases: those that lead into the mesh are completed with what the mesh answers, bare ones by asking on.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hickory_proto::op::{Message, ResponseCode};

use crate::{
    harness::{Forwarding, RD, edns, entry, extended_errors, records},
    serving::query,
    upstream::{Asked, Reply, Upstream},
};

const A: u16 = 1;
const CNAME: u16 = 5;
const MX: u16 = 15;
const AAAA: u16 = 28;

/// The mesh's host; upstreams know nothing good of it.
const HOST: &[u8] = b"\x04svc1\x08internal\x03com\0";

/// A name of a label below `test`, in wire form.
fn below_test(label: &str) -> Vec<u8> {
    let length = u8::try_from(label.len()).expect("a label");
    [&[length], label.as_bytes(), b"\x04test\0"].concat()
}

/// An old name of the mesh's host, as upstreams of different kinds answer it.
fn old_name(asked: &Asked) -> Reply {
    let reply = Reply::to(asked);
    match asked.name().as_str() {
        "bare.test." => reply.answer(CNAME, 300, HOST),
        "unknown.test." => reply.rcode(3).answer(CNAME, 300, HOST).soa(300, 300),
        "empty.test." => reply.answer(CNAME, 300, HOST).soa(300, 300),
        "outdated.test." => {
            reply
                .answer(CNAME, 300, HOST)
                .record(0, HOST, A, 300, &[192, 0, 2, 66])
        }
        "chain.test." => reply.answer(CNAME, 300, &below_test("bare")).record(
            0,
            &below_test("bare"),
            CNAME,
            200,
            HOST,
        ),
        "step.test." => reply.answer(CNAME, 300, &below_test("bare")),
        _ => reply.rcode(3),
    }
}

const OLD_NAMES: [&str; 6] = ["bare", "unknown", "empty", "outdated", "chain", "step"];

/// The last record's type and data.
fn last(answer: &Message) -> String {
    let record = answer.answers.last().expect("a record");
    format!("{} {}", record.record_type(), record.data)
}

#[test]
fn an_alias_into_the_mesh_has_the_meshs_addresses() {
    let upstream = Upstream::answering(old_name);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for label in OLD_NAMES {
        let name = format!("{label}.test");
        let mut asked = upstream.count();
        for round in 0..2 {
            let question = query(RD, &name, A, 1, &edns());
            for answer in [forwarding.send(&question), forwarding.send_tcp(&question)] {
                let header = answer.metadata;
                assert_eq!(header.response_code, ResponseCode::NoError, "{label}");
                assert!(!header.authoritative && header.recursion_available);
                assert!(!header.authentic_data && !header.truncation);
                assert_eq!(last(&answer), "A 10.0.0.1", "{label}");
                let owner = answer.answers.last().expect("a record").name.to_string();
                assert_eq!(owner, "svc1.internal.com.");
                assert_eq!(answer.answers[0].name.to_string(), format!("{name}."));
                let aliases = if ["chain", "step"].contains(&label) {
                    2
                } else {
                    1
                };
                assert_eq!(answer.answers.len(), aliases + 1, "{answer:?}");
            }
            if round == 0 {
                assert!(upstream.count() > asked);
                asked = upstream.count();
            }
        }
        assert_eq!(upstream.count(), asked, "{label}: it is kept");
    }
    assert_eq!(
        upstream.count_of("svc1.internal.com."),
        0,
        "that never leaves"
    );
    let ttls = records(&forwarding.ask("chain.test"));
    assert!(ttls[2].starts_with("A 5 "), "the mesh's TTL: {ttls:?}");
}

#[test]
fn an_alias_into_the_mesh_has_no_data_of_other_types() {
    let upstream = Upstream::answering(old_name);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for label in OLD_NAMES {
        let name = format!("{label}.test");
        for _ in 0..2 {
            let answer = forwarding.ask_for(&name, AAAA);
            assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
            assert_eq!(last(&answer), "CNAME svc1.internal.com.", "{label}");
            let [soa] = &answer.authorities[..] else {
                panic!("one SOA: {answer:?}");
            };
            assert_eq!(soa.name.to_string(), "svc1.internal.com.");
            assert_eq!(soa.record_type().to_string(), "SOA");
        }
    }
}

#[test]
fn the_alias_itself_and_its_other_records_stay_the_upstreams() {
    let upstream = Upstream::answering(|asked| match asked.record_type() {
        CNAME => Reply::to(asked).answer(CNAME, 300, HOST),
        _ => Reply::to(asked).answer(MX, 300, b"\0\x0a\x04mail\x04test\0"),
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let alias = forwarding.ask_for("old.test", CNAME);
    assert_eq!(records(&alias), ["CNAME 300 svc1.internal.com."]);
    assert_eq!(
        records(&forwarding.ask_for("old.test", MX)),
        ["MX 300 10 mail.test."]
    );
}

#[test]
fn an_alias_follows_the_mesh() {
    let upstream = Upstream::answering(|asked| match asked.name().as_str() {
        "old.test." => Reply::to(asked).answer(CNAME, 300, HOST),
        _ => Reply::to(asked).a(300, [192, 0, 2, 1]),
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    assert_eq!(last(&forwarding.ask("old.test")), "A 10.0.0.1");
    let mesh = std::fs::read_to_string(forwarding.path("zones/mesh.yaml")).expect("it is there");
    forwarding.write("zones/mesh.yaml", &mesh.replace("10.0.0.1", "10.0.0.7"));
    forwarding.server.wait("the other address", || {
        last(&forwarding.ask("old.test")) == "A 10.0.0.7"
    });
    assert_eq!(upstream.count(), 1);

    // A host that has left the mesh is the upstream's, whatever is kept.
    forwarding.write("zones/mesh.yaml", "");
    forwarding.server.wait("the upstream's address", || {
        last(&forwarding.ask("old.test")) == "A 192.0.2.1"
    });
    // And the mesh's again, when it is back.
    forwarding.write("zones/mesh.yaml", &mesh);
    forwarding.server.wait("the mesh's address", || {
        last(&forwarding.ask("old.test")) == "A 10.0.0.1"
    });
}

#[test]
fn an_alias_into_the_mesh_fits_the_client() {
    let endpoints = (0..200).fold(String::new(), |mut text, last| {
        write!(text, "{{address: 10.1.0.{last}}}, ").expect("memory");
        text
    });
    let objects = [entry(
        "many.internal.com",
        "STATIC",
        &format!("endpoints: [{endpoints}]"),
    )];
    let upstream = Upstream::answering(|asked| {
        Reply::to(asked).answer(CNAME, 300, b"\x04many\x08internal\x03com\0")
    });
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for _ in 0..2 {
        let question = query(RD, "old.test", A, 1, &edns());
        let over_udp = forwarding.send(&question);
        assert!(!over_udp.metadata.truncation);
        // The alias, and as many addresses as 1232 bytes hold beside it.
        assert!(
            (70..=74).contains(&over_udp.answers.len()),
            "{}",
            over_udp.answers.len()
        );
        let over_tcp = forwarding.send_tcp(&question);
        assert!(!over_tcp.metadata.truncation);
        assert_eq!(over_tcp.answers.len(), 201);
    }
}

#[test]
fn an_old_alias_leads_into_the_mesh_still() {
    let is_gone = Arc::new(AtomicBool::new(false));
    let gone = is_gone.clone();
    let upstream = Upstream::answering(move |asked| {
        let reply = Reply::to(asked);
        if gone.load(Ordering::SeqCst) {
            return reply.rcode(2);
        }
        reply.answer(CNAME, 1, HOST)
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    assert_eq!(last(&forwarding.ask("old.test")), "A 10.0.0.1");
    is_gone.store(true, Ordering::SeqCst);
    forwarding.server.wait("the alias to be too old", || {
        let answer = forwarding.ask("old.test");
        assert_eq!(last(&answer), "A 10.0.0.1");
        extended_errors(&answer) == [3]
    });
    let ttls = records(&forwarding.ask("old.test"));
    assert_eq!(ttls, ["CNAME 30 svc1.internal.com.", "A 5 10.0.0.1"]);
}

/// Each `nameN` is an alias of the next, up to `end`, one a reply.
fn steps(asked: &Asked, end: usize) -> Reply {
    let name = asked.name();
    let number = name.trim_start_matches("name").split('.').next();
    let number: usize = number.and_then(|text| text.parse().ok()).expect("a number");
    if number == end {
        return Reply::to(asked).only_a(asked, 60, 7);
    }
    Reply::to(asked).answer(CNAME, 300, &below_test(&format!("name{}", number + 1)))
}

#[test]
fn a_bare_alias_is_completed_by_asking_on() {
    let upstream = Upstream::answering(|asked| steps(asked, 3));
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for _ in 0..2 {
        let answer = forwarding.ask("name0.test");
        let expected = [
            "CNAME 300 name1.test.",
            "CNAME 300 name2.test.",
            "CNAME 300 name3.test.",
            "A 60 192.0.2.7",
        ];
        let parts = |record: &String| record.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (found, expected) in records(&answer).iter().zip(expected) {
            let (found, expected) = (parts(found), parts(&expected.to_owned()));
            assert_eq!((&found[0], &found[2]), (&expected[0], &expected[2]));
        }
        assert_eq!(answer.answers.len(), 4);
    }
    assert_eq!(upstream.count(), 4, "the whole is kept");
    let none = forwarding.ask_for("name0.test", AAAA);
    assert_eq!(none.metadata.response_code, ResponseCode::NoError);
    assert_eq!((none.answers.len(), none.authorities.len()), (3, 1));
}

#[test]
fn aliases_without_end_are_a_failure() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        match asked.name().as_str() {
            "self.test." => reply.answer(CNAME, 60, b"\xc0\x0c"),
            "there.test." => reply.answer(CNAME, 60, &below_test("back")),
            "back.test." => reply.answer(CNAME, 60, &below_test("there")),
            "whole.test." => reply.answer(CNAME, 60, &below_test("round")).record(
                0,
                &below_test("round"),
                CNAME,
                60,
                &below_test("whole"),
            ),
            _ => steps(asked, 1000),
        }
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["self", "there", "whole", "name0"] {
        let answer = forwarding.ask(&format!("{name}.test"));
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::ServFail,
            "{name}"
        );
        assert!(answer.answers.is_empty());
    }
    assert!(upstream.count() < 30, "{}", upstream.count());
}

#[test]
fn an_alias_that_nobody_is_asked_about_stays_as_it_is() {
    let upstream =
        Upstream::answering(|asked| Reply::to(asked).answer(CNAME, 60, b"\x03www\x09elsewhere\0"));
    let file = format!(
        "forward: {{domains: [{{name: test, upstreams: '{}'}}]}}\n",
        upstream.flag()
    );
    let forwarding = Forwarding::with(&[], &file);
    let answer = forwarding.ask("old.test");
    assert_eq!(records(&answer), ["CNAME 60 www.elsewhere."]);
}
