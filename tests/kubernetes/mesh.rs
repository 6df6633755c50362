//! A server under test, the real program, which follows clusters.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    ops::{Deref, DerefMut},
    path::Path,
    process::{Command, Output},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};

use crate::{
    program::{PATIENCE, Server},
    rig::cluster::Kubeconfig,
};

/// A running server.
pub(crate) struct Mesh {
    server: Server,
    /// Locked from the query to its reply: threads may ask at the same time.
    socket: Mutex<UdpSocket>,
}

impl Mesh {
    /// Follows a cluster, and waits until it is ready.
    pub(crate) fn follow(kubeconfig: &Kubeconfig, arguments: &[&str]) -> Self {
        Self::start(serve(kubeconfig, arguments))
    }

    /// Runs a command and waits until it is ready.
    pub(crate) fn start(command: Command) -> Self {
        Self::of(Server::start(command))
    }

    /// Runs a command and waits until it listens, ready or not.
    pub(crate) fn listening(command: Command) -> Self {
        let mut server = Server::spawn(command);
        server.http = server.address_in_log("serving /health, /ready and /metrics");
        server.dns = server.address_in_log("answering over UDP and TCP");
        Self::of(server)
    }

    fn of(server: Server) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let patience = socket.set_read_timeout(Some(PATIENCE));
        patience.expect("a time above 0");
        Self {
            server,
            socket: Mutex::new(socket),
        }
    }

    /// The addresses of a name, and how the server answers. A query without a reply fails the test.
    #[track_caller]
    pub(crate) fn ask(&self, name: &str) -> (ResponseCode, BTreeSet<IpAddr>) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&socket, &self.server, name)
    }

    /// The addresses of a name; none where it is not there.
    #[track_caller]
    pub(crate) fn addresses(&self, name: &str) -> BTreeSet<IpAddr> {
        self.ask(name).1
    }

    /// Waits until a name has exactly these addresses.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, addresses: &[&str]) {
        let expected = set_of(addresses);
        self.wait(&format!("{name} at {addresses:?}"), || {
            self.addresses(name) == expected
        });
    }

    /// The same where nobody says that it may change: a connection that hangs is noticed within 45 s.
    #[track_caller]
    pub(crate) fn wait_for_late(&self, name: &str, addresses: &[&str]) {
        let expected = set_of(addresses);
        let start = Instant::now();
        while self.addresses(name) != expected {
            let waited = start.elapsed();
            assert!(waited < 3 * PATIENCE, "no {addresses:?}:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Checks that a name has exactly these addresses.
    #[track_caller]
    pub(crate) fn has(&self, name: &str, addresses: &[&str]) {
        assert_eq!(
            self.ask(name),
            (ResponseCode::NoError, set_of(addresses)),
            "{name}:\n{}",
            self.log()
        );
    }

    /// Does something while a name is asked for without end: each query has a reply, and each reply is one of these.
    #[track_caller]
    pub(crate) fn throughout<T>(
        &self,
        name: &str,
        allowed: &[&[&str]],
        act: impl FnOnce() -> T,
    ) -> T {
        let allowed: Vec<BTreeSet<IpAddr>> = allowed.iter().map(|set| set_of(set)).collect();
        let is_over = AtomicBool::new(false);
        let asking = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let patience = socket.set_read_timeout(Some(PATIENCE));
            patience.expect("a time above 0");
            loop {
                let was_over = is_over.load(Ordering::Acquire);
                let (code, addresses) = ask(&socket, &self.server, name);
                assert!(
                    code == ResponseCode::NoError && allowed.contains(&addresses),
                    "{name}: {code}, {addresses:?}; allowed are {allowed:?}"
                );
                if was_over {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            let asking = scope.spawn(asking);
            // Told also where it panics, or the scope would wait without end.
            let over = Over(&is_over);
            let done = act();
            drop(over);
            if let Err(cause) = asking.join() {
                std::panic::resume_unwind(cause);
            }
            done
        })
    }

    /// The sum of the numbers on the metrics page that have this name and all of these labels; `None` where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let page = self.get("/metrics").body;
        let lines = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (written, value) = rest.rsplit_once(' ')?;
            let is_meant = written.is_empty() || written.starts_with('{');
            let has_all = labels.iter().all(|label| written.contains(label));
            (is_meant && has_all).then(|| value.parse::<f64>().expect("a number"))
        });
        lines.reduce(|sum, value| sum + value)
    }

    /// A number on the metrics page, which has to be there.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let sum = self.sum(name, labels);
        sum.unwrap_or_else(|| panic!("no {name} {labels:?}:\n{}", self.get("/metrics").body))
    }

    /// Waits until a number on the metrics page is what it has to be.
    #[track_caller]
    pub(crate) fn wait_for_metric(
        &self,
        name: &str,
        labels: &[&str],
        is_right: impl Fn(f64) -> bool,
    ) {
        self.wait(&format!("{name} {labels:?}"), || {
            self.sum(name, labels).is_some_and(&is_right)
        });
    }

    /// How many snapshots were published.
    #[track_caller]
    pub(crate) fn generation(&self) -> f64 {
        self.metric("meshdns_generation", &[])
    }
}

impl Deref for Mesh {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Mesh {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// Says that it is over when it goes.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn ask(socket: &UdpSocket, server: &Server, name: &str) -> (ResponseCode, BTreeSet<IpAddr>) {
    let mut query = Message::query();
    let asked = Name::from_ascii(name).expect("a name");
    query.add_query(Query::query(asked, RecordType::A));
    let bytes = query.to_vec().expect("a small query");
    let sent = socket.send_to(&bytes, server.dns);
    sent.expect("loopback takes it");
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).expect("every query has a reply");
    let reply = Message::from_vec(&reply[..length]).expect("a well-formed reply");
    assert_eq!(
        reply.metadata.id, query.metadata.id,
        "a reply to this query"
    );
    let addresses = reply
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
    (reply.metadata.response_code, addresses.collect())
}

pub(crate) fn set_of(addresses: &[&str]) -> BTreeSet<IpAddr> {
    let parsed = addresses.iter().map(|address| address.parse());
    parsed.map(|address| address.expect("an address")).collect()
}

/// A command of meshdns that finds no cluster but those it is told of.
pub(crate) fn meshdns() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
    let foreign = [
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    for variable in foreign {
        command.env_remove(variable);
    }
    command.env("HOME", "/nonexistent");
    command
}

/// Serves what a cluster says.
pub(crate) fn serve(kubeconfig: &Kubeconfig, arguments: &[&str]) -> Command {
    let mut command = meshdns();
    command
        .args(["serve", "--kubernetes", "--kubeconfig"])
        .arg(kubeconfig.path())
        .args(["--context", Kubeconfig::CONTEXT])
        .args(LISTEN)
        .args(arguments);
    command
}

/// Ports of its own, and a log that tells what a person would read.
pub(crate) const LISTEN: [&str; 4] = [
    "--workers=1",
    "--listen=127.0.0.1:0",
    "--http=127.0.0.1:0",
    "--log-level=info",
];

/// What a command that looks at a cluster prints, and how it ends.
pub(crate) fn look(command: &str, kubeconfig: &Kubeconfig, arguments: &[&str]) -> Output {
    meshdns()
        .arg(command)
        .args(arguments)
        .args(["--kubernetes", "--kubeconfig"])
        .arg(kubeconfig.path())
        .args(["--context", Kubeconfig::CONTEXT])
        .output()
        .expect("the binary runs")
}

/// A folder that a server may keep its state in.
pub(crate) fn state_flag(folder: &Path) -> String {
    format!("--state-dir={}", folder.display())
}
