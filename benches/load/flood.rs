//! More queries than a server can answer, so that its workers never wait for one: what a worker carries.
//!
//! dnsperf takes about as much of a core for a query as a server does: a server waits for it much of the time, and pays
//! with a wake-up for a batch of one query or of thirty, as it happens. Here one thread moves queries and replies by the
//! batch, and checks no more of a reply than its code.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    data::Data,
    dnsperf::Run,
    mix::Mix,
    query::query,
    servers::{REFLECTOR, Server},
    sys::{self, Batch},
};

/// How many sockets queries come from, for each worker: so many that the kernel gives workers about the same share.
const SOCKETS: u32 = 16;

/// How many queries of a socket are on their way. Those of all sockets fit into the receive buffer that the kernel gives
/// one worker's socket as a rule (212,992 bytes), so that none is dropped.
const WINDOW: usize = 10;

/// When a query counts as lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a server is asked before it is another one's turn: whatever slows the machine down slows all of them.
const SLICE: Duration = Duration::from_millis(100);

/// Asks each of `servers` for `time`, a slice at a time and in turns.
pub(crate) fn run(servers: &[&Server], mix: &Mix, data: &Data, time: Duration) -> Result<Vec<Run>> {
    let mut loads: Vec<Load<'_>> = servers
        .iter()
        .map(|server| Load::new(server, mix, data))
        .collect::<Result<_>>()?;
    let mut asked = Duration::ZERO;
    while asked < time {
        for load in &mut loads {
            let name = load.server.name;
            load.slice().with_context(|| format!("load on {name}"))?;
        }
        asked += SLICE;
    }
    loads.iter().map(Load::finish).collect()
}

/// What is asked of a server, and what came of it.
struct Load<'l> {
    server: &'l Server,
    mix: &'l Mix,
    lanes: Vec<Lane>,
    /// In wire form.
    queries: Vec<Vec<u8>>,
    /// The query that is sent next.
    next: usize,
    batch: Batch,
    cpu: Duration,
    elapsed: Duration,
    answered: u64,
    unexpected: u64,
    lost: u64,
}

/// A socket, and what of it is on its way.
struct Lane {
    socket: UdpSocket,
    waiting: usize,
    /// When the last reply came, or the first of those queries left.
    since: Instant,
}

impl<'l> Load<'l> {
    fn new(server: &'l Server, mix: &'l Mix, data: &Data) -> Result<Self> {
        let lane = |_| {
            let socket = UdpSocket::bind(SocketAddr::new(mix.host, 0)).context("bind a socket")?;
            socket
                .connect(SocketAddr::new(mix.host, server.port))
                .context("connect a socket")?;
            socket
                .set_nonblocking(true)
                .context("make a socket non-blocking")?;
            Ok(Lane {
                socket,
                waiting: 0,
                since: Instant::now(),
            })
        };
        let queries = (0..=u16::MAX).cycle().zip(mix.queries(data));
        let queries = queries.map(|(id, (name, question))| {
            let mut message = query(&name, question.qtype, mix.cookie);
            message[..2].copy_from_slice(&id.to_be_bytes());
            message
        });
        Ok(Self {
            server,
            mix,
            lanes: (0..SOCKETS * server.workers)
                .map(lane)
                .collect::<Result<_>>()?,
            queries: queries.collect(),
            next: 0,
            batch: Batch::new(),
            cpu: Duration::ZERO,
            elapsed: Duration::ZERO,
            answered: 0,
            unexpected: 0,
            lost: 0,
        })
    }

    /// Asks for one slice of time, and waits for the last replies.
    fn slice(&mut self) -> Result<()> {
        let before = self.server.process.borrow().cpu()?;
        let begin = Instant::now();
        while begin.elapsed() < SLICE {
            self.turn(true)?;
        }
        while self.is_waiting() {
            self.turn(false)?;
        }
        self.elapsed += begin.elapsed();
        self.cpu += self.server.process.borrow().cpu()?.saturating_sub(before);
        self.server.process.borrow_mut().check_alive()
    }

    fn finish(&self) -> Result<Run> {
        if self.server.name != REFLECTOR {
            ensure!(
                self.unexpected == 0,
                "{} answers of {} had another code than they should",
                self.unexpected,
                self.server.name
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let answered = self.answered as f64;
        Ok(Run {
            cpu: self.cpu,
            answered: self.answered,
            lost: self.lost,
            rate: answered / self.elapsed.as_secs_f64(),
            memory_bytes: self.server.process.borrow().family_memory_bytes()?,
        })
    }

    fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| lane.waiting > 0)
    }

    /// Takes the replies that are there and asks as much again, where more `is_asked`.
    fn turn(&mut self, is_asked: bool) -> Result<()> {
        let mut is_idle = true;
        for index in 0..self.lanes.len() {
            let taken = self.take(index)?;
            is_idle &= taken == 0;
            let lane = &mut self.lanes[index];
            if lane.waiting > 0 && lane.since.elapsed() > PATIENCE {
                self.lost += u64::try_from(lane.waiting).context("a count")?;
                lane.waiting = 0;
            }
            if is_asked {
                self.ask(index)?;
            }
        }
        if is_idle {
            thread::yield_now();
        }
        Ok(())
    }

    /// Takes the replies that a lane has, and tells how many.
    fn take(&mut self, index: usize) -> Result<usize> {
        let lane = &mut self.lanes[index];
        match self.batch.receive(&lane.socket) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error).context("receive replies"),
        }
        let mut taken = 0;
        for (reply, _) in self.batch.packets() {
            taken += 1;
            let is_expected = reply
                .get(3)
                .is_some_and(|flags| self.mix.has_code(flags & 0xf));
            self.unexpected += u64::from(!is_expected);
        }
        // What comes after it was given up does not count.
        let in_time = taken.min(lane.waiting);
        lane.waiting -= in_time;
        lane.since = Instant::now();
        self.answered += u64::try_from(in_time).context("a count")?;
        Ok(taken)
    }

    /// Fills a lane's window.
    fn ask(&mut self, index: usize) -> Result<()> {
        let lane = &mut self.lanes[index];
        if lane.waiting == WINDOW {
            return Ok(());
        }
        if lane.waiting == 0 {
            lane.since = Instant::now();
        }
        let end = (self.next + WINDOW - lane.waiting).min(self.queries.len());
        let sent =
            sys::send_each(&lane.socket, &self.queries[self.next..end]).context("send queries")?;
        lane.waiting += sent;
        self.next = (self.next + sent) % self.queries.len();
        Ok(())
    }
}
