//! What `serve` refuses because of its settings alone, `check --config` refuses too, in the same words; and nothing else.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    process::Command,
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseResult},
};

use crate::{harness::Place, program::Server, secure::Certificate};

/// One configuration, as the choices that make it.
#[derive(Clone, Debug)]
struct Choices {
    /// How many ways in there are, and which: an index of [`SCHEMES`], an address, and one of two ports or a free one.
    listen: Vec<(usize, bool, usize)>,
    /// The HTTP pages: off, or at an address and a port as above.
    http: Option<(bool, usize)>,
    certificate: Option<usize>,
    key: Option<usize>,
    zone_in_part: bool,
    /// Upstreams: an index of those that there are.
    upstream: Option<usize>,
    /// Another key of the file, which may be wrong: an index of [`MORE`].
    more: usize,
}

const SCHEMES: [&str; 4] = ["", "tls://", "https://", "quic://"];

/// The last of them are wrong.
const MORE: [&str; 13] = [
    "",
    "ttl: 7s",
    "workers: 1",
    "lameduck: 1s",
    "tcp: {maxConnections: 10}",
    "forward: {timeout: 1s}",
    "cookies: {keyFile: cookie.keys}",
    "cookies: {keyFile: nosuch.keys}",
    "cookies: {keyFile: tls.crt}",
    "ttl: 5",
    "nosuch: 1",
    "workers: 0",
    "zones: ['*.a.test']",
];

/// Files for a certificate or a key: the right one, one that does not belong to the other, one that is neither, one that is
/// not there.
const CERTIFICATES: [&str; 4] = ["tls.crt", "other.crt", "meshdns.yaml", "nosuch.crt"];
const KEYS: [&str; 4] = ["tls.key", "other.key", "meshdns.yaml", "nosuch.key"];

const COOKIE_KEY: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf\n";

fn choices() -> impl Strategy<Value = Choices> {
    let mostly_first = |count: usize| prop_oneof![4 => Just(0), 1 => 0..count];
    (
        prop::collection::vec((0..SCHEMES.len(), any::<bool>(), 0..3_usize), 0..4),
        prop::option::of((any::<bool>(), 0..3_usize)),
        prop::option::weighted(0.8, mostly_first(CERTIFICATES.len())),
        prop::option::weighted(0.8, mostly_first(KEYS.len())),
        prop::bool::weighted(0.2),
        prop::option::of(0..4_usize),
        prop_oneof![3 => 0..7_usize, 1 => 7..MORE.len()],
    )
        .prop_map(
            |(listen, http, certificate, key, zone_in_part, upstream, more)| Choices {
                listen,
                http,
                certificate,
                key,
                zone_in_part,
                upstream,
                more,
            },
        )
}

impl Choices {
    /// The configuration file; `ports` are free at all of this machine's own addresses.
    fn file(&self, ports: [u16; 2]) -> String {
        let at = |is_second: bool, port: usize| {
            let last = if is_second { 2 } else { 1 };
            let port = ports.get(port).copied().unwrap_or_default();
            SocketAddr::from(([127, 0, 0, last], port)).to_string()
        };
        let ways_in = self.listen.iter().map(|&(scheme, is_second, port)| {
            format!("'{}{}'", SCHEMES[scheme], at(is_second, port))
        });
        let ways_in: Vec<String> = ways_in.collect();
        let mut lines = vec![if ways_in.is_empty() {
            "listen: '127.0.0.1:0'".to_owned()
        } else {
            format!("listen: [{}]", ways_in.join(", "))
        }];
        lines.push(match self.http {
            None => "http: off".to_owned(),
            Some((is_second, port)) => format!("http: '{}'", at(is_second, port)),
        });
        let tls = [
            self.certificate
                .map(|file| format!("certificate: {}", CERTIFICATES[file])),
            self.key.map(|file| format!("key: {}", KEYS[file])),
        ];
        let tls: Vec<String> = tls.into_iter().flatten().collect();
        if !tls.is_empty() {
            lines.push(format!("tls: {{{}}}", tls.join(", ")));
        }
        if self.zone_in_part {
            lines.push("zones: [{name: a.test, unmatched: forward}]".to_owned());
        }
        let more = MORE[self.more];
        if let Some(upstream) = self.upstream
            && !more.starts_with("forward")
        {
            let upstream = match upstream {
                0 => at(false, 0),
                1 => format!("tcp://{}", at(true, 1)),
                2 => "127.0.0.9".to_owned(),
                _ => "tls://dns.test@127.0.0.9".to_owned(),
            };
            lines.push(format!("forward: {{upstreams: ['{upstream}']}}"));
        }
        lines.push(if more.starts_with("zones") && self.zone_in_part {
            String::new()
        } else {
            more.to_owned()
        });
        lines.join("\n") + "\n"
    }
}

/// Two ports that nobody has at either address, over UDP or TCP, and that the kernel gives to nobody who asks for any port.
fn free_ports() -> [u16; 2] {
    let is_free = |port: &u16| {
        [1, 2].iter().all(|&last| {
            let address = SocketAddr::from(([127, 0, 0, last], *port));
            TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
        })
    };
    // Below the ports that the kernel chooses from; another process of these tests begins elsewhere.
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).expect("below 20,000");
    let mut free = (first..32_000).filter(is_free);
    [(); 2].map(|()| free.next().expect("a free port"))
}

/// How a refused command ended, and the line that says why; `None` where it was not refused.
type Refusal = Option<(Option<i32>, String)>;

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}

fn refused_by_check(mut command: Command) -> Refusal {
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8(output.stderr).expect("text");
    (!output.status.success()).then(|| (output.status.code(), last_line(&said)))
}

/// The server is ended as soon as it answers.
fn refused_by_serve(command: Command) -> Refusal {
    let mut server = Server::spawn(command);
    server.wait_until("an end or a beginning", |server| {
        !server.is_running() || server.log_lines(&["answering over"]) > 0
    });
    if server.is_running() {
        return None;
    }
    let code = server.wait_for_end().code();
    Some((code, last_line(&server.log())))
}

#[test]
fn check_refuses_what_serve_refuses_and_nothing_else() {
    let place = Place::new();
    let other = Certificate::new();
    place.write("other.crt", &other.pem);
    place.write("other.key", &other.key);
    place.write("cookie.keys", COOKIE_KEY);
    let ports = free_ports();
    let mut refused = [0, 0];
    let holds = |choices: Choices, refused: &mut [usize; 2]| -> TestCaseResult {
        let file = choices.file(ports);
        place.write("meshdns.yaml", &file);
        let by_serve =
            refused_by_serve(place.meshdns(&["serve", "zones", "--config", "meshdns.yaml"]));
        let by_check =
            refused_by_check(place.meshdns(&["check", "zones", "--config", "meshdns.yaml"]));
        refused[usize::from(by_serve.is_some())] += 1;
        prop_assert_eq!(by_check, by_serve, "{}", file);
        Ok(())
    };
    let mut runner = proptest::test_runner::TestRunner::new(Config {
        cases: 48,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let counted = std::cell::RefCell::new(&mut refused);
    let outcome = runner.run(&choices(), |choices| {
        holds(choices, &mut counted.borrow_mut())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(refused.iter().all(|&count| count > 3), "{refused:?}");
}

#[test]
fn check_refuses_every_file_that_serve_refuses() {
    let place = Place::new();
    place.write("cookie.keys", COOKIE_KEY);
    place.write("empty", "");
    place.write("page.html", "<html>");
    let files = ["nosuch", "zones", "empty", "page.html"];
    let tables: [(&str, [Option<i32>; 4]); 6] = [
        (
            "listen: 'tls://127.0.0.1:0'\ntls: {key: tls.key, certificate: FILE}",
            [65, 65, 78, 78].map(Some),
        ),
        (
            "listen: 'tls://127.0.0.1:0'\ntls: {certificate: tls.crt, key: FILE}",
            [65, 65, 78, 78].map(Some),
        ),
        (
            "listen: '127.0.0.1:0'\ncookies: {keyFile: FILE}",
            [65, 65, 78, 78].map(Some),
        ),
        // What nothing needs, and what others stand in for.
        (
            "listen: '127.0.0.1:0'\ncookies: {answer: off, keyFile: FILE}",
            [None; 4],
        ),
        ("listen: '127.0.0.1:0'\nstateDir: FILE", [None; 4]),
        (
            "listen: '127.0.0.1:0'\nforward: {upstreams: system, resolvConf: FILE}",
            [None; 4],
        ),
    ];
    for (text, codes) in tables {
        for (file, code) in files.iter().zip(codes) {
            let text = format!("http: off\n{}\n", text.replace("FILE", file));
            place.write("meshdns.yaml", &text);
            let run =
                |command: &str| place.meshdns(&[command, "zones", "--config", "meshdns.yaml"]);
            let by_serve = refused_by_serve(run("serve"));
            assert_eq!(
                by_serve.as_ref().map(|(code, _)| *code),
                code.map(Some),
                "{text}{by_serve:?}"
            );
            assert_eq!(refused_by_check(run("check")), by_serve, "{text}");
        }
    }
}
