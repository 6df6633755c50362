//! A real API server above a real etcd, on loopback ports and with everything that it needs made anew.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio, id},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use io::{Read as _, Write as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    PATIENCE,
    api::Api,
    needs::{self, Need},
    objects::{KINDS, VERSIONS, definition},
    secure::Certificate,
};

/// Who may do everything.
pub(crate) const ADMIN_TOKEN: &str = "admin-token";

/// A user who may do what a test grants.
pub(crate) const USER: &str = "meshdns";
pub(crate) const USER_TOKEN: &str = "meshdns-token";

/// Debian's, which is too old for lists as streams.
const ETCD: &str = "etcd";

/// What `scripts/build-go-program.sh etcd` builds.
const ETCD_WITH_STREAMS: &str = "meshdns-etcd";

/// An API server.
pub(crate) struct Cluster {
    folder: TempDir,
    etcd: SocketAddr,
    etcd_process: Mutex<Option<Process>>,
    process: Mutex<Option<Process>>,
    certificate: Certificate,
    /// Who vouches for clients that have a certificate.
    clients: CertifiedIssuer<'static, KeyPair>,
    pub(crate) address: SocketAddr,
    /// A client that may do everything.
    pub(crate) api: Api,
}

impl Cluster {
    /// The server that tests share, each in namespaces of its own, with Istio's kinds; `None` where this machine can't have
    /// one. It ends with the process.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        is_possible().then(|| {
            SHARED.get_or_init(|| {
                let cluster = Self::start();
                cluster.define_all();
                cluster
            })
        })
    }

    /// A server for one test, without any kind of Istio's; `None` where this machine can't have one.
    pub(crate) fn own() -> Option<Self> {
        is_possible().then(Self::start)
    }

    /// The same above an etcd that is new enough for lists as streams.
    pub(crate) fn own_with_streams() -> Option<Self> {
        let is_possible = is_possible() && needs::met(&[Need::Program("meshdns-etcd --version")]);
        is_possible.then(|| Self::start_above(ETCD_WITH_STREAMS))
    }

    fn start() -> Self {
        Self::start_above(ETCD)
    }

    fn start_above(etcd: &'static str) -> Self {
        // In memory: what is lost with the machine is no loss, and a slow disk holds nobody up.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a temporary folder");
        let certificate = Certificate::new();
        certificate.write(folder.path());
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let clients = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let clients = clients.expect("a certificate");
        let tokens =
            format!("{ADMIN_TOKEN},admin,admin,system:masters\n{USER_TOKEN},{USER},{USER}\n");
        let files = [
            ("accounts.key", key.serialize_pem()),
            ("accounts.pub", key.public_key_pem()),
            ("clients.crt", clients.pem()),
            ("tokens", tokens),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a new file");
        }
        let address = free_address();
        let cluster = Self {
            etcd: free_address(),
            etcd_process: Mutex::default(),
            process: Mutex::default(),
            api: Api::new(address, certificate.clone(), ADMIN_TOKEN),
            address,
            certificate,
            clients,
            folder,
        };
        cluster.start_etcd(etcd);
        cluster.start_server();
        cluster
    }

    fn start_etcd(&self, program: &str) {
        let url = format!("http://{}", self.etcd);
        let peers = format!("http://{}", free_address());
        let process = Process::start(
            self.folder.path(),
            program,
            &[
                "--data-dir=data",
                &format!("--listen-client-urls={url}"),
                &format!("--advertise-client-urls={url}"),
                &format!("--listen-peer-urls={peers}"),
                &format!("--initial-advertise-peer-urls={peers}"),
                &format!("--initial-cluster=default={peers}"),
                "--log-level=warn",
            ],
        );
        wait(program, self.folder.path(), || {
            TcpStream::connect(self.etcd).is_ok()
        });
        *lock(&self.etcd_process) = Some(process);
    }

    /// Starts the server again after [`Self::stop_server`], at the same address and with the same objects.
    pub(crate) fn start_server(&self) {
        let process = Process::start(
            self.folder.path(),
            "kube-apiserver",
            &[
                &format!("--etcd-servers=http://{}", self.etcd),
                "--bind-address=127.0.0.1",
                &format!("--secure-port={}", self.address.port()),
                "--tls-cert-file=tls.crt",
                "--tls-private-key-file=tls.key",
                "--token-auth-file=tokens",
                "--client-ca-file=clients.crt",
                "--authorization-mode=RBAC",
                "--anonymous-auth=false",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-account-key-file=accounts.pub",
                "--service-account-signing-key-file=accounts.key",
                "--service-cluster-ip-range=10.96.0.0/16",
                // There is no controller that makes a service account in each namespace, and nobody to be told the address.
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
                "--advertise-address=192.0.2.1",
            ],
        );
        *lock(&self.process) = Some(process);
        wait("kube-apiserver", self.folder.path(), || {
            TcpStream::connect(self.address).is_ok()
                && self
                    .api
                    .send("GET", "/readyz", "text/plain", &Value::Null)
                    .is_ok_and(|reply| reply.status == 200)
        });
    }

    /// Kills the server; etcd keeps the objects.
    pub(crate) fn stop_server(&self) {
        *lock(&self.process) = None;
    }

    /// Makes the server serve Istio's kinds, as Istio's installation does.
    pub(crate) fn define_all(&self) {
        for (kind, plural) in KINDS {
            self.define(kind, plural, &VERSIONS);
        }
    }

    /// Makes the server serve one kind at these versions; returns when it does.
    pub(crate) fn define(&self, kind: &str, plural: &str, versions: &[&str]) {
        self.api.create(&definition(kind, plural, versions));
        self.wait_until_served(plural, versions);
    }

    /// Waits until a kind of Istio's can be listed at these versions.
    pub(crate) fn wait_until_served(&self, plural: &str, versions: &[&str]) {
        wait(plural, self.folder.path(), || {
            versions.iter().all(|version| {
                let path = format!("/apis/networking.istio.io/{version}/{plural}");
                let reply = self.api.send("GET", &path, "", &Value::Null);
                reply.is_ok_and(|reply| reply.status == 200)
            })
        });
    }

    /// Waits until a kind of Istio's is not served at a version.
    pub(crate) fn wait_until_not_served(&self, version: &str, plural: &str) {
        let path = format!("/apis/networking.istio.io/{version}/{plural}");
        self.wait_until_not_found(&path);
    }

    /// Waits until the definition of a kind of Istio's is deleted with all of its objects.
    pub(crate) fn wait_until_gone(&self, plural: &str) {
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.wait_until_not_found(&format!("{definitions}/{plural}.networking.istio.io"));
    }

    fn wait_until_not_found(&self, path: &str) {
        wait(path, self.folder.path(), || {
            let reply = self.api.send("GET", path, "", &Value::Null);
            reply.is_ok_and(|reply| reply.status == 404)
        });
    }

    /// Makes etcd forget all but the newest version of everything, which the server only notices when it starts again.
    pub(crate) fn compact(&self) {
        let ask = |path: &str, body: &Value| {
            let body = body.to_string();
            let length = body.len();
            let request = format!(
                "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let mut stream = TcpStream::connect(self.etcd).expect("etcd listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            let mut reply = String::new();
            stream.read_to_string(&mut reply).expect("it answers");
            let (_, body) = reply.split_once("\r\n\r\n").expect("a body");
            let body: Value = serde_json::from_str(body).expect("JSON");
            body
        };
        // etcd takes keys in base64; this one is a zero byte.
        let newest = ask("/v3/kv/range", &json!({"key": "AA=="}))["header"]["revision"].take();
        ask(
            "/v3/kv/compaction",
            &json!({"revision": newest, "physical": true}),
        );
    }

    /// A client with a token of its own.
    pub(crate) fn api_as(&self, token: &str) -> Api {
        Api::new(self.address, self.certificate.clone(), token)
    }

    /// A certificate and its key of somebody who may do everything.
    pub(crate) fn client_certificate(&self) -> [String; 2] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "admin");
        name.push(DnType::OrganizationName, "system:masters");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let made = params.signed_by(&key, &self.clients);
        [made.expect("a certificate").pem(), key.serialize_pem()]
    }

    /// What speaks for this server, and for what stands in front of it.
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// A file that leads `kubectl` and its like to `server` as somebody.
    pub(crate) fn kubeconfig(&self, server: SocketAddr, user: &Value) -> Kubeconfig {
        Kubeconfig::new(
            &json!({
                "server": format!("https://{server}"),
                "certificate-authority-data": base64(self.certificate.pem.as_bytes()),
            }),
            user,
        )
    }

    /// The same for this server, as the one who may do everything.
    pub(crate) fn admin(&self) -> Kubeconfig {
        self.admin_at(self.address)
    }

    pub(crate) fn admin_at(&self, server: SocketAddr) -> Kubeconfig {
        self.kubeconfig(server, &json!({"token": ADMIN_TOKEN}))
    }
}

/// A kubeconfig file with one context, which goes with the test.
pub(crate) struct Kubeconfig {
    folder: TempDir,
}

impl Kubeconfig {
    /// The name of its context, and of its cluster.
    pub(crate) const CONTEXT: &str = "prod";

    pub(crate) fn new(cluster: &Value, user: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = Self::CONTEXT;
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "user"}}],
        });
        let made = Self { folder };
        // JSON is YAML.
        fs::write(made.path(), text.to_string()).expect("a new file");
        made
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("config")
    }
}

/// Bytes as kubeconfig files hold them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

fn is_possible() -> bool {
    needs::met(&[
        Need::Program("etcd --version"),
        Need::Program("kube-apiserver --version"),
    ])
}

/// A program that ends with this value, and with this process however that ends.
struct Process {
    shell: Child,
}

impl Process {
    /// Starts a program in `folder`, where it writes its log.
    fn start(folder: &Path, program: &str, arguments: &[&str]) -> Self {
        let log = File::options()
            .append(true)
            .create(true)
            .open(log_path(folder, program))
            .expect("a new file");
        // The shell reads from a pipe that nobody writes to: it goes on when we end, and ends the program by its id. A signal to
        // all of us does the same.
        let script = r#"trap : HUP INT TERM; "$@" </dev/null & read -r _; kill -KILL $!; wait"#;
        let shell = Command::new("sh")
            .args(["-c", script, "sh", program])
            .args(arguments)
            .current_dir(folder)
            .env("PATH", needs::path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a descriptor is free"))
            .stderr(log)
            .spawn()
            .expect("a shell");
        Self { shell }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It may have ended by itself.
        let _ = self.shell.wait();
    }
}

fn log_path(folder: &Path, program: &str) -> PathBuf {
    folder.join(format!("{program}.log"))
}

/// Waits until a server does something.
#[track_caller]
fn wait(what: &str, folder: &Path, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        let logs = || {
            let logs = [ETCD, ETCD_WITH_STREAMS, "kube-apiserver"]
                .map(|program| log_path(folder, program));
            logs.map(|path| fs::read_to_string(path).unwrap_or_default())
                .concat()
        };
        let has_ended = logs().contains("\"command failed\"");
        let is_late = start.elapsed() > PATIENCE;
        assert!(!has_ended && !is_late, "no {what}:\n{}", logs());
        thread::sleep(Duration::from_millis(20));
    }
}

/// An address that nobody listens at, outside of the range from which the kernel takes ports for connections.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    // Tests that run beside this one in another process begin elsewhere.
    let begin = u16::try_from(id() * 37 % u32::from(COUNT)).expect("less than that");
    loop {
        let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + place));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
