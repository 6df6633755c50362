//! Stands in front of an API server and does what networks, load balancers and servers in need do: freezes, delays, cuts,
//! refuses, and answers something else.

use std::{
    io::{self, BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use super::{
    http::{Body, Head},
    secure::{Certificate, VERSIONS, connect_tls},
};

/// What is said in place of the server, or done to what it says.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, and the seconds of `Retry-After`, if any.
    Answer(u16, Option<u32>),
    /// The body of the answer, and its end in good order, after so many bytes.
    Truncate(usize),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes of the body, and the connection stays.
    Stall(usize),
}

/// One proxy; what went through it ends with it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    server: SocketAddr,
    certificate: Certificate,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many connections there were.
    connections: u64,
    /// On connections below this number nothing passes, and nothing ends.
    frozen_below: u64,
    /// Every connection ends at once.
    is_closed: bool,
    /// How long every piece takes.
    delay: Duration,
    rules: Vec<Rule>,
    /// What was asked, and when.
    requests: Vec<(Instant, String)>,
    /// Both sides of what is open.
    open: Vec<TcpStream>,
}

/// A fault of the requests whose path holds all of these texts, so many times.
struct Rule {
    texts: Vec<String>,
    fault: Fault,
    left: usize,
}

impl Proxy {
    /// In front of `server`, with its certificate.
    pub(crate) fn start(server: SocketAddr, certificate: &Certificate) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let inner = Arc::new(Inner {
            server,
            certificate: certificate.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let inner = Arc::clone(&accepting);
                // Each ends with its connection.
                thread::spawn(move || inner.serve(client));
            }
        });
        Self { address, inner }
    }

    /// Does something to what is asked at paths with these texts, `times` times.
    pub(crate) fn fail(&self, texts: &[&str], fault: Fault, times: usize) {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        let left = times;
        self.inner
            .change(|state| state.rules.push(Rule { texts, fault, left }));
    }

    /// Goes on without any fault.
    pub(crate) fn mend(&self) {
        self.inner.change(|state| {
            state.frozen_below = 0;
            state.is_closed = false;
            state.delay = Duration::ZERO;
            state.rules.clear();
        });
    }

    /// Lets nothing pass from here on, and ends nothing.
    pub(crate) fn freeze(&self) {
        self.inner.change(|state| state.frozen_below = u64::MAX);
    }

    /// Lets nothing pass on what is open, and ends nothing; new connections are served.
    pub(crate) fn freeze_open(&self) {
        self.inner
            .change(|state| state.frozen_below = state.connections);
    }

    /// Holds up every piece for so long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.inner.change(|state| state.delay = delay);
    }

    /// Ends every connection. The next ones are served.
    pub(crate) fn cut(&self) {
        self.inner.change(State::cut);
    }

    /// Ends every connection, the next ones too, as where nobody is behind a load balancer.
    pub(crate) fn close(&self) {
        self.inner.change(|state| {
            state.is_closed = true;
            state.cut();
        });
    }

    /// When something was asked at paths with these texts.
    pub(crate) fn requests(&self, texts: &[&str]) -> Vec<(Instant, String)> {
        let state = self.inner.state();
        let is_meant = |path: &str| texts.iter().all(|text| path.contains(text));
        let requests = state.requests.iter();
        requests
            .filter(|(_, path)| is_meant(path))
            .cloned()
            .collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn cut(&mut self) {
        for stream in self.open.drain(..) {
            // It may be at its end already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.connections += 1;
        self.connections - 1
    }

    /// What happens to a request.
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let is_meant =
            |rule: &&mut Rule| rule.left > 0 && rule.texts.iter().all(|text| path.contains(text));
        let rule = self.rules.iter_mut().find(is_meant)?;
        rule.left -= 1;
        Some(rule.fault.clone())
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Returns once something may pass; fails where nothing will.
    fn pass(&self, number: u64) -> io::Result<()> {
        let is_held = |state: &mut State| number < state.frozen_below && !state.is_closed;
        let state = self.changed.wait_while(self.state(), is_held);
        let (delay, is_closed) = {
            let state = state.unwrap_or_else(PoisonError::into_inner);
            (state.delay, state.is_closed)
        };
        if is_closed {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        thread::sleep(delay);
        Ok(())
    }

    /// Ends with the connection; how is nobody's business but the client's.
    fn serve(&self, client: TcpStream) {
        let _ = self.try_to_serve(client);
    }

    /// Serves one request.
    fn try_to_serve(&self, client: TcpStream) -> io::Result<()> {
        let number = self.state().next_number();
        self.pass(number)?;
        self.remember(&client)?;
        let connection = ServerConnection::new(Arc::new(server_config(&self.certificate)));
        let connection = connection.map_err(io::Error::other)?;
        let mut client = BufReader::new(StreamOwned::new(connection, client));
        let Some(request) = Head::read(&mut client)? else {
            return Ok(());
        };
        let body = Body::below(&request).read(&mut client)?;
        let path = request.second().to_owned();
        let fault = {
            let mut state = self.state();
            state.requests.push((Instant::now(), path.clone()));
            state.fault(&path)
        };
        self.pass(number)?;
        let client = client.get_mut();
        if let Some(Fault::Answer(status, retry_after)) = fault {
            let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n"));
            let head = format!(
                "HTTP/1.1 {status} Trouble\r\n{}Content-Length: 0\r\nConnection: close\r\n\r\n",
                retry_after.unwrap_or_default()
            );
            return end(client, head.as_bytes());
        }
        let mut server = connect_tls(
            self.server,
            self.certificate.client(&["http/1.1"], &VERSIONS),
        );
        server.sock.set_read_timeout(None)?;
        self.remember(&server.sock)?;
        // One request a connection: who asks again connects again.
        let head = request.with(&[("connection", "close")], &["accept-encoding"]);
        server.write_all(head.as_bytes())?;
        server.write_all(&body)?;
        let pass = || self.pass(number);
        pass_on(BufReader::new(server), client, fault.as_ref(), pass)
    }

    /// Holds a side of a connection, so that it can be cut.
    fn remember(&self, stream: &TcpStream) -> io::Result<()> {
        let other = stream.try_clone()?;
        let mut state = self.state();
        if state.is_closed {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        state.open.push(other);
        Ok(())
    }
}

/// Passes an answer on, piece by piece as it comes.
fn pass_on(
    mut server: BufReader<impl io::Read>,
    client: &mut StreamOwned<ServerConnection, TcpStream>,
    fault: Option<&Fault>,
    pass: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let head = Head::read(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut body = Body::below(&head);
    let more = [("transfer-encoding", "chunked"), ("connection", "close")];
    pass()?;
    client.write_all(head.with(&more, &["content-length"]).as_bytes())?;
    client.flush()?;
    let mut left = match fault {
        Some(Fault::Truncate(left) | Fault::Cut(left) | Fault::Stall(left)) => *left,
        _ => usize::MAX,
    };
    while let Some(mut piece) = body.next(&mut server)? {
        let is_last = piece.len() >= left;
        piece.truncate(left);
        left -= piece.len();
        pass()?;
        if !piece.is_empty() {
            write!(client, "{:x}\r\n", piece.len())?;
            client.write_all(&piece)?;
            client.write_all(b"\r\n")?;
            client.flush()?;
        }
        if is_last {
            return match fault {
                Some(Fault::Truncate(_)) => end(client, b"0\r\n\r\n"),
                Some(Fault::Stall(_)) => stall(client),
                _ => client.sock.shutdown(Shutdown::Both),
            };
        }
    }
    end(client, b"0\r\n\r\n")
}

/// Keeps a connection until the client ends it, or the proxy does.
fn stall(client: &mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    client.sock.set_read_timeout(None)?;
    io::copy(client, &mut io::sink())?;
    Ok(())
}

/// Says the last words and that they are the last.
fn end(client: &mut StreamOwned<ServerConnection, TcpStream>, words: &[u8]) -> io::Result<()> {
    client.write_all(words)?;
    client.conn.send_close_notify();
    client.flush()?;
    client.sock.shutdown(Shutdown::Write)
}

fn server_config(certificate: &Certificate) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&VERSIONS)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der()], key)
        .expect("the certificate's own key");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
