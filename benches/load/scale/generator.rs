//! An open-loop generator: queries leave at a fixed rate, whatever comes back, and every reply's latency is kept.
//!
//! A latency is the time from before the system call that sent the query until the kernel had the reply in the generator's
//! socket: when the generator got a core to read it does not count. What it is too late to send, because it did not get a
//! core, it does not send at all: a burst of its making would fill the server's socket.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use socket2::SockRef;

use crate::sys::{self, Batch, Turn};

/// How many sockets queries leave from.
const SOCKETS: usize = 8;

/// How long to wait for replies after the last query.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// What came back.
#[derive(Default)]
pub(super) struct Replies {
    pub(super) sent: usize,
    /// Replies that the generator itself was too late to take: its sockets were full.
    pub(super) spilt: usize,
    /// Replies with another code than NOERROR.
    pub(super) refused: usize,
    /// Of each reply, in microseconds, the shortest first.
    latencies: Vec<u32>,
}

impl Replies {
    /// Queries that the server left without a reply.
    pub(super) fn lost(&self) -> usize {
        (self.sent - self.latencies.len()).saturating_sub(self.spilt)
    }

    /// The latency, in microseconds, that `percent` of all replies stay below.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
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

/// Sends `queries` in turn, `rate` a second for `time`, and does something else meanwhile.
pub(super) fn run<T>(
    server: SocketAddr,
    queries: &[Vec<u8>],
    rate: u32,
    time: Duration,
    meanwhile: impl FnOnce() -> T,
) -> Result<(Replies, T)> {
    let lanes: Vec<Lane> = (0..SOCKETS)
        .map(|_| Lane::to(server))
        .collect::<Result<_>>()?;
    let begin = Instant::now();
    let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&lanes, &over));
        let sender = scope.spawn(|| {
            let taken = sys::take(Turn::Soon);
            send(&lanes, queries, rate, begin, time, &sent);
            thread::sleep(LAST_REPLIES);
            over.store(true, Ordering::Release);
            taken
        });
        let done = meanwhile();
        sender.join().expect("sending does not panic")?;
        let mut replies = receiver.join().expect("receiving does not panic");
        replies.sent = sent.load(Ordering::Acquire);
        replies.spilt = lanes.iter().map(Lane::spilt).sum::<Result<_>>()?;
        Ok((replies, done))
    })
}

fn send(
    lanes: &[Lane],
    queries: &[Vec<u8>],
    rate: u32,
    begin: Instant,
    time: Duration,
    sent: &AtomicUsize,
) {
    // Twelve queries at 50,000 a second.
    const LATEST: Duration = Duration::from_micros(250);
    let interval = Duration::from_secs(1) / rate;
    let mut due = Duration::ZERO;
    for (count, query) in queries.iter().cycle().enumerate() {
        if due >= time {
            sent.store(count, Ordering::Release);
            return;
        }
        let now = begin.elapsed();
        thread::sleep(due.saturating_sub(now));
        due = due.max(now.saturating_sub(LATEST)) + interval;
        let lane = &lanes[count % lanes.len()];
        lane.send(query, count / lanes.len());
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

    fn send(&self, query: &[u8], count: usize) {
        let mut message = [0; 512];
        message[..query.len()].copy_from_slice(query);
        let id = count % self.departures.len();
        let wire_id = u16::try_from(id).expect("there are as many departures as ids");
        message[..2].copy_from_slice(&wire_id.to_be_bytes());
        self.departures[id].store(nanoseconds(now()), Ordering::Release);
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

    /// Takes what is there.
    fn receive(&self, batch: &mut Batch, replies: &mut Replies) {
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
                let latency = nanoseconds(arrival.unwrap_or_else(now)).saturating_sub(departure);
                replies
                    .latencies
                    .push(u32::try_from(latency / 1_000).unwrap_or(u32::MAX));
                replies.refused += usize::from(flags & CODE != 0);
            }
        }
    }
}

/// Receives until it is over.
fn receive(lanes: &[Lane], over: &AtomicBool) -> Replies {
    // Seldom, so that the server has the cores: the sockets hold what comes in many times as long.
    const INTERVAL: Duration = Duration::from_millis(2);
    let (mut batch, mut replies) = (Batch::new(), Replies::default());
    // The sender takes precedence, and so does the server: replies can wait.
    let _ = sys::take(Turn::Later);
    while !over.load(Ordering::Acquire) {
        for lane in lanes {
            lane.receive(&mut batch, &mut replies);
        }
        thread::sleep(INTERVAL);
    }
    replies.latencies.sort_unstable();
    replies
}

/// The time since 1970, as the kernel stamps packets with it.
fn now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("the clock is past 1970")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("these years fit")
}
