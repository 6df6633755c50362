//! A server under test, the real program, and the folder that it serves.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    net::{IpAddr, Ipv4Addr, UdpSocket},
    ops::{Deref, DerefMut},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};

use crate::program::{PATIENCE, Server};

/// A running server.
pub(crate) struct Mesh {
    server: Server,
    /// Locked from the query to its reply: threads may ask at the same time.
    socket: Mutex<UdpSocket>,
}

impl Mesh {
    /// Serves `folder` and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// Serves `folder` with more arguments and waits until it is ready.
    pub(crate) fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        command.args(serve(folder)).args(arguments);
        Self::spawn(command)
    }

    /// Serves `folder` as a user whom permissions bind, whoever runs the test.
    pub(crate) fn start_unprivileged(folder: &Path) -> Self {
        Self::spawn(Self::unprivileged(folder))
    }

    /// The same with more arguments.
    pub(crate) fn start_unprivileged_with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Self::unprivileged(folder);
        command.args(arguments);
        Self::spawn(command)
    }

    /// What serves `folder` as a user whom permissions bind.
    pub(crate) fn unprivileged(folder: &Path) -> Command {
        const NOBODY: u32 = 65_534;
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        command.args(serve(folder));
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Serves `folder` in a user namespace where `limit`, a file in `/proc/sys/user`, is `value`.
    pub(crate) fn start_with_limit(folder: &Path, limit: &str, value: u32) -> Self {
        let set = format!("echo {value} > /proc/sys/user/{limit} && exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "sh", "-c", &set])
            .arg(env!("CARGO_BIN_EXE_meshdns"))
            .args(serve(folder));
        Self::spawn(command)
    }

    /// Serves `folder`, which is a disk of 1 MiB in namespaces of the server's own, with `text` in `svc1.yaml`.
    pub(crate) fn start_on_a_disk_of_its_own(folder: &Path, text: &str) -> Self {
        let mount = "mount -t tmpfs -o size=1m tmpfs \"$1\" && printf %s \"$2\" > \"$1/svc1.yaml\" && shift 2 && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                mount,
                "sh",
            ])
            .arg(folder)
            .arg(text)
            .arg(env!("CARGO_BIN_EXE_meshdns"))
            .args(serve(folder));
        Self::spawn(command)
    }

    fn spawn(command: Command) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            server: Server::start(command),
            socket: Mutex::new(socket),
        }
    }

    /// The addresses of `name`, ascending; `None` where the name is not there. A query without a reply fails the test.
    pub(crate) fn answers(&self, name: &str) -> Option<BTreeSet<IpAddr>> {
        let reply = self.ask(name);
        match reply.metadata.response_code {
            ResponseCode::NoError => Some(
                reply
                    .answers
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::A(address) => Some(IpAddr::V4(address.0)),
                        _ => None,
                    })
                    .collect(),
            ),
            ResponseCode::NXDomain | ResponseCode::Refused => None,
            other => panic!("{name}: {other}"),
        }
    }

    fn ask(&self, name: &str) -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.send_to(&query.to_vec().unwrap(), self.dns).unwrap();
        let mut reply = [0; 4096];
        let length = socket.recv(&mut reply).expect("every query has a reply");
        Message::from_vec(&reply[..length]).expect("a well-formed reply")
    }

    /// Waits until `name` has exactly these addresses.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, addresses: &[&str]) {
        let expected = set_of(addresses);
        self.wait(&format!("{name} at {addresses:?}"), || {
            self.answers(name).as_ref() == Some(&expected)
        });
    }

    /// Waits until `name` is not there.
    #[track_caller]
    pub(crate) fn wait_for_none(&self, name: &str) {
        self.wait(&format!("no {name}"), || self.answers(name).is_none());
    }

    /// Checks that `name` has this address alone.
    #[track_caller]
    pub(crate) fn has(&self, name: &str, address: &str) {
        assert_eq!(self.answers(name), Some(set_of(&[address])), "{name}");
    }

    /// Checks that `name` has this address alone for as long as `time`.
    #[track_caller]
    pub(crate) fn holds(&self, name: &str, address: &str, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.has(name, address);
        }
    }

    /// Checks that `name` has this address alone in the time after `since` in which the server waits, which is `patience`. An
    /// answer that comes later, because this machine is busy, proves nothing.
    #[track_caller]
    pub(crate) fn holds_meanwhile(
        &self,
        name: &str,
        address: &str,
        since: Instant,
        patience: Duration,
    ) {
        while since.elapsed() < patience / 3 {
            let answer = self.answers(name);
            let is_in_time = since.elapsed() < patience;
            assert!(
                !is_in_time || answer == Some(set_of(&[address])),
                "{name} at {answer:?}"
            );
        }
    }

    /// Waits until a number on the metrics page is `value`.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, value: f64) {
        self.wait(&format!("{name} {value}"), || {
            (self.metric(name) - value).abs() < f64::EPSILON
        });
    }

    /// A number on the metrics page.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.server.metric(name)
    }

    /// How many snapshots were published.
    pub(crate) fn generation(&self) -> f64 {
        self.metric("meshdns_generation")
    }
}

impl DerefMut for Mesh {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Deref for Mesh {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn serve(folder: &Path) -> Vec<&std::ffi::OsStr> {
    let mut arguments: Vec<&std::ffi::OsStr> = vec!["serve".as_ref(), folder.as_ref()];
    let rest = [
        "--workers=1",
        "--listen=127.0.0.1:0",
        "--http=127.0.0.1:0",
        "--log-level=info",
    ];
    arguments.extend(rest.map(std::ffi::OsStr::new));
    arguments
}

fn set_of(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses
        .iter()
        .map(|address| address.parse().expect("an address"))
        .collect()
}

/// A folder that goes with the test, at a path without links.
pub(crate) struct Folder {
    _above: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    /// An empty folder, alone in a folder of its own.
    pub(crate) fn new() -> Self {
        Self::within(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The same in memory, where this machine has such a file system: listings there miss files that are renamed over meanwhile.
    pub(crate) fn in_memory() -> Self {
        tempfile::tempdir_in("/dev/shm").map_or_else(|_| Self::new(), Self::within)
    }

    fn within(above: tempfile::TempDir) -> Self {
        fs::set_permissions(above.path(), Permissions::from_mode(0o755)).expect("our own folder");
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
