//! The real binary as a server: started, asked, signalled, and ended with the test. Every wait has an end.
#![allow(dead_code)] // each test crate uses a part

pub(crate) mod console;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::{Child, Command, ExitStatus, Stdio},
    str::FromStr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

/// How long a test waits for anything, on a machine as busy as it may be.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What the log says once pages and DNS are served.
const PAGES: &str = "serving /health, /ready and /metrics";
const DNS: &str = "answering over UDP and TCP";

/// A running `meshdns serve`.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// Where it answers DNS.
    pub(crate) dns: SocketAddr,
    /// Where it serves `/health`, `/ready` and `/metrics`.
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Runs a command that serves DNS and HTTP, and waits until it is ready.
    pub(crate) fn start(command: Command) -> Self {
        let mut server = Self::spawn(command);
        server.http = server.address_in_log(PAGES);
        server.dns = server.address_in_log(DNS);
        server.wait("ready", || server.is_ready());
        server
    }

    /// Runs a command that serves DNS alone, and waits until the first load is done.
    pub(crate) fn without_http(command: Command) -> Self {
        let mut server = Self::spawn(command);
        server.dns = server.address_in_log(DNS);
        server.wait_for_log(&["mesh loaded"]);
        server
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        // Servers side by side would all try the one default port of the status pages.
        let says_where = command.get_envs().any(|(name, _)| name == "MESHDNS_UI");
        if !says_where {
            command.env("MESHDNS_UI", "off");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = log.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *lines.lock().expect("no holder panics") += &(line + "\n");
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            child,
            log,
            reader: Some(reader),
            dns: nowhere,
            http: nowhere,
        }
    }

    /// Everything that it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }

    /// How many lines of the log hold all of these texts.
    pub(crate) fn log_lines(&self, texts: &[&str]) -> usize {
        let log = self.log();
        log.lines()
            .filter(|line| texts.iter().all(|text| line.contains(text)))
            .count()
    }

    /// Waits until a line of the log holds all of these texts.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, texts: &[&str]) {
        self.wait(&format!("a log line with {texts:?}"), || {
            self.log_lines(texts) > 0
        });
    }

    /// Waits until `condition` holds.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(
                start.elapsed() < PATIENCE,
                "waited too long for {what}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The same where looking takes the server for itself.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, condition: impl Fn(&mut Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "waited too long for {what}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A page, which has to be there.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Page {
        Page::ask(self.http, "GET", path, "").expect("the pages are served")
    }

    /// Whether `/ready` says so.
    pub(crate) fn is_ready(&self) -> bool {
        self.get("/ready").status == 200
    }

    /// A number on the metrics page, named with its labels as the page has it.
    #[track_caller]
    pub(crate) fn metric<T: FromStr>(&self, name: &str) -> T {
        let page = self.get("/metrics").body;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no metric {name} in {page}"))
    }

    /// How much memory it has at present.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.metric("process_resident_memory_bytes")
    }

    /// Which process it is.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal)
            .expect("the server runs");
    }

    /// Whether the process has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// Waits for the end of the process; the log is whole then.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        while self.is_running() {
            assert!(start.elapsed() < PATIENCE, "it runs on:\n{}", self.log());
            thread::sleep(Duration::from_millis(1));
        }
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading a log does not fail");
        }
        self.child.wait().expect("our child")
    }

    /// The `address` of the first line of the log with this text, whether logs are text or JSON.
    #[track_caller]
    pub(crate) fn address_in_log(&self, text: &str) -> SocketAddr {
        let find = || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(text))?;
            let (_, address) = line
                .split_once("address=")
                .or_else(|| line.split_once("\"address\":\""))?;
            let end = |letter: char| letter == '"' || letter.is_whitespace();
            address.split(end).next()?.parse().ok()
        };
        self.wait(text, || find().is_some());
        find().expect("just found")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            // The test harness shows this with a failure.
            let _ = writeln!(std::io::stderr(), "the server said:\n{}", self.log());
        }
    }
}

/// Asks once over UDP; `None` where no reply comes in time.
pub(crate) fn ask(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a time above 0");
    socket.send_to(query, server).ok()?;
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).ok()?;
    reply.truncate(length);
    Some(reply)
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    /// The status line and the header fields, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Page {
    /// Sends one request; `None` where nobody answers.
    pub(crate) fn ask(server: SocketAddr, method: &str, path: &str, headers: &str) -> Option<Self> {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: meshdns\r\nConnection: close\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        })
    }
}
