//! meshdns under test: started, waited for, asked and told to reload.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    mix::Type,
    pages,
    process::Memory,
    query::{Reply, query},
    servers::{MESHDNS, Server, free_port},
};

/// How long anything may take before the bench goes on without it.
const PATIENCE: Duration = Duration::from_mins(5);

/// A `meshdns serve` with its configuration file.
pub(crate) struct Meshdns {
    pub(crate) server: Server,
    pub(crate) dns: SocketAddr,
    pub(crate) http: SocketAddr,
    configuration: PathBuf,
    started: Instant,
}

/// What it took until the mesh was served.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    /// From the start of the process to `/ready`.
    pub(crate) time: Duration,
    /// On all cores, until then.
    pub(crate) cpu: Duration,
    /// A moment later.
    pub(crate) memory: Memory,
}

impl Meshdns {
    /// Starts it with `workers` on what these arguments name, and `more` in its configuration; its files go to `folder`.
    fn start(mesh: &[impl AsRef<OsStr>], workers: u32, folder: &Path, more: &str) -> Result<Self> {
        let (dns, http) = (free_port()?, free_port()?);
        let configuration = folder.join(format!("meshdns-{dns}.yaml"));
        let text = configuration_with(5) + more;
        fs::write(&configuration, text).context("write the configuration")?;
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        command
            .arg("serve")
            .env("MESHDNS_UI", "off")
            .args(mesh)
            .arg("--config")
            .arg(&configuration)
            .args(["--listen", &local(dns).to_string()])
            .args(["--http", &local(http).to_string()])
            .args(["--workers", &workers.to_string()]);
        let started = Instant::now();
        Ok(Self {
            server: Server::start(MESHDNS, dns, workers, command, folder)?,
            dns: local(dns),
            http: local(http),
            configuration,
            started,
        })
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start_ready(
        mesh: &[impl AsRef<OsStr>],
        workers: u32,
        folder: &Path,
    ) -> Result<(Self, Start)> {
        Self::start_configured(mesh, workers, folder, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_configured(
        mesh: &[impl AsRef<OsStr>],
        workers: u32,
        folder: &Path,
        more: &str,
    ) -> Result<(Self, Start)> {
        const SETTLING: Duration = Duration::from_secs(1);
        let meshdns = Self::start(mesh, workers, folder, more)?;
        meshdns.wait("ready", || {
            Ok(pages::get(meshdns.http, "/ready")
                .is_ok_and(|response| response.starts_with("HTTP/1.1 200")))
        })?;
        let time = meshdns.started.elapsed();
        let cpu = meshdns.cpu()?;
        thread::sleep(SETTLING);
        let memory = meshdns.memory()?;
        Ok((meshdns, Start { time, cpu, memory }))
    }

    /// Waits until `condition` holds.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn() -> Result<bool>) -> Result<()> {
        const INTERVAL: Duration = Duration::from_millis(5);
        let begin = Instant::now();
        while !condition()? {
            self.server.process.borrow_mut().check_alive()?;
            ensure!(begin.elapsed() < PATIENCE, "not {what} after {PATIENCE:?}");
            thread::sleep(INTERVAL);
        }
        Ok(())
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.server.process.borrow().id()
    }

    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.server.process.borrow().cpu()
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        self.server.process.borrow().memory()
    }

    /// Reads every file again, and returns the peak of memory meanwhile, in bytes.
    pub(crate) fn reload(&self) -> Result<u64> {
        const RELOADED: &str = "meshdns_reload_last_timestamp_seconds";
        let reloaded = || pages::metric::<f64>(self.http, RELOADED);
        let before = reloaded()?;
        self.peak_until("reloaded", || Ok(reloaded()? > before))
    }

    /// Gives every record another TTL, and returns the peak of memory meanwhile, in bytes.
    pub(crate) fn change_policy(&self, host: &str) -> Result<u64> {
        const TTL_SECONDS: u8 = 7;
        fs::write(&self.configuration, configuration_with(TTL_SECONDS))
            .context("write the configuration")?;
        let client = Client::of(self)?;
        self.peak_until("served with the changed TTL", || {
            client.ask(host, |reply| reply.has_ttl(TTL_SECONDS))
        })
    }

    fn peak_until(&self, what: &str, condition: impl Fn() -> Result<bool>) -> Result<u64> {
        {
            let process = self.server.process.borrow();
            process.forget_peak()?;
            process.hang_up()?;
        }
        self.wait(what, condition)?;
        self.rest()?;
        Ok(self.memory()?.peak)
    }

    /// Waits until the process has done nothing for a while, longer than it puts off anything that is due soon.
    pub(crate) fn rest(&self) -> Result<()> {
        const QUIET: Duration = Duration::from_millis(300);
        const IDLE: Duration = Duration::from_millis(1);
        self.wait("at rest", || {
            let before = self.cpu()?;
            thread::sleep(QUIET);
            Ok(self.cpu()?.saturating_sub(before) < IDLE)
        })
    }

    /// The reply over TCP: its length in bytes, and how many records its answer section has.
    pub(crate) fn ask_over_tcp(&self, host: &str) -> Result<(usize, u32)> {
        let query = query(host, Type::A, false);
        let length = u16::try_from(query.len()).context("a query is short")?;
        let mut stream = TcpStream::connect(self.dns).context("connect over TCP")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&[&length.to_be_bytes()[..], &query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message)?;
        let reply = Reply::to(&query, &message).context("a reply to another query")?;
        Ok((reply.bytes(), reply.answers()))
    }
}

fn configuration_with(ttl_seconds: u8) -> String {
    format!("zones: [big.example]\nttl: {ttl_seconds}s\n")
}

/// Asks one question at a time over UDP.
pub(crate) struct Client(UdpSocket);

impl Client {
    pub(crate) fn of(meshdns: &Meshdns) -> Result<Self> {
        const TIMEOUT: Duration = Duration::from_secs(5);
        let socket = UdpSocket::bind("127.0.0.1:0").context("bind a socket")?;
        socket.connect(meshdns.dns).context("connect a socket")?;
        socket
            .set_read_timeout(Some(TIMEOUT))
            .context("set a timeout")?;
        Ok(Self(socket))
    }

    /// Whether the reply for the host's addresses is as wanted.
    pub(crate) fn ask(&self, host: &str, is_wanted: impl Fn(Reply<'_>) -> bool) -> Result<bool> {
        let query = query(host, Type::A, true);
        self.0.send(&query).context("send a query")?;
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).context("wait for a reply")?;
        let reply = Reply::to(&query, &message[..length]).context("a reply to another query")?;
        Ok(is_wanted(reply))
    }
}
