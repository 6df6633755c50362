//! The load on one server, and what it took.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    data::Data,
    mix::{CLIENT_COOKIE, Mix},
    process::Usage,
    servers::Server,
};

/// How many queries are on their way at any time.
const OUTSTANDING: &str = "100";
/// How many sockets they come from.
const CLIENTS: &str = "8";

/// What one run of the generator saw and the server used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Time on a core that the server took.
    pub(crate) cpu: Duration,
    /// Queries that were answered.
    pub(crate) answered: u64,
    /// Queries that were not.
    pub(crate) lost: u64,
    /// Queries answered per second.
    pub(crate) rate: f64,
    /// The server's memory afterwards.
    pub(crate) memory_bytes: u64,
}

impl Run {
    /// CPU time per answered query.
    pub(crate) fn microseconds_per_query(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let answered = self.answered as f64;
        self.cpu.as_secs_f64() * 1e6 / answered
    }
}

/// The sizes of a query and its answer, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) query: usize,
    pub(crate) answer: usize,
}

impl Size {
    /// How much longer the answer is.
    pub(crate) fn appended(&self) -> usize {
        self.answer.saturating_sub(self.query)
    }
}

/// Asks until `server` answers, and checks that it answers right: a server that only refuses would win every race.
pub(crate) fn first_answer(
    server: &Server,
    mix: &Mix,
    data: &Data,
    patience: Duration,
) -> Result<Size> {
    const INTERVAL: Duration = Duration::from_millis(100);
    let name = mix.names(data).next().context("there are names")?;
    let query = query(&name, mix);
    let local = SocketAddr::new(mix.host, 0);
    let socket = UdpSocket::bind(local).context("bind a socket")?;
    socket
        .connect(SocketAddr::new(mix.host, server.port))
        .context("connect a socket")?;
    socket
        .set_read_timeout(Some(INTERVAL))
        .context("set a timeout")?;
    let begin = Instant::now();
    let mut problem = "it answered nothing".to_owned();
    while begin.elapsed() < patience {
        server.process.borrow_mut().check_alive()?;
        let mut answer = [0; 4096];
        // Refused connections, as long as nobody listens, come back at once.
        let length = match socket.send(&query).and_then(|_| socket.recv(&mut answer)) {
            Ok(length) if length >= 12 => length,
            _ => {
                std::thread::sleep(INTERVAL);
                continue;
            }
        };
        let rcode = answer[3] & 0xf;
        let answers = u16::from_be_bytes([answer[6], answer[7]]);
        if answer[..2] == query[..2] && rcode == mix.rcode && u32::from(answers) == mix.answers {
            return Ok(Size {
                query: query.len(),
                answer: length,
            });
        }
        problem = format!(
            "it answered {name} with code {rcode} and {answers} records, not with code {} and {}",
            mix.rcode, mix.answers
        );
        std::thread::sleep(INTERVAL);
    }
    bail!("{} is not ready after {patience:?}: {problem}", server.name)
}

/// Asks `server` for `seconds`, at most `rate` queries a second.
pub(crate) fn run(
    server: &Server,
    mix: &Mix,
    queries: &Path,
    seconds: u64,
    rate: Option<u32>,
) -> Result<Run> {
    let mut command = Command::new("dnsperf");
    command
        .args(["-s", &mix.host.to_string(), "-p", &server.port.to_string()])
        .args(["-l", &seconds.to_string(), "-t", "1", "-T", "1"])
        .args(["-c", CLIENTS, "-q", OUTSTANDING])
        .arg("-d")
        .arg(queries);
    if mix.cookie {
        command.args(["-e", "-E", &format!("10:{CLIENT_COOKIE}")]);
    }
    if let Some(rate) = rate {
        command.args(["-Q", &rate.to_string()]);
    }
    let before = server.process.borrow().usage()?;
    let output = command.output().context("run dnsperf")?;
    let after = server.process.borrow().usage()?;
    server.process.borrow_mut().check_alive()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "dnsperf failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    if !server.reflects {
        check_codes(&text, mix)?;
    }
    read(&text, before, after).with_context(|| format!("read what dnsperf printed:\n{text}"))
}

/// A query for `name` in wire form.
fn query(name: &str, mix: &Mix) -> Vec<u8> {
    let additional = u8::from(mix.cookie);
    let mut query = vec![0x2f, 0x1c, 0, 0, 0, 1, 0, 0, 0, 0, 0, additional];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, mix.qtype as u8, 0, 1]);
    if mix.cookie {
        // OPT with 1232 bytes and twelve bytes of options: option 10, eight bytes long.
        query.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8]);
        query.extend(b"meshdns?");
    }
    query
}

/// Fails where an answer had another code than it should.
fn check_codes(text: &str, mix: &Mix) -> Result<()> {
    let expected = match mix.rcode {
        0 => "NOERROR",
        3 => "NXDOMAIN",
        other => bail!("dnsperf's word for code {other} is not known"),
    };
    let codes = value(text, "Response codes:").context("dnsperf counted no codes")?;
    let unexpected = codes.split(", ").any(|code| !code.starts_with(expected));
    ensure!(!unexpected, "answers were {codes}, not {expected} alone");
    Ok(())
}

fn read(text: &str, before: Usage, after: Usage) -> Result<Run> {
    let first = |label| {
        value(text, label)
            .and_then(|rest| rest.split_whitespace().next())
            .with_context(|| format!("there is no \"{label}\""))
    };
    Ok(Run {
        cpu: after.cpu.saturating_sub(before.cpu),
        answered: first("Queries completed:")?.parse()?,
        lost: first("Queries lost:")?.parse()?,
        rate: first("Queries per second:")?.parse()?,
        memory_bytes: after.memory_bytes,
    })
}

/// What follows `label` on its line.
fn value<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.trim().strip_prefix(label))
        .map(str::trim)
}
