//! A hundred thousand VMs: one listener on every address of the loopback interface.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
};

use super::Method;
use crate::sys::{self, Precedence};

/// The steps in which connections are counted.
pub(super) const STEP: Duration = Duration::from_millis(100);

/// How many steps there are room for: longer than anything takes.
const STEPS: usize = 10_000;

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// The VMs, for as long as the process lives.
pub(super) struct Fleet {
    pub(super) port: u16,
    counts: Arc<Counts>,
}

struct Counts {
    since: Instant,
    steps: Box<[AtomicU32]>,
}

impl Fleet {
    pub(super) fn start(method: Method) -> Result<Self> {
        let listener = listen().context("listen for probes")?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts {
            since: Instant::now(),
            steps: (0..STEPS).map(|_| AtomicU32::new(0)).collect(),
        });
        let counted = counts.clone();
        thread::spawn(move || {
            // Who answers queries goes first, as on a machine of its own.
            let served = sys::take(Precedence::Late).and_then(|()| match method {
                Method::Tcp => accept(&listener, &counted),
                Method::Http => serve(listener, &counted),
            });
            served.expect("the fleet serves until the process ends");
        });
        Ok(Self { port, counts })
    }

    /// How many connections there were in each of the steps since so many of them, the last, which is not over, left out.
    pub(super) fn steps_since(&self, step: usize) -> Vec<u32> {
        let now = self.step();
        let steps = self.counts.steps.get(step..now).unwrap_or_default();
        steps.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// The step that it is.
    pub(super) fn step(&self) -> usize {
        self.counts.step()
    }
}

impl Counts {
    fn step(&self) -> usize {
        let step = self.since.elapsed().as_millis() / STEP.as_millis();
        usize::try_from(step).map_or(STEPS - 1, |step| step.min(STEPS - 1))
    }

    fn count(&self) {
        self.steps[self.step()].fetch_add(1, Relaxed);
    }
}

fn listen() -> Result<TcpListener> {
    const WAITING: i32 = 4096;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.listen(WAITING)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, counts: &Counts) -> Result<()> {
    loop {
        let (_closed, _) = listener.accept()?;
        counts.count();
    }
}

fn serve(listener: TcpListener, counts: &Counts) -> Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            counts.count();
            tokio::spawn(answer(stream));
        }
    })
}

/// Answers one request. Where it fails, the probe that sent it counts the failure.
async fn answer(mut stream: TcpStream) {
    let mut request = [0; 1024];
    if stream.read(&mut request).await.is_ok() && stream.write_all(REPLY).await.is_ok() {
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut request).await;
    }
}
