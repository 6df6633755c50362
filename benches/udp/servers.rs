//! The servers, each with one worker and the same names.

use std::{
    cell::RefCell,
    env, fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    data::{ZONE, mesh_folder, zone_file},
    process::Process,
};

/// A server that runs.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// Where it listens, on 127.0.0.1 and on `::1`.
    pub(crate) port: u16,
    pub(crate) process: RefCell<Process>,
    /// Whether it only sends packets back.
    pub(crate) reflects: bool,
}

/// The programs of others.
pub(crate) struct Programs {
    knotd: PathBuf,
    nsd: PathBuf,
}

impl Programs {
    /// Looks for all of them, so that one complaint names each one that is missing.
    pub(crate) fn find() -> Result<Self> {
        let (knotd, nsd, dnsperf) = (find("knotd"), find("nsd"), find("dnsperf"));
        match (knotd, nsd, dnsperf) {
            (Some(knotd), Some(nsd), Some(_)) => Ok(Self { knotd, nsd }),
            (knotd, nsd, dnsperf) => {
                let all = [("knotd", knotd), ("nsd", nsd), ("dnsperf", dnsperf)];
                let missing = all.into_iter().filter(|(_, path)| path.is_none());
                let missing: Vec<&str> = missing.map(|(name, _)| name).collect();
                bail!(
                    "not on the PATH: {}. `make bench` installs them, or: scripts/install-tools.sh bench",
                    missing.join(", ")
                )
            }
        }
    }

    /// What the programs call themselves.
    pub(crate) fn versions(&self) -> String {
        let first_line = |program: &Path, flag: &str| {
            let output = Command::new(program).arg(flag).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            let line = text.split(|byte| *byte == b'\n').next()?.to_vec();
            Some(String::from_utf8_lossy(&line).into_owned())
        };
        let known = [first_line(&self.knotd, "-V"), first_line(&self.nsd, "-v")];
        known.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Debian's servers are in `/usr/sbin`, which is on root's PATH alone.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// meshdns, as a release build.
pub(crate) fn meshdns(folder: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
    command
        .arg("serve")
        .arg(mesh_folder(folder))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--listen", &format!("[::1]:{port}")])
        .args(["--zone", ZONE, "--http", "off", "--workers", "1"]);
    start("meshdns", port, command, folder)
}

/// Knot, with one UDP worker.
pub(crate) fn knot(programs: &Programs, folder: &Path) -> Result<Server> {
    let port = free_port()?;
    let own = own_folder(folder, "knot")?;
    let configuration = format!(
        "\
server:
    listen: [ 127.0.0.1@{port}, ::1@{port} ]
    rundir: {own}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: knot.sock
database:
    storage: {own}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {own}
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: {ZONE}
    file: {zone}
",
        own = own.display(),
        zone = zone_file(folder).display(),
    );
    let file = own.join("knot.conf");
    fs::write(&file, configuration).context("write knot.conf")?;
    let mut command = Command::new(&programs.knotd);
    command.arg("-c").arg(file);
    start("Knot", port, command, folder)
}

/// NSD, with one server process, answers as short as the others' and without the rate limit that it has by default.
pub(crate) fn nsd(programs: &Programs, folder: &Path) -> Result<Server> {
    let port = free_port()?;
    let own = own_folder(folder, "nsd")?;
    let configuration = format!(
        "\
server:
    server-count: 1
    ip-address: 127.0.0.1@{port}
    ip-address: ::1@{port}
    username: \"\"
    chroot: \"\"
    zonesdir: \"{own}\"
    database: \"\"
    zonelistfile: \"{own}/zone.list\"
    xfrdfile: \"{own}/xfrd.state\"
    xfrdir: \"{own}\"
    pidfile: \"\"
    minimal-responses: yes
    rrl-ratelimit: 0
    verbosity: 0
remote-control:
    control-enable: no
zone:
    name: {ZONE}
    zonefile: \"{zone}\"
",
        own = own.display(),
        zone = zone_file(folder).display(),
    );
    let file = own.join("nsd.conf");
    fs::write(&file, configuration).context("write nsd.conf")?;
    let mut command = Command::new(&programs.nsd);
    command.arg("-d").arg("-c").arg(file);
    start("NSD", port, command, folder)
}

/// This program again, as the reflector.
pub(crate) fn reflector(append: usize, folder: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(env::current_exe().context("find this program")?);
    command
        .args(["--append", &append.to_string(), "--reflect"])
        .args([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
    let mut server = start("reflector", port, command, folder)?;
    server.reflects = true;
    Ok(server)
}

fn start(name: &'static str, port: u16, command: Command, folder: &Path) -> Result<Server> {
    let process = Process::start(command, &folder.join(format!("{name}.log")))?;
    Ok(Server {
        name,
        port,
        process: RefCell::new(process),
        reflects: false,
    })
}

fn own_folder(folder: &Path, name: &str) -> Result<PathBuf> {
    let own = folder.join(name);
    fs::create_dir(&own).with_context(|| format!("make a folder for {name}"))?;
    Ok(own)
}

/// A port that nobody has on UDP and TCP. Another program may take it before the server does; then the server says so.
fn free_port() -> Result<u16> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let udp = UdpSocket::bind("127.0.0.1:0").context("bind a socket")?;
        let port = udp.local_addr().context("read a socket's address")?.port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("::1", port)).is_ok()
        {
            return Ok(port);
        }
    }
    bail!("found no free port on 127.0.0.1 and ::1")
}
