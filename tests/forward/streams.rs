//! Connections to upstreams: one for all questions, which are answered in any order, and another when it dies.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    harness::{Forwarding, RD, check_address, edns, read},
    serving::{query, udp_client},
    upstream::{Asked, Reply, Upstream},
};

#[test]
fn replies_come_in_any_order_over_one_connection() {
    const QUESTIONS: usize = 10;
    let held: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    // Nothing is said before the last question is there, and then the last one is answered first.
    let upstream = Upstream::sending(move |asked| {
        let mut held = held.lock().expect("no holder panics");
        held.push(Reply::to(asked).a(300, [192, 0, 2, 1]).bytes());
        if held.len() < QUESTIONS {
            return Vec::new();
        }
        held.drain(..).rev().collect()
    });
    let forwarding = Forwarding::to(&[&format!("tcp://{}", upstream.address)]);
    let sockets: Vec<_> = (0..QUESTIONS)
        .map(|number| {
            let socket = udp_client(forwarding.server.dns);
            let question = query(RD, &format!("name{number}.test"), 1, 1, &edns());
            socket.send(&question).expect("a sent query");
            socket
        })
        .collect();
    for (number, socket) in sockets.iter().enumerate() {
        let mut reply = [0; 1500];
        let length = socket.recv(&mut reply).expect("an answer");
        let answer = read(&reply[..length]);
        check_address(&answer, 1);
        let name = answer.queries[0].name().to_string();
        assert_eq!(name, format!("name{number}.test."));
    }
    let peers: HashSet<_> = upstream.asked().iter().map(|asked| asked.peer).collect();
    assert_eq!(peers.len(), 1);
}

#[test]
fn replies_to_other_questions_are_passed_over_in_a_stream_too() {
    let upstream = Upstream::sending(|asked| {
        let forged = Reply::to(asked).a(300, [192, 0, 2, 66]);
        let other_id = Reply {
            id: asked.id().wrapping_add(1),
            ..forged.clone()
        };
        let other_name = Reply {
            question: b"\x05other\x04test\0\0\x01\0\x01".to_vec(),
            ..forged
        };
        let truth = Reply::to(asked).a(300, [192, 0, 2, 1]);
        vec![
            b"x".to_vec(),
            other_id.bytes(),
            other_name.bytes(),
            truth.bytes(),
        ]
    });
    let forwarding = Forwarding::to(&[&format!("tcp://{}", upstream.address)]);
    check_address(&forwarding.ask("www.test"), 1);
}

/// Reads a query from a stream.
fn read_query(stream: &mut TcpStream) -> Option<Asked> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(Asked {
        message,
        peer: stream.peer_addr().ok()?,
        over_tcp: true,
    })
}

fn answer(stream: &mut TcpStream, asked: &Asked) {
    let reply = Reply::to(asked).a(300, [192, 0, 2, 1]).bytes();
    let length = u16::try_from(reply.len()).expect("a message");
    // The other side may have left.
    let _ = stream.write_all(&[&length.to_be_bytes(), &*reply].concat());
}

#[test]
fn a_question_on_a_connection_that_dies_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    // Each connection answers one question, and ends when it gets the next one.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            count.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                if let Some(asked) = read_query(&mut stream) {
                    answer(&mut stream, &asked);
                    read_query(&mut stream);
                }
            });
        }
    });
    let forwarding = Forwarding::to(&[&format!("tcp://{address}")]);
    for name in ["a.test", "b.test", "c.test"] {
        check_address(&forwarding.ask(name), 1);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[test]
fn a_connection_that_was_forgotten_on_the_way_costs_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    // Each connection answers one question, and then takes questions in without a word.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                if let Some(asked) = read_query(&mut stream) {
                    answer(&mut stream, &asked);
                    while read_query(&mut stream).is_some() {}
                }
            });
        }
    });
    let flag = format!("tcp://{address}");
    let configuration = "forward: {retryAfter: 1m, timeout: 20s}\n";
    let forwarding = Forwarding::with(&["--upstream", &flag], configuration);
    for name in ["a.test", "b.test"] {
        check_address(&forwarding.ask(name), 1);
    }
}

#[test]
fn many_questions_make_one_connection() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&format!("tcp://{}", upstream.address)]);
    let sockets: Vec<_> = (0..50)
        .map(|number| {
            let socket = udp_client(forwarding.server.dns);
            let question = query(RD, &format!("name{number}.test"), 1, 1, &edns());
            socket.send(&question).expect("a sent query");
            socket
        })
        .collect();
    for socket in sockets {
        let mut reply = [0; 1500];
        let length = socket.recv(&mut reply).expect("an answer");
        check_address(&read(&reply[..length]), 1);
    }
    let peers: HashSet<_> = upstream.asked().iter().map(|asked| asked.peer).collect();
    assert_eq!(peers.len(), 1);
}
