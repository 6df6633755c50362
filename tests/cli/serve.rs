//! A running server: sockets, signals, logs.

use std::{
    fs,
    io::Read,
    net::{TcpListener, UdpSocket},
    time::{Duration, Instant},
};

use hickory_proto::op::ResponseCode;
use rustix::process::Signal;

use crate::{
    harness::{
        Place, Ran, ask, log_of, serve, terminal, text_of, until, wait_for_message,
        wait_for_messages,
    },
    program::{PATIENCE, Page, Server},
};

#[test]
fn answers_and_follows_changes() {
    let place = Place::with_svc1();
    let server = serve(&place, &[]);
    let reply = ask(server.dns, "svc1.internal.com.").expect("an answer");
    assert_eq!(reply.rcode, ResponseCode::NoError);
    assert_eq!(reply.addresses.len(), 2);
    assert_eq!(reply.ttl, Some(5));
    let text = fs::read_to_string(place.path("zones/svc1.yaml")).expect("it is there");
    place.write("zones/svc1.yaml", &text.replace("\"False\"", "\"True\""));
    until("the Pod that became ready is answered", || {
        let reply = ask(server.dns, "svc1.internal.com.")?;
        (reply.addresses.len() == 3).then_some(())
    });
}

#[test]
fn a_busy_port_is_one_clear_line() {
    let place = Place::with_svc1();
    let serve = |dns: &str, http: &str| place.run(&["serve", "--listen", dns, "--http", http]);
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let udp_address = udp.local_addr().expect("it is bound").to_string();
    serve(&udp_address, "off").failed(69, &[&udp_address, "UDP", "--listen"]);
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let tcp_address = tcp.local_addr().expect("it is bound").to_string();
    serve(&tcp_address, "off").failed(69, &[&tcp_address, "TCP", "--listen"]);
    serve("127.0.0.1:0", &tcp_address).failed(69, &[&tcp_address, "HTTP", "--http off"]);
    serve("192.0.2.1:0", "off").failed(69, &["192.0.2.1:0", "does not have the address"]);
}

#[test]
fn a_privileged_port_takes_rights() {
    const PORT: u16 = 79;
    let place = Place::with_svc1();
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first_free: u16 = first_free.map_or(1024, |text| text.trim().parse().expect("a port"));
    for (flag, address) in [("--listen", "127.0.0.1:79"), ("--http", "127.0.0.1:79")] {
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        arguments.extend(["--log-format", "json"]);
        let position = arguments.iter().position(|argument| *argument == flag);
        arguments[position.expect("it is there") + 1] = address;
        let command = place.meshdns_as_nobody(&arguments);
        if first_free <= PORT {
            // Here everyone may take every port, as in many containers: then it must simply serve.
            let server = Server::start(command);
            assert!([server.dns.port(), server.http.port()].contains(&PORT));
        } else {
            let parts = [address, "CAP_NET_BIND_SERVICE", flag];
            Ran::of(command).failed(77, &parts);
        }
    }
}

#[test]
fn sighup_takes_what_can_change_and_names_what_cannot() {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", "ttl: 7s\n");
    let server = serve(&place, &["--config", "meshdns.yaml"]);
    let ttl = |server: &Server| ask(server.dns, "svc1.internal.com.").and_then(|reply| reply.ttl);
    assert_eq!(ttl(&server), Some(7));
    let unknown = ask(server.dns, "nosuch.internal.com.").expect("an answer");
    assert_eq!(unknown.rcode, ResponseCode::Refused);

    place.write(
        "meshdns.yaml",
        "ttl: 9s\nzones: [internal.com]\nworkers: 7\nlisten: :53\n",
    );
    server.signal(Signal::HUP);
    until("the TTL changes", || {
        (ttl(&server) == Some(9)).then_some(())
    });
    let unknown = ask(server.dns, "nosuch.internal.com.").expect("an answer");
    assert_eq!(unknown.rcode, ResponseCode::NXDomain);
    // The flag --listen wins over the file, so that the file changes nothing there.
    let line = wait_for_message(&server, "`workers` changed in the configuration file");
    assert_eq!(line["level"], "WARN");
    wait_for_message(&server, "configuration read again");

    place.write("meshdns.yaml", "ttl: 11s\nnosuch: 1\n");
    server.signal(Signal::HUP);
    let line = wait_for_message(&server, "the configuration stays as it was");
    assert_eq!(line["level"], "ERROR");
    let message = line["message"].as_str().expect("text");
    assert!(
        message.contains("meshdns.yaml:2:1: unknown key `nosuch`"),
        "{message}"
    );
    assert_eq!(ttl(&server), Some(9));
    let page = server.get("/metrics").body;
    assert!(page.contains("\nmeshdns_config_reload_total 2\n"), "{page}");
    assert!(
        page.contains("\nmeshdns_config_reload_failed_total 1\n"),
        "{page}"
    );
}

#[test]
fn sighup_changes_the_log_level() {
    let place = Place::with_svc1();
    place.write("meshdns.yaml", "logLevel: info\n");
    let mut server = serve(&place, &["--config", "meshdns.yaml"]);
    place.write("meshdns.yaml", "logLevel: off\n");
    server.signal(Signal::HUP);
    wait_for_message(&server, "configuration read again");
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_end().code(), Some(0));
    assert_eq!(server.log_lines(&["stopped"]), 0);
}

#[test]
fn sigterm_ends_with_0() {
    let place = Place::with_svc1();
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = serve(&place, &[]);
        server.signal(signal);
        assert_eq!(server.wait_for_end().code(), Some(0));
        assert_eq!(log_of(&server).last().map(text_of), Some("stopped"));
    }
}

#[test]
fn lameduck_answers_while_unready() {
    let place = Place::with_svc1();
    let mut server = serve(&place, &["--lameduck", "1h"]);
    assert_eq!(server.get("/ready").status, 200);
    server.signal(Signal::TERM);
    let unready = until("it turns unready", || {
        let page = server.get("/ready");
        (page.status == 503).then_some(page)
    });
    assert_eq!(unready.body, "shutting down\n");
    assert_eq!(server.get("/health").status, 200);
    let reply = ask(server.dns, "svc1.internal.com.").expect("an answer");
    assert_eq!(reply.addresses.len(), 2);
    assert!(server.is_running());
}

#[test]
fn the_lameduck_ends_by_itself_and_not_before_its_time() {
    let place = Place::with_svc1();
    let mut server = serve(&place, &["--lameduck", "2s"]);
    let told = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_end().code(), Some(0));
    assert!(told.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_second_signal_ends_the_lameduck() {
    let place = Place::with_svc1();
    let mut server = serve(&place, &["--lameduck", "1h"]);
    server.signal(Signal::TERM);
    wait_for_message(&server, "shutting down");
    server.signal(Signal::TERM);
    let told = Instant::now();
    assert_eq!(server.wait_for_end().code(), Some(0));
    assert!(told.elapsed() < PATIENCE);
}

#[test]
fn log_lines_are_json_and_silent_about_queries() {
    let place = Place::with_svc1();
    let mut server = serve(&place, &[]);
    for _ in 0..20 {
        ask(server.dns, "svc1.internal.com.").expect("an answer");
        ask(server.dns, "nosuch.internal.com.").expect("an answer");
    }
    server.signal(Signal::TERM);
    server.wait_for_end();
    let log = log_of(&server);
    for line in &log {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
        assert!(!line.to_string().contains("internal.com"), "{line}");
    }
    assert!(log.len() < 12, "{log:#?}");
}

#[test]
fn text_logs_have_no_colours_in_a_pipe() {
    let place = Place::with_svc1();
    // The second address can't be had, so that the server ends by itself behind its first lines.
    let mut command = place.meshdns(&["serve", "--listen", "127.0.0.1:0", "--http", "off"]);
    command.args(["--log-level", "trace", "--listen", "192.0.2.1:0"]);
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(69));
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}

#[test]
fn every_address_is_answered_and_http_can_be_off() {
    let place = Place::with_svc1();
    let mut command = place.meshdns(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--listen", "127.0.0.2:0", "--http", "127.0.0.1:0"]);
    command.args(["--log-format", "json"]);
    let server = Server::start(command);
    let told = wait_for_messages(&server, "answering over UDP and TCP", 2);
    let second = told[1]["address"].as_str().expect("an address");
    assert!(second.starts_with("127.0.0.2:"), "{second}");
    let reply = ask(second.parse().expect("an address"), "svc1.internal.com.");
    assert_eq!(reply.expect("an answer").addresses.len(), 2);
    assert!(Page::ask(server.http, "GET", "/health", "").is_some());

    let mut command = place.meshdns(&["serve", "--listen", "127.0.0.1:0", "--http", "off"]);
    command.args(["--log-format", "json"]);
    let mut silent = Server::without_http(command);
    silent.signal(Signal::TERM);
    assert_eq!(silent.wait_for_end().code(), Some(0));
    assert_eq!(silent.log_lines(&["serving /health"]), 0);
}

/// Serves with a terminal as its stderr until the mesh is loaded, and returns what stands there, line feeds included.
fn loading_on_a_terminal(place: &Place, arguments: &[&str]) -> String {
    let (mut controller, terminal) = terminal();
    let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--http", "off"];
    all.extend(arguments);
    let mut command = place.meshdns(&all);
    command.stderr(terminal).env("TERM", "xterm");
    let mut child = command.spawn().expect("the binary starts");
    drop(command);
    let mut printed = String::new();
    let mut bytes = [0; 4096];
    while !printed.contains("mesh loaded") {
        let length = controller
            .read(&mut bytes)
            .expect("it runs until told to stop");
        printed += &String::from_utf8_lossy(&bytes[..length]);
    }
    child.kill().expect("it runs");
    child.wait().expect("a child");
    printed
}

#[test]
fn a_terminal_sees_how_far_the_first_load_is() {
    const ERASE: &str = "\r\u{1b}[2K";
    let place = Place::with_svc1();
    let printed = loading_on_a_terminal(&place, &[]);
    let (_, shown) = printed.split_once("loading the mesh: ").expect("progress");
    let (shown, after) = shown.split_once(ERASE).expect("it goes");
    assert!(
        shown.contains("objects") && !shown.contains('\n'),
        "{printed:?}"
    );
    let last = after.rsplit("loading the mesh").next().expect("a part");
    assert!(last.contains("mesh loaded"), "{printed:?}");
    let json = loading_on_a_terminal(&place, &["--log-format", "json"]);
    assert!(
        !json.contains("loading the mesh") && !json.contains(ERASE),
        "{json:?}"
    );
}
