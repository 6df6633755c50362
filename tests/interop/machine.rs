//! A machine of its own for a test: namespaces of Linux with a network, port 53 and an `/etc/resolv.conf` that are nobody
//! else's. Needs no rights besides that of making user namespaces.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    needs::path,
    program::{PATIENCE, Server},
};

/// Where a machine's meshdns servers are.
pub(crate) const SERVERS: [&str; 2] = ["10.0.0.53", "10.0.0.54"];

/// Sets the namespaces up; `$1` is the machine's folder. The machine lasts until stdin is closed.
const SET_UP: &str = r#"
set -e
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
for address in 10.0.0.53/24 10.0.0.54/24 169.254.20.10/32 198.51.100.53/32; do ip address add "$address" dev eth0; done
ip address add 2001:db8::53/64 dev eth0 nodad
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/resolve
mount --bind "$1/etc" /etc
echo ready
exec cat
"#;

/// What differs from this machine's own `/etc`. There is one user, for systemd-resolved gives its rights up to a user of
/// its own.
const ETC: [(&str, &str); 4] = [
    ("resolv.conf", ""),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
    ),
    (
        "passwd",
        "root:x:0:0::/:/bin/sh\nsystemd-resolve:x:0:0::/:/bin/sh\n",
    ),
    ("group", "root:x:0:\nsystemd-resolve:x:0:\n"),
];

/// The folders in `/etc` where snippets go.
const DROP_INS: [&str; 2] = ["systemd/resolved.conf.d", "dnsmasq.d"];

/// A running machine. It goes with the test.
pub(crate) struct Machine {
    holder: Child,
    folder: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let etc = folder.path().join("etc");
        // Some of it may be root's to read; nothing of that matters here.
        let _ = Command::new("cp")
            .args(["--recursive", "--no-dereference", "/etc"])
            .arg(&etc)
            .stderr(Stdio::null())
            .status();
        for (name, text) in ETC {
            // It may be a link to somewhere else.
            let _ = fs::remove_file(etc.join(name));
            fs::write(etc.join(name), text).expect("a new file");
        }
        for drop_in in DROP_INS {
            let program = drop_in.split('/').next().unwrap_or_default();
            let _ = fs::remove_dir_all(etc.join(program));
            fs::create_dir_all(etc.join(drop_in)).expect("a new folder");
        }
        fs::create_dir(folder.path().join("zones")).expect("a new folder");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--net"])
            .args(["sh", "-c", SET_UP, "machine"])
            .arg(folder.path())
            .env("PATH", path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is part of util-linux");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("text");
        assert_eq!(line, "ready\n", "a machine of its own, in namespaces");
        Self { holder, folder }
    }

    /// A path in the machine's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the machine's folder is ours");
        path
    }

    /// A command that runs in the machine; paths have to be absolute.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--user", "--mount", "--net", "--preserve-credentials"])
            .arg(format!("--target={}", self.holder.id()))
            .arg(program.as_ref())
            .env("PATH", path())
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// What a command prints; it has to end well.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output();
        let output = output.expect("nsenter is part of util-linux");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}{stderr}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// What `meshdns snippet` prints for this machine's servers.
    #[track_caller]
    pub(crate) fn snippet(&self, program: &str) -> String {
        self.snippet_for(program, &SERVERS)
    }

    /// What it prints for some servers.
    #[track_caller]
    pub(crate) fn snippet_for(&self, program: &str, servers: &[&str]) -> String {
        let servers = servers.iter().map(|server| format!("--server={server}"));
        let servers: Vec<String> = servers.collect();
        let mut arguments = vec!["snippet", program, "--zone=internal.com"];
        arguments.extend(servers.iter().map(String::as_str));
        self.run(env!("CARGO_BIN_EXE_meshdns"), &arguments)
    }

    /// Whatever a command prints, however it ends.
    pub(crate) fn text_of(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output();
        let output = output.expect("nsenter is part of util-linux");
        let printed = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Serves the machine's mesh at one of its addresses.
    pub(crate) fn serve(&self, address: &str) -> Server {
        self.serve_with(address, &[])
    }

    /// Does so with more flags.
    pub(crate) fn serve_with(&self, address: &str, more: &[&str]) -> Server {
        let mut command = self.command(env!("CARGO_BIN_EXE_meshdns"));
        command
            .args([
                "serve",
                "--zone=internal.com",
                "--http=off",
                "--lameduck=1s",
            ])
            .arg(format!("--listen={address}"))
            .args(more)
            .arg(self.path("zones"));
        Server::without_http(command)
    }

    /// Runs a server until it is dropped; what it says goes into a file.
    pub(crate) fn daemon(&self, program: &str, arguments: &[&str]) -> Daemon {
        let log = self.path(&format!("{program}.log"));
        let file = fs::File::create(&log).expect("a new file");
        let child = self
            .command(program)
            .args(arguments)
            .stdout(file.try_clone().expect("a file"))
            .stderr(file)
            .spawn()
            .expect("nsenter is part of util-linux");
        Daemon { child, log }
    }

    /// Asks as a person does.
    pub(crate) fn dig(&self, arguments: &[&str]) -> Reply {
        Reply::parse(&self.text_of("dig", arguments))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A running server of another project.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            crate::say(&format!("{}:\n{log}", self.log.display()));
        }
    }
}

/// What `dig` printed: the status, empty where nobody answered, and the addresses.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: String,
    pub(crate) addresses: BTreeSet<IpAddr>,
}

impl Reply {
    pub(crate) fn parse(printed: &str) -> Self {
        let status = printed.split_once("status: ");
        let status = status.and_then(|(_, rest)| rest.split([',', ';']).next());
        let is_comment = |line: &&str| line.starts_with(';');
        let records = printed.lines().filter(|line| !is_comment(line));
        Self {
            status: status.unwrap_or_default().to_owned(),
            addresses: records
                .filter_map(|line| line.split_whitespace().last()?.parse().ok())
                .collect(),
        }
    }
}
