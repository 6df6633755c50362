//! An open-loop generator: queries leave at a fixed rate, whatever comes back, and every reply's latency is kept.
//!
//! A latency is the time from before the system call that sent the query until the kernel had the reply in the generator's
//! socket: when the generator got a core to read it does not count. What it is too late to send, because it did not get a
//! core, it does not send at all: a burst of its making would fill the server's socket.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use socket2::SockRef;

use crate::sys::{self, Batch, Precedence};

/// How many sockets queries leave from.
const SOCKETS: usize = 8;

/// How long to wait for replies after the last query.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// What came back of the queries of a turn, or of several.
#[derive(Clone, Default)]
pub(crate) struct Replies {
    pub(crate) sent: usize,
    /// Replies with another code than NOERROR.
    pub(crate) refused: usize,
    /// Of each reply, in microseconds; the shortest first where it is of [several turns](Replies::of).
    latencies: Vec<u32>,
}

impl Replies {
    /// Those of several turns.
    pub(crate) fn of<'t>(turns: impl Iterator<Item = &'t Self>) -> Self {
        let mut all = Self::default();
        for turn in turns {
            all.sent += turn.sent;
            all.refused += turn.refused;
            all.latencies.extend(&turn.latencies);
        }
        all.latencies.sort_unstable();
        all
    }

    fn add(&mut self, latency: Duration, code: u8) {
        let microseconds = u32::try_from(latency.as_micros());
        self.latencies.push(microseconds.unwrap_or(u32::MAX));
        self.refused += usize::from(code != 0);
    }

    /// Queries whose replies the generator never saw.
    pub(crate) fn missing(&self) -> usize {
        self.sent - self.latencies.len()
    }

    /// The latency, in microseconds, that `percent` of all replies stay below.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into a list far shorter than 2^52"
        )]
        let index = (self.latencies.len() as f64 * percent / 100.0) as usize;
        self.latencies
            .get(index)
            .map_or(f64::NAN, |&latency| f64::from(latency))
    }
}

/// When each query of a socket left, by its id, in nanoseconds since 1970; 0 where none is on its way.
struct Lane {
    socket: UdpSocket,
    departures: Box<[AtomicU64]>,
}

/// The turns that a load goes through.
#[derive(Clone, Copy)]
pub(crate) struct Turns {
    pub(crate) count: u32,
    pub(crate) length: Duration,
}

/// What came back.
pub(crate) struct Outcome {
    /// By the turn in which the query left.
    pub(crate) turns: Vec<Replies>,
    /// Replies that the generator itself was too late to take, of whatever turn: its sockets were full.
    pub(crate) spilt: usize,
}

/// Sends `queries` over and over, `rate` a second, for as long as the turns take; calls `meanwhile` as each turn begins.
pub(crate) fn run(
    server: SocketAddr,
    queries: &[Vec<u8>],
    rate: u32,
    turns: Turns,
    mut meanwhile: impl FnMut(u32) -> Result<()> + Send,
) -> Result<Outcome> {
    let lanes: Vec<Lane> = (0..SOCKETS)
        .map(|_| Lane::to(server))
        .collect::<Result<_>>()?;
    let load = Load {
        lanes: &lanes,
        queries,
        interval: Duration::from_secs(1) / rate,
        turns,
        begin: now(),
        is_over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let receiver = scope.spawn(|| load.receive());
        let sender = scope.spawn(|| load.send());
        let act = scope.spawn(|| {
            // What it costs to change files is not the server's doing.
            sys::take(Precedence::Last)?;
            (0..turns.count).try_for_each(|turn| {
                let since_begin = now().saturating_sub(load.begin);
                thread::sleep((turns.length * turn).saturating_sub(since_begin));
                meanwhile(turn)
            })
        });
        let sent = sender.join().expect("sending does not panic")?;
        let mut turns = receiver.join().expect("receiving does not panic");
        act.join().expect("what is done meanwhile does not panic")?;
        for (replies, sent) in turns.iter_mut().zip(sent) {
            replies.sent = sent;
        }
        let spilt = lanes.iter().map(Lane::spilt).sum::<Result<_>>()?;
        Ok(Outcome { turns, spilt })
    })
}

/// What the threads of a load share.
struct Load<'l> {
    lanes: &'l [Lane],
    queries: &'l [Vec<u8>],
    interval: Duration,
    turns: Turns,
    /// Since 1970.
    begin: Duration,
    is_over: AtomicBool,
}

impl Load<'_> {
    /// How many queries left in each turn.
    fn send(&self) -> Result<Vec<usize>> {
        // Twelve queries at 50,000 a second.
        const LATEST: Duration = Duration::from_micros(250);
        let taken = sys::take(Precedence::First);
        let time = self.turns.length * self.turns.count;
        let mut due = Duration::ZERO;
        let mut sent = vec![0; self.turns.count as usize];
        for (count, query) in self.queries.iter().cycle().enumerate() {
            let since_begin = now().saturating_sub(self.begin);
            thread::sleep(due.saturating_sub(since_begin));
            due = due.max(since_begin.saturating_sub(LATEST)) + self.interval;
            let departure = now();
            if departure >= self.begin + time {
                break;
            }
            sent[self.turn_of(departure)] += 1;
            let lane = &self.lanes[count % self.lanes.len()];
            lane.send(query, count / self.lanes.len(), departure);
        }
        thread::sleep(LAST_REPLIES);
        self.is_over.store(true, Ordering::Release);
        taken.map(|()| sent)
    }

    /// Receives until it is over.
    fn receive(&self) -> Vec<Replies> {
        // Seldom, so that the server has the cores: the sockets hold what comes in many times as long.
        const INTERVAL: Duration = Duration::from_millis(2);
        let mut batch = Batch::new();
        let mut turns = vec![Replies::default(); self.turns.count as usize];
        // The sender takes precedence, and so does the server: replies can wait.
        let _ = sys::take(Precedence::Last);
        while !self.is_over.load(Ordering::Acquire) {
            for lane in self.lanes {
                lane.receive(&mut batch, |departure, latency, code| {
                    turns[self.turn_of(departure)].add(latency, code);
                });
            }
            thread::sleep(INTERVAL);
        }
        turns
    }

    fn turn_of(&self, departure: Duration) -> usize {
        let turn = departure.saturating_sub(self.begin).as_nanos() / self.turns.length.as_nanos();
        usize::try_from(turn).expect("turns are few")
    }
}

impl Lane {
    fn to(server: SocketAddr) -> Result<Self> {
        const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
        let socket = UdpSocket::bind("127.0.0.1:0").context("bind a socket")?;
        socket.connect(server).context("connect a socket")?;
        socket
            .set_nonblocking(true)
            .context("make a socket non-blocking")?;
        sys::stamp_arrivals(&socket).context("ask for times of arrival")?;
        // The kernel gives as much as it allows.
        SockRef::from(&socket)
            .set_recv_buffer_size(RECEIVE_BUFFER_BYTES)
            .context("enlarge a buffer")?;
        let departures = (0..=u16::MAX).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { socket, departures })
    }

    fn send(&self, query: &[u8], count: usize, departure: Duration) {
        let mut message = [0; 512];
        message[..query.len()].copy_from_slice(query);
        let id = count % self.departures.len();
        let wire_id = u16::try_from(id).expect("there are as many departures as ids");
        message[..2].copy_from_slice(&wire_id.to_be_bytes());
        self.departures[id].store(nanoseconds(departure), Ordering::Release);
        // A query that the kernel does not take counts as lost.
        let _ = self.socket.send(&message[..query.len()]);
    }

    /// How many packets the kernel dropped because the socket was full.
    fn spilt(&self) -> Result<usize> {
        let port = self.socket.local_addr().context("read an address")?.port();
        let sockets = fs::read_to_string("/proc/net/udp").context("list UDP sockets")?;
        let own = format!(":{port:04X}");
        let line = sockets.lines().find(|line| {
            let address = line.split_whitespace().nth(1);
            address.is_some_and(|address| address.ends_with(&own))
        });
        let drops = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
        drops.context("a socket is not in /proc/net/udp")
    }

    /// Takes what is there: when the query left, how long the reply took, and its code.
    fn receive(&self, batch: &mut Batch, mut take: impl FnMut(Duration, Duration, u8)) {
        const CODE: u8 = 0xf;
        while batch.receive(&self.socket).is_ok() {
            for (message, arrival) in batch.packets() {
                let &[id_high, id_low, _, flags, ..] = message else {
                    continue;
                };
                let id = u16::from_be_bytes([id_high, id_low]);
                let departure = self.departures[usize::from(id)].swap(0, Ordering::AcqRel);
                if departure == 0 {
                    continue;
                }
                let departure = Duration::from_nanos(departure);
                let latency = arrival.unwrap_or_else(now).saturating_sub(departure);
                take(departure, latency, flags & CODE);
            }
        }
    }
}

/// The time since 1970, as the kernel stamps packets with it.
fn now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("the clock is past 1970")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("these years fit")
}
