//! A fleet of VMs on loopback addresses, each a listener that does what a script says.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

/// How long a test waits for anything, on a machine as busy as it may be.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What a VM does with each connection.
type Script = Box<dyn Fn(TcpStream, &Arc<Seen>) + Send + Sync>;

/// One port of a VM.
pub(crate) struct Vm {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

/// What a VM has met with.
#[derive(Default)]
pub(crate) struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Default)]
struct State {
    connections: usize,
    ended: usize,
    last_peer: Option<IpAddr>,
    requests: Vec<String>,
}

impl Vm {
    /// Listens on `ip`, at a port that is free.
    pub(crate) fn at(
        ip: &str,
        script: impl Fn(TcpStream, &Arc<Seen>) + Send + Sync + 'static,
    ) -> Self {
        Self::on(ip, 0, script).expect("a port is free")
    }

    /// Listens on `ip` at this port.
    pub(crate) fn on(
        ip: &str,
        port: u16,
        script: impl Fn(TcpStream, &Arc<Seen>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let ip: IpAddr = ip.parse().expect("an address");
        let listener = TcpListener::bind((ip, port))?;
        let address = listener.local_addr().expect("it is bound");
        let (seen, is_over) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let (shown, over) = (seen.clone(), is_over.clone());
        let script: Arc<Script> = Arc::new(Box::new(script));
        let accepting = thread::spawn(move || {
            loop {
                let (stream, from) = listener.accept().expect("a connection");
                if over.load(Ordering::SeqCst) {
                    return;
                }
                shown.change(|state| {
                    state.connections += 1;
                    state.last_peer = Some(from.ip());
                });
                let (script, shown) = (script.clone(), shown.clone());
                thread::spawn(move || {
                    script(stream, &shown);
                    shown.change(|state| state.ended += 1);
                });
            }
        });
        Ok(Self {
            address,
            seen,
            is_over,
            listener: Some(accepting),
        })
    }

    /// Answers each request with `reply`, and closes.
    pub(crate) fn replying(ip: &str, reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::at(ip, move |mut stream, seen| {
            seen.read_request(&mut stream);
            let _ = stream.write_all(&reply);
        })
    }

    /// Answers each request with `reply`, and then neither speaks nor closes.
    pub(crate) fn hanging_after(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::at("127.8.0.1", move |mut stream, seen| {
            seen.read_request(&mut stream);
            let _ = stream.write_all(&reply);
            wait_for_end(stream);
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().connections
    }

    /// Where the last connection came from.
    pub(crate) fn last_peer(&self) -> Option<IpAddr> {
        self.seen.lock().last_peer
    }

    /// The heads of all requests, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().requests.clone()
    }

    /// Waits until so many connections were made.
    pub(crate) fn wait_for_connections(&self, count: usize) {
        self.seen
            .wait("connections", |state| state.connections >= count);
    }

    /// Waits until the script is through with all connections.
    pub(crate) fn wait_for_ends(&self) {
        self.seen
            .wait("ends", |state| state.ended == state.connections);
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It wakes up for one that it does not count.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let ended = listener.join();
            assert!(ended.is_ok() || thread::panicking(), "a VM broke");
        }
    }
}

impl Seen {
    /// Reads the head of a request, and keeps it.
    pub(crate) fn read_request(&self, stream: &mut impl Read) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).expect("requests are text");
        self.note(head);
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.lock().requests.len()
    }

    pub(crate) fn note(&self, request: String) {
        self.change(|state| state.requests.push(request));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !condition(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(condition(&state), "waited too long for {what}");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the other side is gone.
pub(crate) fn wait_for_end(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

/// Ends a connection with a reset.
pub(crate) fn reset(stream: TcpStream) {
    let socket = SockRef::from(&stream);
    let lingering = socket.set_linger(Some(Duration::ZERO));
    lingering.expect("a socket can be told so");
    drop(stream);
}

/// A port that nobody listens at.
pub(crate) fn closed_port(ip: &str) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// A port whose queue of connections is full, so that the kernel drops who wants to connect.
pub(crate) struct FullQueue {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _waiting: TcpStream,
}

impl FullQueue {
    pub(crate) fn new(ip: &str) -> Self {
        Self::on(ip, 0)
    }

    pub(crate) fn on(ip: &str, port: u16) -> Self {
        let ip: IpAddr = ip.parse().expect("an address");
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let bound = listener.bind(&SocketAddr::new(ip, port).into());
        bound.expect("a port is free");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().expect("it is bound").as_socket();
        let address = address.expect("an address");
        let waiting = TcpStream::connect(address).expect("the queue has one place");
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}
