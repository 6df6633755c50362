//! A server under load: started with the names of [`crate::data`], on a port of its own.

use std::{
    cell::RefCell,
    env, fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    data::{ZONE, mesh_folder},
    process::Process,
};

/// What the tables call the bare reflector.
pub(crate) const REFLECTOR: &str = "reflector";
/// What the tables call this server.
pub(crate) const MESHDNS: &str = "meshdns";

/// A server that runs.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// Where it listens, on 127.0.0.1 and on `::1`.
    pub(crate) port: u16,
    /// Its share of the load: how many times what one worker is given.
    pub(crate) workers: u32,
    pub(crate) process: RefCell<Process>,
}

impl Server {
    /// Starts `command`, which is to listen on `port`.
    pub(crate) fn start(
        name: &'static str,
        port: u16,
        workers: u32,
        command: Command,
        folder: &Path,
    ) -> Result<Self> {
        let process = Process::start(command, &folder.join(format!("{name}-{port}.log")))?;
        Ok(Self {
            name,
            port,
            workers,
            process: RefCell::new(process),
        })
    }
}

/// The flags of a meshdns with the mesh and no more.
pub(crate) const MESH: [&str; 4] = ["--zone", ZONE, "--http", "off"];

/// meshdns as a release build, with the mesh folder below `folder`, and `flags` such as [`MESH`].
pub(crate) fn meshdns(workers: u32, folder: &Path, flags: &[&str]) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
    command
        .arg("serve")
        .arg(mesh_folder(folder))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--listen", &format!("[::1]:{port}")])
        .args(["--workers", &workers.to_string()])
        .args(flags)
        .env("MESHDNS_UI", "off");
    Server::start(MESHDNS, port, workers, command, folder)
}

/// This program again, as the reflector.
pub(crate) fn reflector(workers: u32, append: usize, folder: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(env::current_exe().context("find this program")?);
    command
        .args(["reflect", "--append", &append.to_string()])
        .args(["--workers", &workers.to_string()])
        .args([format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
    Server::start(REFLECTOR, port, workers, command, folder)
}

/// Finds `program` on the PATH. Debian's servers are in `/usr/sbin`, which is on root's PATH alone.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A folder below `folder` for what belongs to one server alone.
pub(crate) fn own_folder(folder: &Path, name: &str, port: u16) -> Result<PathBuf> {
    let own = folder.join(format!("{name}-{port}"));
    fs::create_dir(&own).with_context(|| format!("make a folder for {name}"))?;
    Ok(own)
}

/// A port that nobody has on UDP and TCP. Another program may take it before the server does; then the server says so.
pub(crate) fn free_port() -> Result<u16> {
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
