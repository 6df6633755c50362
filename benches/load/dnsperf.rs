//! The load that dnsperf puts on one server, and what it took.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    data::Data,
    mix::{Mix, Question, Transport},
    query::{CLIENT_COOKIE, Reply, query},
    servers::{REFLECTOR, Server},
};

/// How many queries are on their way to each worker at any time.
const OUTSTANDING: u32 = 100;
/// How many sockets they come from.
const CLIENTS: u32 = 8;

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

/// The sizes of queries and their answers, in bytes, each the mean of a mix.
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
pub(crate) fn first_answers(
    server: &Server,
    mix: &Mix,
    data: &Data,
    patience: Duration,
) -> Result<Size> {
    let mut sizes = Vec::new();
    for (name, question) in mix.sample(data) {
        sizes.push(first_answer(server, mix, &name, question, patience)?);
    }
    let mean = |size: fn(&Size) -> usize| sizes.iter().map(size).sum::<usize>() / sizes.len();
    Ok(Size {
        query: mean(|size| size.query),
        answer: mean(|size| size.answer),
    })
}

fn first_answer(
    server: &Server,
    mix: &Mix,
    name: &str,
    question: &Question,
    patience: Duration,
) -> Result<Size> {
    const INTERVAL: Duration = Duration::from_millis(100);
    let query = query(name, question.qtype, mix.cookie);
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
        let mut message = [0; 4096];
        // Refused connections, as long as nobody listens, come back at once.
        if let Ok(length) = socket.send(&query).and_then(|_| socket.recv(&mut message))
            && let Some(reply) = Reply::to(&query, &message[..length])
        {
            let (rcode, answers) = (reply.rcode(), reply.answers());
            if (rcode, answers) == (question.rcode, question.answers) {
                return Ok(Size {
                    query: query.len(),
                    answer: length,
                });
            }
            problem = format!(
                "it answered {name} with code {rcode} and {answers} records, not with code {} and {}",
                question.rcode, question.answers
            );
        }
        thread::sleep(INTERVAL);
    }
    bail!("{} is not ready after {patience:?}: {problem}", server.name)
}

/// How much is asked.
#[derive(Clone, Copy)]
pub(crate) enum Extent {
    /// As much as fits so many seconds.
    Seconds(u64),
    /// Every query of the file once.
    EachOnce,
}

/// Asks `server` what the file `queries` says, at most `rate` queries a second.
pub(crate) fn run(
    server: &Server,
    mix: &Mix,
    queries: &Path,
    extent: Extent,
    rate: Option<u32>,
) -> Result<Run> {
    let mut command = Command::new("dnsperf");
    command
        .args(["-s", &mix.host.to_string(), "-p", &server.port.to_string()])
        .args(["-t", "1", "-T", "1"])
        .args(["-c", &(CLIENTS * server.workers).to_string()])
        .args(["-q", &(OUTSTANDING * server.workers).to_string()])
        .arg("-d")
        .arg(queries);
    match extent {
        Extent::Seconds(seconds) => command.args(["-l", &seconds.to_string()]),
        Extent::EachOnce => command.args(["-n", "1"]),
    };
    if mix.transport == Transport::Tcp {
        command.args(["-m", "tcp"]);
    }
    if mix.cookie {
        command.args(["-e", "-E", &format!("10:{CLIENT_COOKIE}")]);
    }
    if let Some(rate) = rate {
        command.args(["-Q", &rate.to_string()]);
    }
    let before = server.process.borrow().cpu()?;
    let output = command.output().context("run dnsperf")?;
    let after = server.process.borrow().cpu()?;
    server.process.borrow_mut().check_alive()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "dnsperf failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    if server.name != REFLECTOR {
        check_codes(&text, mix)?;
    }
    let cpu = after.saturating_sub(before);
    let memory_bytes = server.process.borrow().family_memory_bytes()?;
    read(&text, cpu, memory_bytes).with_context(|| format!("read what dnsperf printed:\n{text}"))
}

/// Fails where an answer had another code than it should.
fn check_codes(text: &str, mix: &Mix) -> Result<()> {
    let codes = value(text, "Response codes:").context("dnsperf counted no codes")?;
    let unexpected = codes.split(", ").any(|code| {
        let (word, _) = code.split_once(' ').unwrap_or((code, ""));
        !mix.expects(word)
    });
    ensure!(!unexpected, "answers were {codes}");
    Ok(())
}

fn read(text: &str, cpu: Duration, memory_bytes: u64) -> Result<Run> {
    let first = |label| {
        value(text, label)
            .and_then(|rest| rest.split_whitespace().next())
            .with_context(|| format!("there is no \"{label}\""))
    };
    let run = Run {
        cpu,
        answered: first("Queries completed:")?.parse()?,
        lost: first("Queries lost:")?.parse()?,
        rate: first("Queries per second:")?.parse()?,
        memory_bytes,
    };
    ensure!(run.answered > 0, "nothing was answered");
    Ok(run)
}

/// What follows `label` on its line.
fn value<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.trim().strip_prefix(label))
        .map(str::trim)
}
