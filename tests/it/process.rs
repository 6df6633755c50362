//! Runs the real binary: `meshdns serve` on free loopback ports, ended with the test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for anything, on a machine as busy as it may be.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A `meshdns serve` of this build.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Where it answers DNS.
    pub(crate) dns: SocketAddr,
    /// Where it serves `/health`, `/ready` and `/metrics`.
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Starts in the folder `at` with more `arguments`, and waits until it is ready.
    pub(crate) fn start(at: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_meshdns"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
                "--log-format",
                "text",
            ])
            .args(arguments)
            .current_dir(at)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = lines.lock().expect("no holder panics");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self {
            child,
            log,
            dns: unknown,
            http: unknown,
        };
        server.http = server.address_behind("/metrics address=");
        server.dns = server.address_behind("over UDP and TCP address=");
        server.wait("ready", || server.get("/ready").starts_with("HTTP/1.1 200"));
        server
    }

    /// Everything that it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }

    /// The whole HTTP response to a GET.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut response = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.http) {
            stream
                .set_read_timeout(Some(PATIENCE))
                .expect("a time-out can be set");
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: meshdns\r\nConnection: close\r\n\r\n");
            if stream.write_all(request.as_bytes()).is_ok() {
                // A server that goes away in between leaves what it has sent.
                let _ = stream.read_to_string(&mut response);
            }
        }
        response
    }

    /// The value of a metric that counts something, named with its labels as the page has it.
    pub(crate) fn metric(&self, name: &str) -> usize {
        let page = self.get("/metrics");
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no metric {name} in {page}"))
    }

    /// The reply to a query.
    pub(crate) fn ask(&self, query: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a time-out can be set");
        socket
            .send_to(query, self.dns)
            .expect("a query can be sent");
        let mut reply = vec![0; 4096];
        let length = socket.recv(&mut reply).expect("a reply in time");
        reply.truncate(length);
        reply
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
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn address_behind(&self, text: &str) -> SocketAddr {
        let find = || {
            let log = self.log();
            let (_, rest) = log.split_once(text)?;
            rest.split_whitespace().next()?.parse().ok()
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
    }
}
