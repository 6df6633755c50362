//! Names that nobody is asked about.

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, RD, records, service},
    serving::query,
    upstream::{Reply, Upstream},
};

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SVCB: u16 = 64;

#[test]
fn localhost_is_this_machine() {
    let upstream = Upstream::with_address(66);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["localhost", "LocalHost", "www.localhost"] {
        assert_eq!(forwarding.addresses(name, A), ["127.0.0.1"]);
        assert_eq!(forwarding.addresses(name, AAAA), ["::1"]);
        let none = forwarding.ask_for(name, TXT);
        assert_eq!(none.metadata.response_code, ResponseCode::NoError);
        assert_eq!((none.answers.len(), none.authorities.len()), (0, 1));
        assert_eq!(
            none.authorities[0].name.to_string().to_lowercase(),
            "localhost."
        );
    }
    let over_tcp = forwarding.send_tcp(&query(RD, "localhost", A, 1, &[]));
    assert_eq!(over_tcp.answers.len(), 1);
    assert!(over_tcp.metadata.recursion_available);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn what_leads_past_this_server_has_no_data() {
    let upstream = Upstream::with_address(66);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["_dns.resolver.arpa", "_DNS.Resolver.Arpa", "resolver.arpa"] {
        for record_type in [SVCB, A, TXT] {
            let answer = forwarding.ask_for(name, record_type);
            assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
            assert_eq!((answer.answers.len(), answer.authorities.len()), (0, 1));
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn names_that_exist_nowhere_do_not_leave() {
    let upstream = Upstream::with_address(66);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for name in ["invalid", "www.invalid", "abc.onion"] {
        let answer = forwarding.ask(name);
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::NXDomain,
            "{name}"
        );
        assert_eq!(answer.authorities.len(), 1);
    }
    assert_eq!(upstream.count(), 0);
    // What organisations use inside is theirs.
    for name in [
        "www.test",
        "corp.local",
        "home.arpa",
        "1.0.0.10.in-addr.arpa",
    ] {
        forwarding.ask_for(name, PTR);
    }
    assert_eq!(upstream.count(), 4);
}

#[test]
fn a_domain_that_an_upstream_is_named_for_is_asked_for() {
    let tor = Upstream::with_address(1);
    let file = format!(
        "forward: {{domains: [{{name: onion, upstreams: '{}'}}]}}\n",
        tor.flag()
    );
    let forwarding = Forwarding::with(&[], &file);
    assert_eq!(forwarding.addresses("abc.onion", A), ["192.0.2.1"]);
}

#[test]
fn an_endpoint_or_an_alias_may_be_one() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).answer(5, 300, b"\x09localhost\0"));
    let objects = [service("own.internal.com", &["www.localhost"])];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    assert_eq!(forwarding.addresses("own.internal.com", A), ["127.0.0.1"]);
    assert_eq!(forwarding.addresses("own.internal.com", AAAA), ["::1"]);
    assert_eq!(upstream.count(), 0);
    let found = records(&forwarding.ask("alias.test"));
    assert!(found[1].ends_with(" 127.0.0.1"), "{found:?}");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn without_upstreams_they_are_refused_like_all_others() {
    let forwarding = Forwarding::with(&[], "");
    for name in ["localhost", "_dns.resolver.arpa"] {
        let answer = forwarding.ask(name);
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    }
}
