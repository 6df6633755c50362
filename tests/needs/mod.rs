//! What a test needs that a machine may lack: namespaces, IPv6, a program. A test that can't be run is skipped by name: it is
//! told on stderr, and written down for `make test`, which counts such tests at the end. Where the variable `NO_SKIPS` is
//! set, as in CI, the test fails.
#![allow(dead_code)] // each test crate uses a part

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    net::{Ipv6Addr, UdpSocket},
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

/// Something that a test needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need<'n> {
    /// A user namespace of one's own, in which one may set kernel settings.
    UserNamespace,
    /// A user namespace with a network and mounts of its own.
    MachineOfItsOwn,
    /// IPv6 on the loopback interface.
    Ipv6,
    /// A program, as the command line that tells its version; one word is a program that may fail.
    Program(&'n str),
    /// A file below target/tools, and the script that fetches it.
    Fetched(&'n str, &'n str),
}

/// Whether this machine has all of `needs`. Where it lacks one, the test that asks counts as skipped, and has to return.
///
/// # Panics
///
/// Where one is missing and `NO_SKIPS` is set.
#[must_use]
pub(crate) fn met(needs: &[Need<'_>]) -> bool {
    let missing = needs.iter().find(|need| !need.is_met());
    if let Some(missing) = missing {
        skip(&missing.told());
    }
    missing.is_none()
}

/// Counts the test that runs in this thread as skipped; `lack` says what this machine has not.
pub(crate) fn skip(lack: &str) {
    let line = skipped(lack);
    assert!(
        env::var_os("NO_SKIPS").is_none_or(|value| value.is_empty()),
        "{line}, and NO_SKIPS is set"
    );
    note(&line);
}

/// Does so for what scripts/install-tools.sh does not install: nobody is held to have it, whatever `NO_SKIPS` says.
pub(crate) fn pass_over(lack: &str) {
    note(&skipped(lack));
}

/// The test of this thread, and what it lacks.
fn skipped(lack: &str) -> String {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    format!("{} {test}: {lack}", env!("CARGO_CRATE_NAME"))
}

fn note(line: &str) {
    // The harness shows this whatever comes of the test; where stderr is closed nobody can be told.
    let _ = writeln!(io::stderr(), "SKIPPED {line}");
    if let Some(list) = env::var_os("SKIPPED_LIST") {
        let file = OpenOptions::new().append(true).create(true).open(list);
        // One write, so that tests beside this one don't get in between.
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.expect("the list of skipped tests can be written");
    }
}

impl Need<'_> {
    fn is_met(self) -> bool {
        static USER_NAMESPACE: OnceLock<bool> = OnceLock::new();
        static MACHINE_OF_ITS_OWN: OnceLock<bool> = OnceLock::new();
        static IPV6: OnceLock<bool> = OnceLock::new();
        match self {
            Self::UserNamespace => *USER_NAMESPACE.get_or_init(|| {
                // Any value will do: those that matter are set by the test.
                let set = "echo 1000 > /proc/sys/user/max_inotify_watches";
                runs("unshare", &["--user", "--map-root-user", "sh", "-c", set])
            }),
            Self::MachineOfItsOwn => *MACHINE_OF_ITS_OWN.get_or_init(|| {
                let options = ["--user", "--map-root-user", "--mount", "--net"];
                let set_up = "ip link set lo up && ip link add eth0 type veth peer name eth1 && mount -t tmpfs tmpfs /run";
                runs("unshare", &[&options[..], &["sh", "-c", set_up]].concat())
            }),
            Self::Ipv6 => {
                *IPV6.get_or_init(|| UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok())
            }
            Self::Program(command) => {
                let mut words = command.split(' ');
                let program = words.next().unwrap_or_default();
                let arguments: Vec<&str> = words.collect();
                if arguments.is_empty() {
                    program_path(program).is_some()
                } else {
                    runs(program, &arguments)
                }
            }
            Self::Fetched(file, _) => fetched(file).exists(),
        }
    }

    fn told(self) -> String {
        match self {
            Self::UserNamespace => "user namespaces are not allowed".to_owned(),
            Self::MachineOfItsOwn => {
                "namespaces of users, networks and mounts are not allowed".to_owned()
            }
            Self::Ipv6 => "the loopback interface has no IPv6".to_owned(),
            Self::Program(command) => format!("`{command}` does not run"),
            Self::Fetched(file, script) => format!("{file} is missing, which {script} fetches"),
        }
    }
}

/// Whether a command ends well.
fn runs(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program)
        .args(arguments)
        .env("PATH", path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Where a program is.
fn program_path(program: &str) -> Option<PathBuf> {
    let path = path();
    let mut folders = env::split_paths(&path);
    folders.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}

/// Where a file is that a script fetches.
pub(crate) fn fetched(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools")).join(file)
}

/// Where programs are: those that scripts/install-tools.sh unpacked, the PATH, and where Debian keeps servers.
pub(crate) fn path() -> String {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin");
    let found = env::var("PATH").unwrap_or_default();
    format!("{tools}:{found}:/usr/sbin:/sbin:/usr/lib/systemd:/lib/systemd:/usr/local/go/bin")
}
