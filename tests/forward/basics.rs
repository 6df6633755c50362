//! What is forwarded, and how the answer reaches the client.

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, RD, check_address, edns, extended_errors},
    serving::query,
    upstream::Upstream,
};

#[test]
fn a_foreign_name_is_answered_by_the_upstream() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    let question = query(RD, "www.example.org", 1, 1, &edns());
    for answer in [forwarding.send(&question), forwarding.send_tcp(&question)] {
        check_address(&answer, 1);
        let header = &answer.metadata;
        assert!(
            header.recursion_available && !header.authoritative,
            "{header:?}"
        );
    }
}

#[test]
fn addresses_of_the_mesh_are_never_asked_for_outside() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    for record_type in [1, 5, 28, 64, 65, 255] {
        let answer = forwarding.send(&query(RD, "svc1.internal.com", record_type, 1, &edns()));
        let header = &answer.metadata;
        assert!(
            header.authoritative && header.recursion_available,
            "{header:?}"
        );
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn nothing_is_forwarded_without_an_upstream() {
    let forwarding = Forwarding::to(&[]);
    let answer = forwarding.ask("www.example.org");
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    assert!(!answer.metadata.recursion_available);
    assert_eq!(extended_errors(&answer), [20]);
}
