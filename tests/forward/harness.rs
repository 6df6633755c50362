//! The binary in front of upstreams, and replies in a form that tests can read.

use std::{path::Path, process::Command};

use hickory_proto::op::Message;
use tempfile::TempDir;

use crate::{
    program::Server,
    serving::{ask_tcp, ask_udp, connect, opt, query, udp_client},
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
        Self::start(flags, configuration, &[])
    }

    /// With these flags, and these variables.
    pub(crate) fn in_environment(flags: &[&str], variables: &[(&str, &Path)]) -> Self {
        Self::start(flags, "", variables)
    }

    fn start(flags: &[&str], configuration: &str, variables: &[(&str, &Path)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("zones")).expect("a folder in it");
        for (path, text) in [("zones/mesh.yaml", MESH), ("meshdns.yaml", configuration)] {
            std::fs::write(folder.path().join(path), text).expect("a writable folder");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
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
        self.send(&query(RD, name, 1, 1, &edns()))
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
