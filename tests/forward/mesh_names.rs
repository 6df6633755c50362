//! What upstreams say of names that the mesh answers for, which nobody asked them.

use hickory_proto::op::Message;

use crate::{
    harness::{Forwarding, check_address, entry},
    upstream::{Asked, Reply, Upstream},
};

/// `svc1.internal.com`, which is in the mesh, and `later.test`, which is not from the beginning.
const OURS: &[u8] = b"\x04svc1\x08internal\x03com\0";
const LATER: &[u8] = b"\x05later\x04test\0";

const A: u16 = 1;
const CNAME: u16 = 5;
const MX: u16 = 15;
const TXT: u16 = 16;
const RRSIG: u16 = 46;
const HTTPS: u16 = 65;

/// An address that nobody is to be led to.
const EVIL: &[u8] = &[203, 0, 113, 66];

/// Every record, as its owner and type.
fn all(message: &Message) -> Vec<String> {
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let records = sections.into_iter().flatten();
    records
        .map(|record| format!("{} {}", record.name, record.record_type()))
        .collect()
}

/// An upstream whose reply to any question is its address, and more.
fn saying(more: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Upstream {
    Upstream::answering(move |asked: &Asked| more(Reply::to(asked).a(300, [192, 0, 2, 1])))
}

#[test]
fn what_an_upstream_says_of_a_mesh_name_is_passed_on_in_no_section() {
    let signature = [&A.to_be_bytes()[..], &[13, 2], &[0; 14], b"\0", b"sig"].concat();
    let records: [(u16, Vec<u8>); 4] = [
        (A, EVIL.to_vec()),
        (CNAME, b"\x04evil\x04test\0".to_vec()),
        (HTTPS, b"\0\x01\0".to_vec()),
        (RRSIG, signature),
    ];
    for section in 0..3 {
        for (kind, data) in records.clone() {
            let upstream = saying(move |reply| reply.record(section, OURS, kind, 300, &data));
            let forwarding = Forwarding::to(&[&upstream.flag()]);
            // The second time from the cache.
            for _ in 0..2 {
                let answer = forwarding.ask("www.test");
                check_address(&answer, 1);
                assert_eq!(
                    all(&answer),
                    ["www.test. A"],
                    "type {kind} in section {section}"
                );
            }
            assert_eq!(upstream.count(), 1);
        }
    }
}

#[test]
fn the_addresses_of_a_mesh_name_are_ours_in_an_answer_about_its_mail() {
    let upstream = Upstream::answering(|asked| {
        Reply::to(asked)
            .answer(MX, 300, b"\0\x0a\xc0\x0c")
            .record(2, b"\xc0\x0c", A, 300, EVIL)
            .record(2, b"\x04mail\x04test\0", A, 300, &[192, 0, 2, 2])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.ask_for("svc1.internal.com", MX);
    assert_eq!(all(&answer), ["svc1.internal.com. MX", "mail.test. A"]);
}

#[test]
fn an_alias_of_all_names_below_one_leads_no_mesh_name_away() {
    const DNAME: u16 = 39;
    let upstream = Upstream::answering(|asked| {
        Reply::to(asked)
            .record(
                0,
                b"\x08internal\x03com\0",
                DNAME,
                300,
                b"\x04evil\x04test\0",
            )
            .answer(CNAME, 300, b"\x05other\x04evil\x04test\0")
            .record(0, b"\x05other\x04evil\x04test\0", A, 300, &[192, 0, 2, 1])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let answer = forwarding.ask("other.internal.com");
    let owners = all(&answer);
    assert_eq!(owners, ["other.internal.com. CNAME", "other.evil.test. A"]);
}

#[test]
fn what_others_say_of_their_own_names_is_passed_on_until_the_mesh_has_them() {
    let upstream = saying(|reply| {
        reply
            .record(1, LATER, TXT, 300, b"\x01x")
            .record(2, LATER, A, 300, &[192, 0, 2, 9])
    });
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for _ in 0..2 {
        let owners = all(&forwarding.ask("www.test"));
        assert_eq!(owners, ["www.test. A", "later.test. TXT", "later.test. A"]);
    }
    let host = entry("later.test", "STATIC", "endpoints: [{address: 10.0.0.2}]");
    forwarding.write("zones/later.yaml", &host);
    forwarding.server.wait("the mesh to have it", || {
        forwarding.addresses("later.test", A) == ["10.0.0.2"]
    });
    // Its text is others' still, as the mesh has none.
    let owners = all(&forwarding.ask("www.test"));
    assert_eq!(owners, ["www.test. A", "later.test. TXT"]);
    assert_eq!(upstream.count_of("www.test."), 1, "from the cache");
}

#[test]
fn a_ttl_that_no_ttl_may_be_is_zero() {
    for ttl in [0x8000_0000, u32::MAX] {
        let upstream = Upstream::answering(move |asked| {
            Reply::to(asked).a(ttl, [192, 0, 2, 1]).record(
                2,
                b"\x05other\x04test\0",
                A,
                ttl,
                &[192, 0, 2, 2],
            )
        });
        let forwarding = Forwarding::to(&[&upstream.flag()]);
        for count in 1..=2 {
            let answer = forwarding.ask("www.test");
            check_address(&answer, 1);
            let records = answer.answers.iter().chain(&answer.additionals);
            let ttls: Vec<_> = records.map(|record| record.ttl).collect();
            assert_eq!(ttls, [0, 0]);
            assert_eq!(upstream.count(), count, "nothing is kept of it");
        }
    }
}

#[test]
fn an_opt_record_out_of_its_place_says_nothing_and_stays_behind() {
    // BADVERS in its upper bits, and an extended error.
    const OPT: u16 = 41;
    const UPPER: u32 = 0x0100_0000;
    let error = b"\0\x0f\0\x02\0\x11";
    for (section, owner) in [(0, &b"\0"[..]), (1, b"\0"), (2, b"\x03opt\0")] {
        let upstream = saying(move |reply| reply.record(section, owner, OPT, UPPER, error));
        let forwarding = Forwarding::to(&[&upstream.flag()]);
        let answer = forwarding.ask("www.test");
        check_address(&answer, 1);
        assert_eq!(all(&answer), ["www.test. A"], "section {section}");
        let options = answer.edns.expect("our own").options().as_ref().len();
        assert_eq!(options, 0);
    }
}
