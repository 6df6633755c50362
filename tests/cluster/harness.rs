//! A server under test that follows an API server of ours, and questions to it.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    ops::{Deref, DerefMut},
    path::PathBuf,
    process::{Command, Output},
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};

use crate::{
    api::Api,
    program::{PATIENCE, Server},
};

/// A folder with what leads to API servers.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).expect("a new file");
        path
    }

    /// A kubeconfig with the context `test`, which leads to `api`.
    pub(crate) fn kubeconfig(&self, api: &Api) -> PathBuf {
        self.kubeconfig_with(api, "token: secret")
    }

    /// The same for a user with these credentials.
    pub(crate) fn kubeconfig_with(&self, api: &Api, user: &str) -> PathBuf {
        self.write(
            "kubeconfig",
            &kubeconfig(&format!("http://{}", api.address), user),
        )
    }
}

pub(crate) fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: \"{server}\"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{{user}}}}}]
"
    )
}

/// The binary, in an environment that leads to no cluster.
pub(crate) fn meshdns(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
    command
        .args(arguments)
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("NO_PROXY", "*")
        .env("HOME", "/nonexistent");
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    meshdns(arguments).output().expect("the binary starts")
}

/// A running server.
pub(crate) struct Mesh {
    server: Server,
    socket: UdpSocket,
}

impl Mesh {
    /// Follows `api` and waits until it is ready.
    pub(crate) fn start(place: &Place, api: &Api) -> Self {
        Self::start_with(place, api, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(place: &Place, api: &Api, arguments: &[&str]) -> Self {
        let kubeconfig = format!("--kubeconfig={}", place.kubeconfig(api).display());
        let mut all = vec!["--kubernetes", &kubeconfig];
        all.extend(arguments);
        Self::start_as(&all)
    }

    /// Serves with these arguments and waits until it is ready.
    pub(crate) fn start_as(arguments: &[&str]) -> Self {
        Self::of(Server::start(command(arguments)))
    }

    /// The same without waiting until it is ready.
    pub(crate) fn begin(arguments: &[&str]) -> Self {
        let mut server = Server::spawn(command(arguments));
        server.http = server.address_in_log("serving /health, /ready and /metrics");
        server.dns = server.address_in_log("answering over UDP and TCP");
        Self::of(server)
    }

    fn of(server: Server) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self { server, socket }
    }

    /// The addresses of `name`, ascending; `None` where the name is not there. A query without a reply fails the test.
    pub(crate) fn answers(&self, name: &str) -> Option<BTreeSet<IpAddr>> {
        let mut query = Message::query();
        let name = Name::from_ascii(name).expect("a name");
        query.add_query(Query::query(name, RecordType::A));
        let query = query.to_vec().expect("a message");
        self.socket.send_to(&query, self.dns).expect("a socket");
        let mut reply = [0; 4096];
        let length = self
            .socket
            .recv(&mut reply)
            .expect("every query has a reply");
        let reply = Message::from_vec(&reply[..length]).expect("a well-formed reply");
        let addresses = reply.answers.iter();
        let addresses = addresses.filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
        (reply.metadata.response_code == ResponseCode::NoError).then(|| addresses.collect())
    }

    /// Waits until `name` has exactly these addresses.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, addresses: &[&str]) {
        let expected = set_of(addresses);
        self.wait(&format!("{name} at {addresses:?}"), || {
            self.answers(name).as_ref() == Some(&expected)
        });
    }

    /// Waits until `name` is not there.
    #[track_caller]
    pub(crate) fn wait_for_none(&self, name: &str) {
        self.wait(&format!("no {name}"), || self.answers(name).is_none());
    }

    /// Checks that `name` has exactly these addresses.
    #[track_caller]
    pub(crate) fn has(&self, name: &str, addresses: &[&str]) {
        assert_eq!(self.answers(name), Some(set_of(addresses)), "{name}");
    }

    /// Waits until a metric of this kind of the only cluster is at least `least`.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, kind: &str, least: f64) {
        let name = format!("meshdns_cluster_{name}{{cluster=\"kubernetes\",kind=\"{kind}\"}}");
        self.wait(&format!("{name} {least}"), || {
            self.metric::<f64>(&name) >= least
        });
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut all = vec!["serve"];
    all.extend(arguments);
    all.extend([
        "--workers=1",
        "--listen=127.0.0.1:0",
        "--http=127.0.0.1:0",
        "--log-level=info,meshdns::source=debug",
    ]);
    meshdns(&all)
}

impl DerefMut for Mesh {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Deref for Mesh {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn set_of(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses
        .iter()
        .map(|address| address.parse().expect("an address"))
        .collect()
}
