//! `tcpSocket`, and what all probes do with connections.

use std::{
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use meshdns::{
    health::{Failure, Forbidden, Nothing, Observation, Reach},
    manifest::ProbeMethod,
    probe::Observer,
};

use crate::{
    fleet::{FullQueue, Vm, closed_port},
    observe::{LONG, assert_passes, get, observe, observe_by, observe_http, probe, reach, tcp},
};

#[test]
fn a_port_that_takes_connections_passes_even_where_it_closes_them_at_once() {
    let vm = Vm::at("127.8.0.1", |_, _| {});
    assert_passes(observe(vm.address, tcp(vm.address), LONG), 0);
    vm.wait_for_connections(1);
}

#[test]
fn a_closed_port_fails_at_once_and_not_after_the_timeout() {
    let to = closed_port("127.8.0.1");
    let begun = Instant::now();
    let observation = observe(to, tcp(to), LONG);
    assert_eq!(observation, Observation::Fail(Failure::Refused));
    assert!(begun.elapsed() < Duration::from_secs(LONG.into()));
    assert_eq!(observe_http(to), Observation::Fail(Failure::Refused));
}

#[test]
fn a_machine_that_drops_what_comes_fails_when_the_timeout_is_over() {
    let vm = FullQueue::new("127.8.0.1");
    let begun = Instant::now();
    let observation = observe(vm.address, tcp(vm.address), 1);
    assert_eq!(observation, Observation::Fail(Failure::Timeout));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn probes_leave_no_connection_in_time_wait() {
    let reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let http = Vm::replying("127.8.0.1", reply);
    let bare = Vm::at("127.8.0.1", |stream, _| crate::fleet::wait_for_end(stream));
    for _ in 0..20 {
        assert_passes(observe_http(http.address), 200);
        assert_passes(observe(bare.address, tcp(bare.address), LONG), 0);
    }
    http.wait_for_ends();
    bare.wait_for_ends();
    for port in [http.port(), bare.port()] {
        assert_eq!(in_time_wait(port), 0);
    }
}

/// How many connections from or to `port` this machine keeps in mind after their end.
fn in_time_wait(port: u16) -> usize {
    const TIME_WAIT: &str = "06";
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux shows its connections");
    let port = format!(":{port:04X}");
    let lines = table.lines().skip(1).map(str::split_whitespace);
    lines
        .filter(|fields| {
            let fields: Vec<_> = fields.clone().take(4).collect();
            fields[3] == TIME_WAIT && fields[1..3].iter().any(|end| end.ends_with(&port))
        })
        .count()
}

#[test]
fn a_fault_of_this_machine_says_nothing_of_the_endpoint() {
    let vm = Vm::at("127.8.0.1", |_, _| {});
    // An address that this machine does not have.
    let source = "192.0.2.1".parse().expect("an address");
    let observer = Observer::new(reach(), Some(source));
    let observation = observe_by(&observer, vm.address, probe(tcp(vm.address), LONG));
    let local = Nothing::Local(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error());
    assert_eq!(observation, Observation::Nothing(local));
    assert_eq!(vm.connections(), 0);
}

#[test]
fn connections_come_from_the_source_that_is_set() {
    let set: IpAddr = "127.8.0.9".parse().expect("an address");
    let of_another_family: IpAddr = "::1".parse().expect("an address");
    for (source, is_used) in [(set, true), (of_another_family, false)] {
        let vm = Vm::at("127.8.0.1", |_, _| {});
        let observer = Observer::new(reach(), Some(source));
        let observation = observe_by(&observer, vm.address, probe(tcp(vm.address), LONG));
        assert_passes(observation, 0);
        vm.wait_for_connections(1);
        assert_eq!(vm.last_peer() == Some(source), is_used);
    }
}

#[test]
fn what_is_out_of_reach_is_never_connected_to() {
    let vm = Vm::at("127.8.0.1", |_, _| {});
    let network = |text: &str| text.parse().expect("a network");
    let own = vec![
        format!("0.0.0.0:{}", vm.port())
            .parse()
            .expect("an address"),
    ];
    for (networks, own, why) in [
        (vec![], vec![], Forbidden::Loopback),
        (vec![network("0.0.0.0/0")], vec![], Forbidden::Loopback),
        (vec![network("127.8.0.0/16")], own, Forbidden::Own),
    ] {
        let observer = Observer::new(Reach::new(networks, own), None);
        for method in [tcp(vm.address), ProbeMethod::Http(get(vm.port()))] {
            let observation = observe_by(&observer, vm.address, probe(method, LONG));
            let forbidden = Nothing::Forbidden(why);
            assert_eq!(observation, Observation::Nothing(forbidden));
        }
    }
    assert_eq!(vm.connections(), 0);
}
