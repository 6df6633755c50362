//! Serves a mesh with its status pages, and asks for them as a browser or a program does.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{PATIENCE, Server};

/// The folders that README's story begins with.
pub(crate) const ZONES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/zones");

/// A folder to run in, with the mesh folder `zones` in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(TempDir::new().expect("a folder"));
        fs::create_dir(place.path("zones")).expect("a folder in it");
        place
    }

    /// A place with a copy of README's mesh.
    pub(crate) fn with_zones() -> Self {
        let place = Self::new();
        copy(Path::new(ZONES), &place.path("zones"));
        place
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        // As an editor or git does: whoever reads finds the whole of one of both.
        let beside = self.path(&format!("{path}.next~"));
        fs::write(&beside, text).expect("a writable folder");
        fs::rename(beside, self.path(path)).expect("it was just written");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file that can be read")
    }

    /// The binary, run here, with nothing in its environment that decides anything.
    pub(crate) fn meshdns(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MESHDNS_") {
                command.env_remove(name);
            }
        }
        // Said here, so that `Server::start` leaves the pages to the flags and the file.
        command.env_remove("MESHDNS_UI");
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    /// Runs a command to its end: its exit code, what it prints, and what it says on stderr.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.meshdns(arguments).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Serves with the status pages at a free port.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Shown {
        self.serve_with_ui(&["--ui=127.0.0.1:0"], arguments)
    }

    /// Serves with the status pages as these arguments, or the configuration file, have them.
    pub(crate) fn serve_with_ui(&self, ui: &[&str], arguments: &[&str]) -> Shown {
        let mut command = self.meshdns(&["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"]);
        command.arg("--log-format=text").args(ui).args(arguments);
        let server = Server::start(command);
        let ui = server.address_in_log("serving the status pages");
        Shown { server, ui }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it is there").is_dir() {
            fs::create_dir(&target).expect("a folder in ours");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file in ours");
        }
    }
}

/// A server and where its status pages are.
pub(crate) struct Shown {
    pub(crate) server: Server,
    pub(crate) ui: SocketAddr,
}

impl Deref for Shown {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Shown {
    /// A page or an object of the API, whatever its status.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let host = if headers.to_ascii_lowercase().contains("host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.ui)
        };
        let request =
            format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
        Answer::of(self.ui, &request)
    }

    /// An object of the API, which has to be there.
    #[track_caller]
    pub(crate) fn api(&self, path: &str) -> Value {
        let answer = self.page(&format!("/api/v1{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Waits until the API says so.
    #[track_caller]
    pub(crate) fn wait_for(&self, path: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let found = self.api(path);
            if condition(&found) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "{path} stays {found:#}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the header fields.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    fn of(server: SocketAddr, request: &str) -> Self {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE).expect("pages are served");
        stream.set_read_timeout(Some(PATIENCE)).expect("above 0");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("an answer");
        let (head, body) = response.split_once("\r\n\r\n").expect("an answer");
        Self {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|code| code.parse().ok())
                .expect("a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A field of the head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}
