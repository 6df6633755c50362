//! File descriptors that run out: whose fault that is, and who goes on.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use hickory_proto::{op::Message, rr::RecordType};
use rustix::process::{Resource, Rlimit, prlimit};

use crate::{
    fleet::PATIENCE,
    mesh::{HOST, Mesh, Place, get_every_second},
    program::Server,
    serving::query,
    vms,
};

const IPS: [&str; 3] = ["127.8.8.1", "127.8.8.2", "127.8.8.3"];

/// Lets the server open so many files from here on; tells how many it could.
fn limit_files(mesh: &Mesh, files: u64) -> u64 {
    let limit = |current| Rlimit {
        current: Some(current),
        maximum: Some(MOST_FILES),
    };
    let before = prlimit(Some(mesh.server.pid()), Resource::Nofile, limit(files));
    before
        .expect("a child's limits can be changed")
        .current
        .unwrap_or(MOST_FILES)
}

/// How many files the server is started with.
const MOST_FILES: u64 = 128;

/// A quarter of it is for probes.
const MOST_PROBES: u64 = MOST_FILES / 4;

fn start(place: Place) -> Mesh {
    let serving = place.command();
    let mut command = Command::new("sh");
    command
        .env_clear()
        .current_dir(place.path(""))
        .args(["-c", &format!("ulimit -n {MOST_FILES}; exec \"$0\" \"$@\"")])
        .arg(serving.get_program())
        .args(serving.get_args());
    Mesh {
        server: Server::start(command),
        place,
    }
}

#[test]
fn when_no_file_can_be_opened_nobody_is_taken_out_and_the_log_says_why() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m");
    place.write_vms(&IPS, &get_every_second(port, "failureThreshold: 1"));
    let mesh = start(place);
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 3);
    let before = limit_files(&mesh, 3);
    mesh.server
        .wait_for_log(&["WARN", "probes told nothing", "file"]);
    // What had its socket before is through.
    apps[0].wait_for_ends();
    apps[0].say(500);
    mesh.assert_answers(&IPS);
    // Another minute would have to pass before that is told again.
    assert_eq!(mesh.server.log_lines(&["probes told nothing"]), 1);
    limit_files(&mesh, before);
    mesh.wait_for(&IPS[1..]);
    let told_nothing = "probes_total{method=\"http\",result=\"nothing\"}";
    assert!(mesh.health_metric(told_nothing) > 0);
}

#[test]
fn however_many_vms_hang_there_are_files_left_for_those_who_ask() {
    let (apps, port) = vms::start([IPS[0]]);
    apps[0].hang();
    let place = Place::new("startWithin: 1s");
    for number in 0..MOST_FILES {
        let stanza = format!(
            "{{httpGet: {{port: {port}, path: /{number}}}, periodSeconds: 1, timeoutSeconds: 600}}"
        );
        place.write_vm(&format!("vm-{number}"), "orders", IPS[0], &stanza);
    }
    let mesh = start(place);
    mesh.wait_for_metric("in_flight", |count| count == MOST_PROBES);
    let query = query(7, HOST, u16::from(RecordType::A), 1, &[]);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = TcpStream::connect(mesh.server.dns).expect("it listens");
        let patience = client.set_read_timeout(Some(PATIENCE));
        patience.expect("a socket can be told so");
        let length = u16::try_from(query.len()).expect("a query is short");
        client
            .write_all(&[&length.to_be_bytes()[..], &query].concat())
            .expect("it reads");
        let mut length = [0; 2];
        client.read_exact(&mut length).expect("an answer");
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        client.read_exact(&mut reply).expect("a whole answer");
        let reply = Message::from_vec(&reply).expect("a message");
        assert_eq!(reply.answers.len(), 1);
        clients.push(client);
    }
    assert_eq!(mesh.health_metric("in_flight"), MOST_PROBES);
    mesh.assert_answers(&IPS[..1]);
}
