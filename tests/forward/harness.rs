//! The binary in front of upstreams, and replies in a form that tests can read.

use std::{path::Path, process::Command};

use hickory_proto::op::Message;
use tempfile::TempDir;

use crate::{
    program::Server,
    serving::{ask_tcp, ask_udp, connect, opt, query, udp_client},
    upstream::Upstream,
};

/// A key of `forward`: with it, an upstream that is slow to reply is not asked again.
pub(crate) const PATIENT: &str = "retryAfter: 1m";

/// RD, as stubs set it.
pub(crate) const RD: u16 = 0x0100;

/// One host, `svc1.internal.com`, with one address.
const MESH: &str = "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc1, namespace: ns1}
spec:
  hosts: [svc1.internal.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
";

/// A server that forwards, and the folder that it runs in.
pub(crate) struct Forwarding {
    pub(crate) server: Server,
    folder: TempDir,
}

impl Forwarding {
    /// Forwards to these upstreams, and asks none twice because this machine is busy.
    pub(crate) fn to(upstreams: &[&str]) -> Self {
        Self::asking(upstreams, &format!("forward: {{{PATIENT}}}\n"))
    }

    /// Forwards to these upstreams, and asks again as soon as it does by default.
    pub(crate) fn eagerly_to(upstreams: &[&str]) -> Self {
        Self::asking(upstreams, "")
    }

    fn asking(upstreams: &[&str], configuration: &str) -> Self {
        let flags: Vec<_> = upstreams
            .iter()
            .flat_map(|upstream| ["--upstream", upstream])
            .collect();
        Self::with(&flags, configuration)
    }

    /// With these flags, and a configuration file of this content.
    pub(crate) fn with(flags: &[&str], configuration: &str) -> Self {
        Self::start(flags, configuration, "", &[])
    }

    /// With these flags, these variables, and a configuration file of this content.
    pub(crate) fn in_environment(
        flags: &[&str],
        variables: &[(&str, &Path)],
        configuration: &str,
    ) -> Self {
        Self::start(flags, configuration, "", variables)
    }

    /// Forwards to this upstream, with these objects in the mesh.
    pub(crate) fn in_mesh(upstream: &Upstream, objects: &[String]) -> Self {
        let configuration = format!(
            "forward: {{upstreams: ['{}'], {PATIENT}}}\n",
            upstream.flag()
        );
        Self::start(&[], &configuration, &objects.join("---\n"), &[])
    }

    /// Forwards to this upstream, which is waited for very long, and may have so many files open.
    pub(crate) fn with_few_files(upstream: &Upstream, files: u32) -> Self {
        let limit = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &limit, env!("CARGO_BIN_EXE_meshdns")]);
        let configuration = format!("forward: {{{PATIENT}, timeout: 1m}}\n");
        Self::run(
            command,
            &["--upstream", &upstream.flag()],
            &configuration,
            "",
            &[],
        )
    }

    fn start(
        flags: &[&str],
        configuration: &str,
        objects: &str,
        variables: &[(&str, &Path)],
    ) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        Self::run(command, flags, configuration, objects, variables)
    }

    fn run(
        mut command: Command,
        flags: &[&str],
        configuration: &str,
        objects: &str,
        variables: &[(&str, &Path)],
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("zones")).expect("a folder in it");
        for (path, text) in [
            ("zones/mesh.yaml", MESH),
            ("zones/objects.yaml", objects),
            ("meshdns.yaml", configuration),
        ] {
            std::fs::write(folder.path().join(path), text).expect("a writable folder");
        }
        command
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--config", "meshdns.yaml"])
            .args(flags);
        let server = Server::start(command);
        Self { server, folder }
    }

    /// Writes a file of the folder that the server runs in.
    pub(crate) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path(path), text).expect("a writable folder");
    }

    pub(crate) fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    /// Asks over UDP for addresses, as a stub does.
    pub(crate) fn ask(&self, name: &str) -> Message {
        self.ask_for(name, 1)
    }

    /// The same for records of any type.
    pub(crate) fn ask_for(&self, name: &str, record_type: u16) -> Message {
        self.send(&query(RD, name, record_type, 1, &edns()))
    }

    /// The addresses of type A or AAAA that it answers `name` with, in order.
    pub(crate) fn addresses(&self, name: &str, record_type: u16) -> Vec<String> {
        let answer = self.ask_for(name, record_type);
        let mut addresses: Vec<_> = answer
            .answers
            .iter()
            .map(|record| record.data.to_string())
            .collect();
        addresses.sort();
        addresses
    }

    /// Reads the configuration file again, and waits until that is done.
    pub(crate) fn reload(&self) {
        let metric = "meshdns_config_reload_total";
        let before: u64 = self.server.metric(metric);
        self.server.signal(rustix::process::Signal::HUP);
        self.server.wait("the file to be read again", || {
            self.server.metric::<u64>(metric) > before
        });
    }

    /// Sends a message over UDP.
    pub(crate) fn send(&self, message: &[u8]) -> Message {
        read(&ask_udp(&udp_client(self.server.dns), message))
    }

    /// Sends a message over TCP.
    pub(crate) fn send_tcp(&self, message: &[u8]) -> Message {
        read(&ask_tcp(&mut connect(self.server.dns), message))
    }
}

/// A ServiceEntry of resolution DNS with this host, whose name is its first label, and these endpoints.
pub(crate) fn service(host: &str, endpoints: &[&str]) -> String {
    let endpoints = endpoints
        .iter()
        .map(|endpoint| format!("{{address: {endpoint}}}"));
    let endpoints: Vec<_> = endpoints.collect();
    entry(
        host,
        "DNS",
        &format!("endpoints: [{}]", endpoints.join(", ")),
    )
}

/// A ServiceEntry with this host, resolution and one more key.
pub(crate) fn entry(host: &str, resolution: &str, key: &str) -> String {
    let (name, _) = host.split_once('.').expect("several labels");
    let name = name.replace("\"*", "any");
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: ns1}}\nspec:\n  hosts: [{host}]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  resolution: {resolution}\n  {key}\n"
    )
}

/// An OPT record without anything special.
pub(crate) fn edns() -> Vec<u8> {
    opt(1232, 0, 0, &[])
}

pub(crate) fn read(message: &[u8]) -> Message {
    Message::from_vec(message).expect("an answer that can be read")
}

/// The answer section, each record as its type, TTL and data.
pub(crate) fn records(message: &Message) -> Vec<String> {
    let records = message.answers.iter();
    records
        .map(|record| format!("{} {} {}", record.record_type(), record.ttl, record.data))
        .collect()
}

/// Checks that the answer is this address alone.
#[track_caller]
pub(crate) fn check_address(message: &Message, last: u8) {
    let found: Vec<_> = message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    assert_eq!(found, [format!("192.0.2.{last}")], "{message:?}");
}

/// The info codes of the extended errors.
pub(crate) fn extended_errors(message: &Message) -> Vec<u16> {
    let options = message.edns.iter().flat_map(|edns| edns.options().as_ref());
    options
        .filter(|(code, _)| u16::from(*code) == 15)
        .map(|(_, data)| {
            let bytes = Vec::<u8>::try_from(data).expect("an option has bytes");
            u16::from_be_bytes([bytes[0], bytes[1]])
        })
        .collect()
}
