//! A machine that gives less than a server needs: nobody reads its log, no thread is left, no file, no place for a probe.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::{
    harness::{Place, ask, serve, until},
    needs,
    program::{PATIENCE, Page, Server},
};

/// A server whose log is read until it answers, and no further.
struct Unread {
    child: Child,
    dns: SocketAddr,
    http: SocketAddr,
    _log: BufReader<ChildStderr>,
}

impl Unread {
    fn start(place: &Place) -> Self {
        let mut command = place.meshdns(&["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"]);
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the binary starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut address = |text: &str| {
            let mut line = String::new();
            while !line.contains(text) {
                line.clear();
                assert_ne!(log.read_line(&mut line).expect("text"), 0, "no {text}");
            }
            let (_, address) = line.split_once("address=").expect("an address");
            address.trim().parse().expect("an address")
        };
        let http = address("serving /health");
        let dns = address("answering over UDP and TCP");
        Self {
            child,
            dns,
            http,
            _log: log,
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Twenty objects with errors that were not there before: as many lines of the log.
fn twenty_mistakes(round: usize) -> String {
    let mut text = String::new();
    for number in 0..20 {
        write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
             metadata: {{name: broken-{number}, namespace: ns1}}\n\
             spec: {{hosts: [b{number}.test], resolution: {:x<100}-{round}-{number}}}\n",
            "wrong"
        )
        .expect("a string takes all");
    }
    text
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let place = Place::with_svc1();
    let mut server = Unread::start(&place);
    let svc1 = fs::read_to_string(place.path("zones/svc1.yaml")).expect("it is there");
    // More than any pipe holds.
    for round in 1..=40 {
        place.write("zones/broken.yaml", &twenty_mistakes(round));
        let moved = svc1.replace("10.0.0.1", &format!("10.0.1.{round}"));
        place.write("zones/svc1.yaml", &moved);
        until(&format!("change {round} is served"), || {
            let reply = ask(server.dns, "svc1.internal.com.")?;
            let moved = format!("10.0.1.{round}").parse().expect("an address");
            reply.addresses.contains(&moved).then_some(())
        });
    }
    let health = Page::ask(server.http, "GET", "/health", "").expect("an answer");
    assert_eq!(health.status, 200);
    kill_process(Pid::from_child(&server.child), Signal::TERM).expect("it runs");
    let end = until("it ends", || server.child.try_wait().expect("our child"));
    assert!(end.success(), "{end}");
}

/// Connections to the pages that take places and ask for nothing that could be answered.
fn hostile(http: SocketAddr, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&http, PATIENCE).expect("it listens");
    let bytes: &[u8] = match number % 4 {
        0 => b"",
        1 => b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        2 => b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nslow",
        _ => &b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50),
    };
    stream.write_all(bytes).expect("room for some bytes");
    stream
}

/// Whether the other end keeps the connection, whatever it has sent.
fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket of ours");
    let mut some = vec![0; 65_536];
    loop {
        match stream.read(&mut some) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn a_probe_is_answered_whoever_holds_connections_to_the_pages() {
    let place = Place::with_svc1();
    let server = serve(&place, &[]);
    let mut crowd: Vec<_> = (0..300)
        .map(|number| hostile(server.http, number))
        .collect();
    for path in ["/health", "/ready", "/health"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let are_open = crowd
        .iter_mut()
        .filter_map(|stream| is_open(stream).then_some(()));
    assert!(are_open.count() > 20, "nobody waited for them to time out");
    let displaced: u64 = server.metric("meshdns_http_connections_displaced_total");
    assert!(displaced > 100, "{displaced}");
}

/// A process that takes one of the threads that its user may have.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().expect("it sleeps");
        self.0.wait().expect("our child");
    }
}

#[test]
fn without_a_thread_to_read_with_health_says_no_until_there_is_one() {
    use std::os::unix::process::CommandExt as _;
    /// A user that runs nothing else: the limit is on all threads of a user.
    const USER: u32 = 54_321;
    /// Twenty that are taken; the main thread, the log, one for TCP and HTTP, two that watch, the loop, and not all of its
    /// helpers.
    const TOO_FEW: &str = "--nproc=26";
    if !getuid().is_root() {
        needs::skip("only root may start a server as a user of its own");
        return;
    }
    if !needs::met(&[needs::Need::Program("prlimit --version")]) {
        return;
    }
    let sleeper = || Command::new("sleep").arg("600").uid(USER).gid(USER).spawn();
    let sleepers = (0..20).map(|_| Sleeper(sleeper().expect("a process")));
    let sleepers: Vec<_> = sleepers.collect();
    let place = Place::with_svc1();
    let arguments = ["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"];
    let inner = place.meshdns_as_nobody(&arguments);
    let mut command = Command::new("prlimit");
    command
        .arg(TOO_FEW)
        .arg(inner.get_program())
        .args(inner.get_args())
        .arg("--workers=1")
        .current_dir(place.path("."))
        .env_clear()
        .env("RAYON_NUM_THREADS", "4")
        .uid(USER)
        .gid(USER);
    let server = Server::spawn(command);
    let http = server.address_in_log("serving /health");
    let page = |path: &str| Page::ask(http, "GET", path, "");
    until("/health says no", || {
        (page("/health")?.status == 503).then_some(())
    });
    assert_eq!(page("/ready").expect("an answer").status, 503);
    drop(sleepers);
    until("/ready says OK", || {
        (page("/ready")?.status == 200).then_some(())
    });
    assert_eq!(page("/health").expect("an answer").status, 200);
}

#[test]
fn pages_and_changes_go_on_when_clients_take_all_files_that_they_may() {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", "tcp: {maxConnectionsPerClient: 100000}\n");
    let inner = place.meshdns(&["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"]);
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -n 256; exec \"$@\" --config meshdns.yaml",
            "sh",
        ])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(place.path("."))
        .env_clear();
    let server = Server::start(command);
    server.wait_for_log(&["allows fewer connections"]);
    let crowd: Vec<_> = (0..300)
        .map(|_| TcpStream::connect_timeout(&server.dns, PATIENCE))
        .collect();
    assert!(crowd.iter().all(Result::is_ok));
    assert_eq!(server.get("/ready").status, 200);
    let svc1 = fs::read_to_string(place.path("zones/svc1.yaml")).expect("it is there");
    place.write("zones/svc1.yaml", &svc1.replace("10.0.0.1", "10.0.0.9"));
    until("the change is served", || {
        let reply = ask(server.dns, "svc1.internal.com.")?;
        let moved = "10.0.0.9".parse().expect("an address");
        reply.addresses.contains(&moved).then_some(())
    });
}
