//! One client that asks for names that nobody answers, and others beside it.

use std::net::{SocketAddr, UdpSocket};

use crate::{
    harness::{Forwarding, RD, edns, read},
    serving::{PATIENCE, query},
    upstream::{Reply, Upstream},
};

/// How much more memory all that may take.
const MOST_MEMORY: u64 = 64 << 20;

/// Never answers for names that begin with `dead`.
fn upstream() -> Upstream {
    Upstream::sending(|asked| {
        let is_dead = asked.name().starts_with("dead");
        let reply = || Reply::to(asked).a(300, [192, 0, 2, 1]).bytes();
        if is_dead { Vec::new() } else { vec![reply()] }
    })
}

/// A client at this address.
fn client(ip: &str, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("a port");
    socket.connect(server).expect("a connected socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    socket
}

/// Has one client ask for dead names until it is told that it has all the places that it gets; then others for new ones.
/// Returns how many of 100 are answered.
fn answered_beside_dead_names(forwarding: &Forwarding) -> usize {
    let server = &forwarding.server;
    let greedy = client("127.0.0.2", server.dns);
    let resident = || server.metric::<u64>("process_resident_memory_bytes");
    let before = resident();
    let mut number = 0;
    loop {
        for _ in 0..100 {
            let name = format!("dead{number}.test");
            number += 1;
            greedy
                .send(&query(RD, &name, 1, 1, &edns()))
                .expect("a sent query");
        }
        let rejected: u64 = server.metric("meshdns_forward_max_waiting_rejects_total");
        if rejected > 200 {
            break;
        }
        assert!(number < 100_000, "the client is never refused");
    }
    let other = client("127.0.0.1", server.dns);
    let answered = (0..100).filter(|number| {
        let name = format!("new{number}.test");
        other
            .send(&query(RD, &name, 1, 1, &edns()))
            .expect("a sent query");
        let mut reply = [0; 1500];
        let length = other.recv(&mut reply).expect("an answer");
        read(&reply[..length]).answers.len() == 1
    });
    let answered = answered.count();
    let grown = resident().saturating_sub(before);
    assert!(
        grown <= MOST_MEMORY,
        "{grown} bytes more, and {answered} were answered"
    );
    answered
}

/// A greedy client keeps its places for as long as this.
const LONG: &str = "forward: {timeout: 1m}\n";

#[test]
fn names_that_nobody_answers_leave_other_clients_their_answers() {
    let upstream = upstream();
    let forwarding = Forwarding::with(&["--upstream", &upstream.flag()], LONG);
    assert!(answered_beside_dead_names(&forwarding) >= 95);
}

#[test]
fn the_same_over_one_connection() {
    let upstream = upstream();
    let flag = format!("tcp://{}", upstream.address);
    let forwarding = Forwarding::with(&["--upstream", &flag], LONG);
    assert!(answered_beside_dead_names(&forwarding) >= 95);
}

#[test]
fn the_same_with_few_files() {
    let upstream = upstream();
    let forwarding = Forwarding::with_few_files(&upstream, 256);
    assert!(answered_beside_dead_names(&forwarding) >= 95);
}
