//! An API server that is none: it streams a large cluster from memory, and changes what it is told to change.
//!
//! It knows discovery, lists in pages, lists as streams (`sendInitialEvents`) and watches, over TLS, for the four kinds that are
//! followed. One thread serves a connection, one request after the other.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use super::objects::{Kind, Objects, Size};
use crate::sys::{self, Precedence};

/// How much of an answer is sent at once.
const CHUNK_BYTES: usize = 64 << 10;

/// How often a quiet watch is told that nothing happened.
const BOOKMARKS: Duration = Duration::from_secs(10);

/// A running server.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    /// Who vouches for it.
    pub(super) certificate: String,
    inner: Arc<Inner>,
}

struct Inner {
    size: Size,
    objects: Objects,
    /// Of the newest object.
    version: AtomicU64,
    /// Whether the first Pods of the first services are not ready.
    differs: AtomicBool,
    watches: Mutex<Vec<Watch>>,
    /// Pods that were turned unready.
    turned: Mutex<BTreeSet<usize>>,
    /// How many bytes of objects were sent.
    bytes: AtomicU64,
}

struct Watch {
    kind: Kind,
    news: Sender<News>,
}

/// What a watch is told.
enum News {
    Event(Arc<[u8]>),
    /// That it is too old to go on.
    Expired,
}

impl Fake {
    /// Serves a cluster of this size, with every Pod ready.
    pub(super) fn start(size: Size) -> Result<Self> {
        let key = KeyPair::generate().context("make a key")?;
        let params =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).context("name a certificate")?;
        let certificate = params.self_signed(&key).context("make a certificate")?;
        let private =
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).context("read a key")?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a socket")?;
        let address = listener.local_addr().context("read a socket's address")?;
        let inner = Arc::new(Inner {
            size,
            objects: Objects::new(size),
            version: AtomicU64::new(1_000_000),
            differs: AtomicBool::new(false),
            watches: Mutex::default(),
            turned: Mutex::default(),
            bytes: AtomicU64::new(0),
        });
        let serving = Arc::clone(&inner);
        thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                let (inner, config) = (Arc::clone(&serving), Arc::clone(&config));
                // How a connection ends is the client's business.
                thread::spawn(move || inner.serve(client, config));
            }
        });
        Ok(Self {
            address,
            certificate: certificate.pem(),
            inner,
        })
    }

    /// The shortest and the longest Pod, in bytes.
    pub(super) fn pod_bytes(&self) -> [usize; 2] {
        self.inner.objects.pod_bytes()
    }

    /// How many bytes of objects were sent so far.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.inner.bytes.load(Ordering::Relaxed)
    }

    /// Turns a Pod ready, or not, and tells those who watch.
    pub(super) fn turn(&self, pod: usize, is_ready: bool) {
        if !is_ready {
            self.inner.turned().insert(pod);
        }
        let version = self.inner.version.fetch_add(1, Ordering::Relaxed) + 1;
        let mut event = br#"{"type":"MODIFIED","object":"#.to_vec();
        self.inner
            .objects
            .write(Kind::Pod, pod, version, is_ready, &mut event);
        event.extend_from_slice(b"}\n");
        let event: Arc<[u8]> = event.into();
        self.inner
            .tell(Some(Kind::Pod), || News::Event(Arc::clone(&event)));
    }

    /// Turns every Pod ready that [`Self::turn`] turned unready.
    pub(super) fn settle(&self) {
        let turned = std::mem::take(&mut *self.inner.turned());
        for pod in turned {
            self.turn(pod, true);
        }
    }

    /// The last Pod that differs after [`Self::expire`].
    pub(super) fn last_different(&self) -> usize {
        (DIFFERENT - 1) * self.inner.pods_a_service()
    }

    /// Lets the first Pod of each of `DIFFERENT` services be unready from here on, and ends every watch as too old.
    pub(super) fn expire(&self) {
        self.inner.differs.store(true, Ordering::Relaxed);
        self.inner.version.fetch_add(1000, Ordering::Relaxed);
        self.inner.tell(None, || News::Expired);
    }

    /// How many watches there are.
    pub(super) fn watches(&self) -> usize {
        self.inner.watches().len()
    }
}

/// How many Pods differ after [`Fake::expire`].
pub(super) const DIFFERENT: usize = 10;

type Client = BufReader<StreamOwned<ServerConnection, TcpStream>>;

impl Inner {
    fn watches(&self) -> MutexGuard<'_, Vec<Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.turned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pods_a_service(&self) -> usize {
        self.size.pods.div_ceil(self.size.services.max(1)).max(1)
    }

    /// Tells those who watch this kind, or all; those who have gone are forgotten.
    fn tell(&self, kind: Option<Kind>, news: impl Fn() -> News) {
        self.watches().retain(|watch| {
            let is_meant = kind.is_none_or(|kind| watch.kind == kind);
            !is_meant || watch.news.send(news()).is_ok()
        });
    }

    fn serve(&self, client: TcpStream, config: Arc<ServerConfig>) {
        let Ok(connection) = ServerConnection::new(config) else {
            return;
        };
        // Events are small and shall leave at once.
        let _ = client.set_nodelay(true);
        let mut client = BufReader::new(StreamOwned::new(connection, client));
        while let Ok(Some(target)) = request(&mut client) {
            if self.answer(&target, client.get_mut()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, target: &str, client: &mut impl Write) -> io::Result<()> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(key, value)| (key == name).then_some(value))
        };
        let Some(kind) = Kind::of_path(path) else {
            let (status, body) =
                discovery(path).map_or(("404 Not Found", "{}"), |body| ("200 OK", body));
            return whole(client, status, body.as_bytes());
        };
        if matches!(parameter("watch"), Some("true" | "1")) {
            return self.watch(kind, parameter("sendInitialEvents") == Some("true"), client);
        }
        let number = |name: &str| parameter(name).and_then(|text| text.parse::<usize>().ok());
        let begin = number("continue").unwrap_or(0);
        let end = number("limit").map_or(usize::MAX, |limit| begin.saturating_add(limit));
        self.list(kind, begin, end, client)
    }

    /// A page of a list.
    fn list(
        &self,
        kind: Kind,
        begin: usize,
        end: usize,
        client: &mut impl Write,
    ) -> io::Result<()> {
        let end = end.min(self.size.count(kind));
        let mut meta = format!(
            r#""resourceVersion":"{}""#,
            self.version.load(Ordering::Relaxed)
        );
        if end < self.size.count(kind) {
            let left = self.size.count(kind) - end;
            write!(meta, r#","continue":"{end}","remainingItemCount":{left}"#)
                .expect("a string can be written to");
        }
        let mut body = Chunks::begin(client)?;
        let head = format!(
            r#"{{"kind":"{kind:?}List","apiVersion":"{}","metadata":{{{meta}}},"items":["#,
            kind.api_version()
        );
        body.text.extend_from_slice(head.as_bytes());
        let mut object = Vec::new();
        for number in begin..end {
            if number > begin {
                body.text.push(b',');
            }
            object.clear();
            self.write(kind, number, &mut object);
            let written = match object.strip_prefix(br#"{"apiVersion":"v1","kind":"Pod","#) {
                // A real server leaves that out in lists of its own kinds.
                Some(rest) => {
                    body.text.push(b'{');
                    rest
                }
                None => &object,
            };
            body.text.extend_from_slice(written);
            body.send_if_full()?;
        }
        body.text.extend_from_slice(b"]}");
        body.end()?;
        self.bytes.fetch_add(body.sent, Ordering::Relaxed);
        Ok(())
    }

    /// A watch; with `all` it begins with everything there is.
    fn watch(&self, kind: Kind, all: bool, client: &mut impl Write) -> io::Result<()> {
        let (news, told) = mpsc::channel();
        self.watches().push(Watch { kind, news });
        let mut body = Chunks::begin(client)?;
        if all {
            for number in 0..self.size.count(kind) {
                body.text.extend_from_slice(br#"{"type":"ADDED","object":"#);
                self.write(kind, number, &mut body.text);
                body.text.extend_from_slice(b"}\n");
                body.send_if_full()?;
            }
            let end = r#","annotations":{"k8s.io/initial-events-end":"true"}"#;
            body.text
                .extend_from_slice(self.bookmark(kind, end).as_bytes());
        }
        body.send()?;
        self.bytes.fetch_add(body.sent, Ordering::Relaxed);
        self.follow(kind, &told, &mut body)
    }

    /// Passes on what happens until the watch is too old, or nobody reads.
    fn follow(
        &self,
        kind: Kind,
        told: &Receiver<News>,
        body: &mut Chunks<impl Write>,
    ) -> io::Result<()> {
        // As for files that change: who tells of it is not the server's work. The kernel may refuse.
        let _ = sys::take(Precedence::Last);
        loop {
            match told.recv_timeout(BOOKMARKS) {
                Ok(News::Event(event)) => body.text.extend_from_slice(&event),
                Ok(News::Expired) => {
                    let gone = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}"#;
                    body.text.extend_from_slice(gone.as_bytes());
                    body.text.push(b'\n');
                    return body.end();
                }
                Err(RecvTimeoutError::Timeout) => {
                    let bookmark = self.bookmark(kind, "");
                    body.text.extend_from_slice(bookmark.as_bytes());
                }
                Err(RecvTimeoutError::Disconnected) => return body.end(),
            }
            body.send()?;
        }
    }

    fn bookmark(&self, kind: Kind, more: &str) -> String {
        format!(
            "{{\"type\":\"BOOKMARK\",\"object\":{{\"kind\":\"{kind:?}\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{}\"{more}}}}}}}\n",
            kind.api_version(),
            self.version.load(Ordering::Relaxed)
        )
    }

    fn write(&self, kind: Kind, number: usize, into: &mut Vec<u8>) {
        let each = self.pods_a_service();
        let is_first =
            kind == Kind::Pod && number.is_multiple_of(each) && number / each < DIFFERENT;
        let is_ready = !(is_first && self.differs.load(Ordering::Relaxed));
        // Each object keeps the version that it was written with, unless it differs.
        let version = if is_ready {
            100_000 + number as u64
        } else {
            1_000_500
        };
        self.objects.write(kind, number, version, is_ready, into);
    }
}

/// The target of the next request; `None` where there is none.
fn request(client: &mut Client) -> io::Result<Option<String>> {
    let mut line = String::new();
    client.by_ref().take(1 << 16).read_line(&mut line)?;
    let target = line.split(' ').nth(1).map(str::to_owned);
    loop {
        line.clear();
        client.by_ref().take(1 << 16).read_line(&mut line)?;
        if line.trim_end().is_empty() {
            return Ok(target);
        }
    }
}

fn whole(client: &mut impl Write, status: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body)?;
    client.flush()
}

/// What kinds there are, as the old form of discovery tells it.
fn discovery(path: &str) -> Option<&'static str> {
    Some(match path {
        "/version" => {
            r#"{"major":"1","minor":"37","gitVersion":"v1.37.0","platform":"linux/amd64"}"#
        }
        "/api" => r#"{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]}"#,
        "/apis" => {
            r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"networking.istio.io","versions":[{"groupVersion":"networking.istio.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"networking.istio.io/v1","version":"v1"}}]}"#
        }
        "/apis/networking.istio.io" => {
            r#"{"kind":"APIGroup","apiVersion":"v1","name":"networking.istio.io","versions":[{"groupVersion":"networking.istio.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"networking.istio.io/v1","version":"v1"}}"#
        }
        "/api/v1" => {
            r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list","watch"]}]}"#
        }
        "/apis/networking.istio.io/v1" => {
            r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"networking.istio.io/v1","resources":[{"name":"serviceentries","singularName":"serviceentry","namespaced":true,"kind":"ServiceEntry","verbs":["get","list","watch"]},{"name":"workloadentries","singularName":"workloadentry","namespaced":true,"kind":"WorkloadEntry","verbs":["get","list","watch"]},{"name":"workloadgroups","singularName":"workloadgroup","namespaced":true,"kind":"WorkloadGroup","verbs":["get","list","watch"]}]}"#
        }
        _ => return None,
    })
}

/// A body in chunks.
struct Chunks<'c, W> {
    client: &'c mut W,
    text: Vec<u8>,
    sent: u64,
}

impl<'c, W: Write> Chunks<'c, W> {
    fn begin(client: &'c mut W) -> io::Result<Self> {
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        Ok(Self {
            client,
            text: Vec::with_capacity(2 * CHUNK_BYTES),
            sent: 0,
        })
    }

    fn send_if_full(&mut self) -> io::Result<()> {
        if self.text.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        if !self.text.is_empty() {
            write!(self.client, "{:x}\r\n", self.text.len())?;
            self.client.write_all(&self.text)?;
            self.client.write_all(b"\r\n")?;
            self.sent += self.text.len() as u64;
            self.text.clear();
        }
        self.client.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.send()?;
        self.client.write_all(b"0\r\n\r\n")?;
        self.client.flush()
    }
}
