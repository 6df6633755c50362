//! Endpoints that are names: what upstreams say of them is answered as if it stood in the mesh.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use crate::{
    harness::{Forwarding, entry, service},
    upstream::{Asked, Reply, Upstream},
};

/// Types of records.
const A: u16 = 1;
const AAAA: u16 = 28;
const CNAME: u16 = 5;

/// An address of the documentation with this last byte.
fn v6(last: u8) -> [u8; 16] {
    [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// A WorkloadEntry with this name and address and the label `app: vms`.
fn vm(name: &str, address: &str, status: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: ns1, labels: {{app: vms}}}}\nspec: {{address: {address}}}\n{status}\n"
    )
}

const BY_LABEL: &str = "workloadSelector: {labels: {app: vms}}";

#[test]
fn names_and_addresses_answer_together() {
    let upstream = Upstream::answering(|asked| match asked.record_type() {
        A => Reply::to(asked)
            .a(300, [192, 0, 2, 1])
            .a(300, [192, 0, 2, 2]),
        _ => Reply::to(asked).answer(AAAA, 300, &v6(1)),
    });
    let objects = [service(
        "mixed.internal.com",
        &["db.corp.test", "10.0.0.9", "192.0.2.2"],
    )];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let found = forwarding.addresses("mixed.internal.com", A);
    assert_eq!(found, ["10.0.0.9", "192.0.2.1", "192.0.2.2"]);
    let found = forwarding.addresses("mixed.internal.com", AAAA);
    assert_eq!(found, ["2001:db8::1"]);
    let mut asked: Vec<_> = upstream
        .asked()
        .iter()
        .map(|asked| (asked.name(), asked.record_type()))
        .collect();
    asked.sort();
    let name = "db.corp.test.".to_owned();
    assert_eq!(asked, [(name.clone(), A), (name, AAAA)]);
    let names: u64 = forwarding.server.metric("meshdns_endpoint_names");
    assert_eq!(names, 1);
}

#[test]
fn a_name_is_asked_for_again_when_its_ttl_is_over() {
    let last = Arc::new(AtomicU8::new(1));
    let moving = last.clone();
    let upstream = Upstream::answering(move |asked| {
        Reply::to(asked).only_a(asked, 1, moving.load(Ordering::SeqCst))
    });
    let objects = [service("moving.internal.com", &["db.corp.test"])];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for number in 1..4 {
        last.store(number, Ordering::SeqCst);
        forwarding.server.wait("the new address", || {
            forwarding.addresses("moving.internal.com", A) == [format!("192.0.2.{number}")]
        });
    }
}

#[test]
fn names_without_addresses_add_none() {
    let gone = Arc::new(AtomicU8::new(0));
    let going = gone.clone();
    let upstream = Upstream::answering(move |asked| {
        let reply = Reply::to(asked);
        match (going.load(Ordering::SeqCst), asked.name().as_str()) {
            (0, _) => reply.only_a(asked, 1, 1),
            (_, "none.corp.test.") => reply.rcode(3).soa(1, 1),
            _ => reply.soa(1, 1),
        }
    });
    let objects = [
        service("none.internal.com", &["none.corp.test", "10.0.0.1"]),
        service("empty.internal.com", &["empty.corp.test"]),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let is = |name: &str, addresses: &[&str]| forwarding.addresses(name, A) == addresses;
    assert!(is("none.internal.com", &["10.0.0.1", "192.0.2.1"]));
    assert!(is("empty.internal.com", &["192.0.2.1"]));
    gone.store(1, Ordering::SeqCst);
    forwarding.server.wait("the addresses to go", || {
        is("none.internal.com", &["10.0.0.1"]) && is("empty.internal.com", &[])
    });
    let failing: u64 = forwarding.server.metric("meshdns_endpoint_names_failing");
    assert_eq!(failing, 0, "that there is none is an answer");
    gone.store(0, Ordering::SeqCst);
    forwarding.server.wait("the addresses to come back", || {
        is("none.internal.com", &["10.0.0.1", "192.0.2.1"])
            && is("empty.internal.com", &["192.0.2.1"])
    });
}

#[test]
fn aliases_are_followed() {
    let upstream = Upstream::answering(|asked| {
        let reply = Reply::to(asked);
        match asked.name().as_str() {
            // The whole chain in one reply, the last part in another case and behind a pointer.
            "chain.corp.test." if asked.record_type() == A => reply
                .answer(CNAME, 60, b"\x06Middle\x04test\0")
                .record(0, b"\x06middle\x04TEST\0", CNAME, 60, b"\x03end\x04test\0")
                .record(0, b"\x03end\x04test\0", A, 60, &[192, 0, 2, 1])
                .record(0, b"\x05other\x04test\0", A, 60, &[192, 0, 2, 66]),
            // What it stands for, one has to ask again.
            "step.corp.test." => reply.answer(CNAME, 60, b"\x04next\x04test\0"),
            "next.test." => reply.only_a(asked, 60, 2),
            "loop.corp.test." => reply.answer(CNAME, 60, b"\xc0\x0c"),
            _ => reply.soa(60, 60),
        }
    });
    let objects = [
        service("chain.internal.com", &["chain.corp.test"]),
        service("step.internal.com", &["step.corp.test"]),
        service("loop.internal.com", &["loop.corp.test", "10.0.0.1"]),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for (host, address) in [
        ("chain.internal.com", "192.0.2.1"),
        ("step.internal.com", "192.0.2.2"),
        ("loop.internal.com", "10.0.0.1"),
    ] {
        assert_eq!(forwarding.addresses(host, A), [address], "{host}");
        assert_eq!(forwarding.addresses(host, AAAA), [""; 0], "{host}");
    }
}

#[test]
fn workload_entries_may_have_names() {
    let upstream = Upstream::answering(|asked| {
        let last = match asked.name().as_str() {
            "vm1.corp.test." => 1,
            "vm2.corp.test." => 2,
            _ => 66,
        };
        Reply::to(asked).only_a(asked, 300, last)
    });
    let unhealthy = "status: {conditions: [{type: Healthy, status: 'False'}]}";
    let objects = [
        entry("vms.internal.com", "DNS", BY_LABEL),
        entry("static.internal.com", "STATIC", BY_LABEL),
        vm("vm1", "vm1.corp.test", ""),
        vm("vm2", "vm2.corp.test", unhealthy),
        vm("vm3", "10.0.0.3", ""),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let found = forwarding.addresses("vms.internal.com", A);
    assert_eq!(found, ["10.0.0.3", "192.0.2.1"]);
    assert_eq!(forwarding.addresses("static.internal.com", A), ["10.0.0.3"]);
    assert_eq!(upstream.count_of("vm2.corp.test."), 0, "it is not healthy");

    let healthy = vm("vm2", "vm2.corp.test", "");
    let objects = objects.map(|object| {
        if object.contains("name: vm2") {
            healthy.clone()
        } else {
            object
        }
    });
    forwarding.write("zones/objects.yaml", &objects.join("---\n"));
    forwarding.server.wait("the VM to be healthy", || {
        forwarding.addresses("vms.internal.com", A) == ["10.0.0.3", "192.0.2.1", "192.0.2.2"]
    });
}

#[test]
fn a_name_of_several_hosts_is_asked_for_once() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).only_a(asked, 300, 1));
    let objects = [1, 2, 3].map(|number| {
        let host = format!("shared{number}.internal.com");
        service(&host, &["db.corp.test", &format!("10.0.0.{number}")])
    });
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for number in 1..4 {
        let found = forwarding.addresses(&format!("shared{number}.internal.com"), A);
        assert_eq!(found, [format!("10.0.0.{number}"), "192.0.2.1".to_owned()]);
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_name_that_left_the_mesh_is_not_asked_for_any_more() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).only_a(asked, 1, 1));
    let stays = service("stays.internal.com", &["stays.corp.test"]);
    let goes = service("goes.internal.com", &["goes.corp.test"]);
    let forwarding = Forwarding::in_mesh(&upstream, &[stays.clone(), goes]);
    assert_eq!(forwarding.addresses("goes.internal.com", A), ["192.0.2.1"]);
    forwarding.write("zones/objects.yaml", &stays);
    forwarding.server.wait("the name to be forgotten", || {
        forwarding.server.metric::<u64>("meshdns_endpoint_names") == 1
    });
    let asked = |name: &str| upstream.count_of(name);
    // Every second, the other one is asked for.
    let (before, clock) = (asked("goes.corp.test."), asked("stays.corp.test."));
    forwarding.server.wait("time to pass", || {
        asked("stays.corp.test.") >= clock + 3 * 2
    });
    assert!(asked("goes.corp.test.") <= before + 2, "one was on its way");
}

#[test]
fn many_names_are_looked_up() {
    const MANY: usize = 500;
    let upstream = Upstream::answering(|asked| {
        let name = asked.name();
        let number = name.trim_start_matches("vm").split('.').next();
        let number: u16 = number.and_then(|text| text.parse().ok()).expect("a number");
        let [high, low] = number.to_be_bytes();
        match asked.record_type() {
            A => Reply::to(asked).a(300, [10, 9, high, low]),
            _ => Reply::to(asked).soa(300, 300),
        }
    });
    let names: Vec<_> = (0..MANY)
        .map(|number| format!("vm{number}.corp.test"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let objects = [service("many.internal.com", &names)];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    let question = crate::serving::query(
        crate::harness::RD,
        "many.internal.com",
        A,
        1,
        &crate::harness::edns(),
    );
    forwarding.server.wait("all addresses", || {
        forwarding.send_tcp(&question).answers.len() == MANY
    });
    assert_eq!(upstream.count(), 2 * MANY, "each is asked for once");
}

#[test]
fn names_of_the_mesh_never_leave() {
    let upstream = Upstream::with_address(66);
    let objects = [
        service("front.internal.com", &["back.internal.com", "10.0.0.2"]),
        service("back.internal.com", &["svc1.internal.com", "10.0.0.3"]),
    ];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    for (host, addresses) in [
        (
            "front.internal.com",
            &["10.0.0.1", "10.0.0.2", "10.0.0.3"][..],
        ),
        ("back.internal.com", &["10.0.0.1", "10.0.0.3"]),
    ] {
        assert_eq!(forwarding.addresses(host, A), addresses, "{host}");
    }
    // What the host at the end of the chain has, the one at its start has as well.
    let mesh = std::fs::read_to_string(forwarding.path("zones/mesh.yaml")).expect("it is there");
    forwarding.write("zones/mesh.yaml", &mesh.replace("10.0.0.1", "10.0.0.7"));
    forwarding.server.wait("the change to come through", || {
        forwarding.addresses("front.internal.com", A) == ["10.0.0.2", "10.0.0.3", "10.0.0.7"]
    });
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_name_that_comes_into_the_mesh_is_the_meshs() {
    let upstream = Upstream::answering(|asked| Reply::to(asked).only_a(asked, 1, 1));
    let front = service("front.internal.com", &["back.internal.com"]);
    let forwarding = Forwarding::in_mesh(&upstream, std::slice::from_ref(&front));
    assert_eq!(forwarding.addresses("front.internal.com", A), ["192.0.2.1"]);
    let back = service("back.internal.com", &["10.0.0.3"]);
    forwarding.write("zones/objects.yaml", &[front.clone(), back].join("---\n"));
    forwarding.server.wait("the host to count", || {
        forwarding.addresses("front.internal.com", A) == ["10.0.0.3"]
    });
    forwarding.write("zones/objects.yaml", &front);
    forwarding.server.wait("the upstream to count", || {
        forwarding.addresses("front.internal.com", A) == ["192.0.2.1"]
    });
}

#[test]
fn an_alias_may_lead_back_into_the_mesh() {
    // The upstream follows it with what it was told long ago.
    let reply = |asked: &Asked| {
        Reply::to(asked)
            .answer(CNAME, 60, b"\x04svc1\x08internal\x03com\0")
            .record(0, b"\x04svc1\x08internal\x03com\0", A, 60, &[192, 0, 2, 66])
    };
    let upstream = Upstream::answering(reply);
    let objects = [service("front.internal.com", &["db.corp.test"])];
    let forwarding = Forwarding::in_mesh(&upstream, &objects);
    assert_eq!(forwarding.addresses("front.internal.com", A), ["10.0.0.1"]);
}
