//! A server under test and the folder that it serves.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use meshdns::{
    control::{self, Control, Options},
    dns::Name,
    pipeline::Policy,
    source::Wish,
    status::{Status, Watching},
    zone::Found,
};

/// How long a test waits for anything, on a machine as busy as it may be.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Mesh {
    control: Control,
}

impl Mesh {
    /// Serves `folder` and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, Wish::Events)
    }

    /// Serves `folder`, noticing changes as wished, and waits until it is ready.
    pub(crate) fn start_with(folder: &Path, wish: Wish) -> Self {
        log();
        let options = Options {
            folders: vec![folder.to_owned()],
            policy: Policy::default(),
            wish,
        };
        let control = control::start(options).expect("the folder is there");
        let mesh = Self { control };
        mesh.wait("ready", || mesh.status().generation > 0);
        mesh
    }

    /// The addresses of `name`, ascending; `None` where the name is not there.
    pub(crate) fn answers(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = Name::from_text(name).expect("a valid name");
        match self.control.snapshots().load().find(name.as_wire()) {
            Found::Name(owner) => Some(
                owner
                    .records
                    .map_or_else(Vec::new, |records| records.addresses().collect()),
            ),
            Found::NoName { .. } | Found::NotOurs => None,
        }
    }

    /// The addresses of several names at one moment.
    pub(crate) fn answers_together(&self, names: &[String]) -> Vec<Vec<IpAddr>> {
        let snapshot = self.control.snapshots().load();
        let addresses = |name: &String| {
            let name = Name::from_text(name).expect("a valid name");
            match snapshot.find(name.as_wire()) {
                Found::Name(owner) => owner
                    .records
                    .map_or_else(Vec::new, |records| records.addresses().collect()),
                Found::NoName { .. } | Found::NotOurs => Vec::new(),
            }
        };
        names.iter().map(addresses).collect()
    }

    /// Waits until `name` has exactly these addresses.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, addresses: &[&str]) {
        let expected: BTreeSet<IpAddr> = addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect();
        self.wait(&format!("{name} at {addresses:?}"), || {
            let answers = self.answers(name);
            answers.is_some_and(|answers| BTreeSet::from_iter(answers) == expected)
        });
    }

    /// Waits until `name` is not there.
    #[track_caller]
    pub(crate) fn wait_for_none(&self, name: &str) {
        self.wait(&format!("no {name}"), || self.answers(name).is_none());
    }

    /// Checks that `name` has this address alone for as long as `time`.
    #[track_caller]
    pub(crate) fn holds(&self, name: &str, address: &str, time: Duration) {
        let expected = Some(vec![address.parse().expect("an address")]);
        let start = Instant::now();
        while start.elapsed() < time {
            assert_eq!(self.answers(name), expected, "{name} has to hold");
            std::thread::yield_now();
        }
    }

    /// Waits until `condition` holds.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(
                start.elapsed() < PATIENCE,
                "waited too long for {what}: {:#?}",
                self.status()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What the server says of itself.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.control.status().load_full()
    }

    /// How many snapshots were published.
    pub(crate) fn generation(&self) -> u64 {
        self.control.snapshots().load().generation()
    }

    /// Waits until the server has looked at everything, as after SIGHUP.
    pub(crate) fn reload(&self) {
        let before = self.status().totals.reloads;
        self.control.reload();
        self.wait("the reload", || self.status().totals.reloads > before);
    }

    /// Whether changes are noticed by polling, and why.
    pub(crate) fn polling_because(&self) -> Option<String> {
        match &self.status().watching {
            Watching::Polling { why, .. } => Some(why.clone()),
            Watching::Events | Watching::Starting => None,
        }
    }

    /// Hands the server what the operating system would: the queue of events ran over.
    pub(crate) fn overflow(&self) {
        use notify::event::{Event, EventKind, Flag};
        let event = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        self.control.signals().note(Ok(event));
    }

    /// Hands the server what the operating system would: watching failed.
    pub(crate) fn break_watch(&self, kind: notify::ErrorKind) {
        self.control.signals().note(Err(notify::Error::new(kind)));
    }

    /// Waits until a line of the log holds all of these texts.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, texts: &[&str]) {
        self.wait(&format!("a log line with {texts:?}"), || {
            self.log_lines(texts) > 0
        });
    }

    /// How many lines of the log hold all of these texts.
    pub(crate) fn log_lines(&self, texts: &[&str]) -> usize {
        let _ = self;
        let log = log().lock().expect("no writer panics");
        let log = String::from_utf8_lossy(&log);
        log.lines()
            .filter(|line| texts.iter().all(|text| line.contains(text)))
            .count()
    }
}

/// A folder that goes with the test, at a path without links.
pub(crate) struct Folder {
    _above: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    /// An empty folder, alone in a folder of its own.
    pub(crate) fn new() -> Self {
        let above = tempfile::tempdir().expect("a temporary folder");
        let path = fs::canonicalize(above.path())
            .expect("it is there")
            .join("zones");
        fs::create_dir(&path).expect("a new folder");
        Self {
            _above: above,
            path,
        }
    }

    /// A folder with `svc1.internal.com` at 10.0.0.1 in `svc1.yaml`.
    pub(crate) fn with_one_service() -> Self {
        let folder = Self::new();
        fs::write(folder.join("svc1.yaml"), service(1, "10.0.0.1")).expect("a new file");
        folder
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder above, which holds nothing else.
    pub(crate) fn above(&self) -> &Path {
        self.path.parent().expect("made inside another")
    }

    /// A path in the folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// A ServiceEntry for `svc<number>.internal.com` with one endpoint.
pub(crate) fn service(number: usize, address: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: svc{number}
  namespace: ns1
spec:
  hosts:
  - svc{number}.internal.com
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - number: 80
    name: http
    protocol: HTTP
  endpoints:
  - address: {address}
"
    )
}

/// Replaces a file as careful programs do: a new one beside it, renamed over it.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    fs::write(&beside, text).expect("a new file");
    fs::rename(beside, path).expect("a rename");
}

/// Everything that was logged by this process.
fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    LOG.get_or_init(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(|| Lines)
            .init();
        Mutex::default()
    })
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = log().lock().expect("no writer panics");
        log.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
