//! Runs the binary: once to its end, or as a server that is asked and signalled. Every wait has an end.

use std::{
    env, fs,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};
use rustix::{
    process::{Pid, Signal},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{self, PATIENCE, Server};

/// A service of one host with one ready Pod, one unready Pod and one VM.
pub const SVC1: &str = r#"apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc1, namespace: ns1}
spec:
  hosts: [svc1.internal.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: svc1}}
---
apiVersion: v1
kind: Pod
metadata: {name: ready, namespace: ns1, labels: {app: svc1}}
status:
  phase: Running
  podIP: 10.0.0.1
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Pod
metadata: {name: unready, namespace: ns1, labels: {app: svc1}}
status:
  phase: Running
  podIP: 10.0.0.2
  conditions: [{type: Ready, status: "False"}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: ns1}
spec: {address: 192.0.2.7, labels: {app: svc1}}
"#;

/// A ServiceEntry with an error at line 6, column 15, and a warning at line 7.
pub const BROKEN: &str = r"apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: broken, namespace: ns1}
spec:
  hosts: [broken.internal.com]
  resolution: STATC
  lokation: MESH_EXTERNAL
";

/// A folder to run in, with the mesh folder `zones` in it.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(TempDir::new().expect("a folder"));
        fs::create_dir(place.path("zones")).expect("a folder in it");
        place
    }

    /// A place whose mesh is [`SVC1`].
    pub fn with_svc1() -> Self {
        let place = Self::new();
        place.write("zones/svc1.yaml", SVC1);
        place
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("a writable folder");
    }

    /// The binary, run here, with nothing in its environment that decides anything.
    pub fn meshdns(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("MESHDNS_") || name == "NO_COLOR" || name == "COLUMNS" {
                command.env_remove(name);
            }
        }
        command.env("MESHDNS_UI", "off");
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.meshdns(arguments))
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let pid = Pid::from_child(&child);
        let (done, output) = mpsc::channel();
        thread::spawn(move || done.send(child.wait_with_output()));
        let Ok(output) = output.recv_timeout(PATIENCE) else {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            panic!("{command:?} did not end");
        };
        let output = output.expect("its output can be read");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Checks that the command failed with this code and said why in one line that holds all of `parts`.
    #[track_caller]
    pub fn failed(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "failures go to stderr");
        assert_eq!(self.stderr.lines().count(), 1, "one line: {}", self.stderr);
        assert!(self.stderr.starts_with("meshdns: "), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} in {}", self.stderr);
        }
    }

    /// Checks that the command ended well, and reads its output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).expect("JSON on stdout")
    }
}

/// Serves the mesh of `place`, with the DNS and HTTP ports that are free and logs as JSON, and waits until it is ready.
pub fn serve(place: &Place, arguments: &[&str]) -> Server {
    let mut command = place.meshdns(&["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"]);
    command.arg("--log-format=json").args(arguments);
    Server::start(command)
}

/// The log of a server that logs as JSON.
pub fn log_of(server: &Server) -> Vec<Value> {
    let log = server.log();
    log.lines()
        .map(|line| serde_json::from_str(line).expect("each log line is JSON"))
        .collect()
}

/// Waits for a log line whose message begins so.
#[track_caller]
pub fn wait_for_message(server: &Server, message: &str) -> Value {
    wait_for_messages(server, message, 1).remove(0)
}

/// Waits for so many log lines whose messages begin so.
#[track_caller]
pub fn wait_for_messages(server: &Server, message: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} x {message:?} in the log"), || {
        let mut lines = log_of(server);
        lines.retain(|line| text_of(line).starts_with(message));
        (lines.len() >= count).then_some(lines)
    })
}

/// The message of a log line.
pub fn text_of(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// Tries until there is something, and fails after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The answer to one query for A.
#[derive(Debug)]
pub struct Reply {
    pub rcode: ResponseCode,
    pub addresses: Vec<IpAddr>,
    pub ttl: Option<u32>,
}

/// Asks once over UDP; `None` where no answer comes.
pub fn ask(server: SocketAddr, name: &str) -> Option<Reply> {
    let mut query = Query::query(Name::from_ascii(name).expect("a name"), RecordType::A);
    query.set_query_class(DNSClass::IN);
    let mut message = Message::query();
    message.add_query(query);
    let bytes = message.to_vec().expect("a message");
    let reply = program::ask(server, &bytes)?;
    let reply = Message::from_vec(&reply).expect("an answer that can be read");
    let mut addresses: Vec<IpAddr> = reply
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            _ => None,
        })
        .collect();
    addresses.sort_unstable();
    Some(Reply {
        rcode: reply.metadata.response_code,
        addresses,
        ttl: reply.answers.first().map(|record| record.ttl),
    })
}

/// A text of the repository.
pub fn repository_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).expect("a file of the repository")
}

/// The user and group ids of nobody, in every distribution.
const NOBODY: u32 = 65534;

impl Place {
    /// The binary without any rights: a root's test run gives them up, another user has none.
    pub fn meshdns_as_nobody(&self, arguments: &[&str]) -> Command {
        use std::os::unix::{fs::PermissionsExt, process::CommandExt};
        let command = self.meshdns(arguments);
        if !rustix::process::getuid().is_root() {
            return command;
        }
        // Nobody may not look into the folder where the binary was built.
        // `cp` writes the copy: a descriptor of ours would be held for a moment by what other tests start meanwhile,
        // and a program that is open for writing can't be run (ETXTBSY).
        let copy = self.path("meshdns");
        let copied = Command::new("cp")
            .arg(command.get_program())
            .arg(&copy)
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "cp failed");
        let everyone = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.0.path(), everyone).expect("it is ours");
        let mut without_rights = Command::new(copy);
        without_rights
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .uid(NOBODY)
            .gid(NOBODY);
        without_rights
    }
}

/// A new terminal: what a user sees of it, and what a program prints to.
pub fn terminal() -> (fs::File, Stdio) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&controller).expect("it is ours");
    unlockpt(&controller).expect("it is ours");
    let name = ptsname(&controller, Vec::new()).expect("it has a name");
    let terminal = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().expect("text"))
        .expect("a terminal");
    (controller.into(), OwnedFd::from(terminal).into())
}
