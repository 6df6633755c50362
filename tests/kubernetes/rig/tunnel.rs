//! A proxy as companies have it: clients ask it for a way to a server (`CONNECT`), and speak TLS through it.

use std::{
    io::{self, BufReader, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::http::Head;

/// A running proxy.
pub(crate) struct Tunnel {
    pub(crate) address: SocketAddr,
    made: Arc<AtomicUsize>,
}

impl Tunnel {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                // Each ends with its connection; how is the client's business.
                thread::spawn(move || join(client, &count));
            }
        });
        Self { address, made }
    }

    /// How many ways it has made so far.
    pub(crate) fn count(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

/// Leads a client where it wants to go.
fn join(client: TcpStream, count: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let Some(head) = Head::read(&mut reader)? else {
        return Ok(());
    };
    let client = reader.into_inner();
    if !head.first.starts_with("CONNECT ") {
        return (&client).write_all(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n");
    }
    let server = TcpStream::connect(head.second())?;
    count.fetch_add(1, Ordering::Relaxed);
    (&client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass(&from, &to));
    pass(&server, &client)
}

/// Passes bytes on until one side ends.
fn pass(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
