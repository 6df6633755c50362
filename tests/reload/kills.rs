//! A server that is killed and started again and again while every file is being replaced.

use std::{
    fs,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    harness::{Folder, Mesh, replace, service},
    program::{PATIENCE, Server, ask},
};

const FILES: usize = 200;

/// As many as `make torture` has, in a short time: what is counted is wrong answers, not how long it takes.
const KILLS: usize = 21;

/// How many questions come before readiness is looked at again.
const A_LOOK: usize = 20;

/// How long the writer rests behind each file.
const PACE: Duration = Duration::from_micros(200);

const SERVER_FAILURE: u8 = 2;

/// Ends the writer, also where the test fails.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn address_of(round: u32) -> String {
    Ipv4Addr::from(0x0a00_0000 + round).to_string()
}

/// Replaces every file, one after the other, round by round, until it is `done`. Each says in which round it was written.
fn replace_all(folder: &Folder, round: &AtomicU32, done: &AtomicBool) {
    loop {
        let number = round.load(Ordering::Acquire) + 1;
        for file in 1..=FILES {
            if done.load(Ordering::Acquire) {
                return;
            }
            let path = folder.join(&format!("svc{file}.yaml"));
            replace(&path, &service(file, &address_of(number)));
            // Events of a file system in memory come faster than this build, which is not optimised, takes them in.
            thread::sleep(PACE);
        }
        round.store(number, Ordering::Release);
    }
}

/// What is wrong with the reply to a question for the host of `file`; nothing where it has an address of `oldest` or a later
/// round, or fails while that is allowed.
fn wrong(server: &Server, file: usize, oldest: u32, may_fail: bool) -> Option<String> {
    let name = format!("svc{file}");
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [&*name, "internal", "com"] {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let reply = ask(server.dns, &query).expect("every question has a reply");
    let rcode = reply[3] & 15;
    if rcode == SERVER_FAILURE && may_fail {
        return None;
    }
    let count = u16::from_be_bytes([reply[6], reply[7]]);
    if rcode != 0 || count != 1 {
        return Some(format!("{name}: response code {rcode}, {count} records"));
    }
    let address = reply[query.len()..][12..16].first_chunk::<4>().unwrap();
    let round = u32::from_be_bytes(*address) - 0x0a00_0000;
    (round < oldest).then(|| format!("{name}: of round {round}, not {oldest}"))
}

/// Kills a server that serves `folder` again and again, and checks what it answered.
#[track_caller]
fn check(folder: &Folder, arguments: &[&str]) {
    for file in 1..=FILES {
        let path = folder.join(&format!("svc{file}.yaml"));
        fs::write(path, service(file, &address_of(0))).unwrap();
    }
    let (round, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let mut found = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| replace_all(folder, &round, &done));
        let _done = Done(&done);
        for kill in 0..KILLS {
            let oldest = round.load(Ordering::Acquire);
            let mut command = Mesh::unprivileged(folder.path());
            command.arg("--zone=internal.com").args(arguments);
            let mut server = Server::spawn(command);
            server.http = server.address_in_log("serving /health, /ready and /metrics");
            server.dns = server.address_in_log("answering over UDP and TCP");
            let mut files = (1..=FILES).cycle().skip(kill * 37);
            // What was asked while it was not ready may fail, and is right where it does not.
            let mut ask_some = |count, may_fail| {
                for file in files.by_ref().take(count) {
                    found.extend(wrong(&server, file, oldest, may_fail));
                }
            };
            let start = Instant::now();
            while !server.is_ready() {
                assert!(start.elapsed() < PATIENCE, "it is never ready");
                ask_some(A_LOOK, true);
            }
            ask_some(FILES, false);
            // Dropped, it is killed.
        }
    });
    assert!(
        found.is_empty(),
        "{} wrong answers, as {:?}",
        found.len(),
        &found[..found.len().min(10)]
    );
}

#[test]
fn under_a_rolling_writer_a_server_that_starts_gives_no_wrong_answer() {
    check(&Folder::new(), &[]);
}

#[test]
fn the_same_holds_in_memory() {
    check(&Folder::in_memory(), &[]);
}

#[test]
fn the_same_holds_without_events() {
    check(&Folder::in_memory(), &["--poll=100ms"]);
}
