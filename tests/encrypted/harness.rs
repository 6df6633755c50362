//! The binary with a listener of each kind.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use crate::{
    program,
    secure::{Certificate, TlsStream, VERSIONS, connect_tls, https::Https, quic::Quic},
    serving::{framed, query},
};

/// Hosts with one, three, 100 and 4,000 addresses.
fn mesh() -> String {
    let hosts = [("one", 1), ("three", 3), ("hundred", 100), ("huge", 4000)];
    let entries = hosts.map(|(name, count)| {
        let endpoints: Vec<_> = (0..count)
            .map(|number| format!("{{address: 10.1.{}.{}}}", number / 250, number % 250))
            .collect();
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: ns1}}
spec:
  hosts: [{name}.internal.com]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{}]
",
            endpoints.join(", ")
        )
    });
    entries.concat()
}

/// A folder to run in, with a mesh and a certificate.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) certificate: Certificate,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(Certificate::new())
    }

    pub(crate) fn with(certificate: Certificate) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("zones")).expect("a folder in it");
        certificate.write(folder.path());
        let place = Self {
            folder,
            certificate,
        };
        place.write("zones/mesh.yaml", &mesh());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a writable folder");
    }

    /// The binary in this folder.
    pub(crate) fn meshdns(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .args(arguments);
        command
    }
}

/// A server with a listener of each kind.
pub(crate) struct Server {
    pub(crate) place: Place,
    pub(crate) program: program::Server,
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) quic: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with("", &[])
    }

    /// With a configuration file of this content, and these flags.
    pub(crate) fn with(configuration: &str, flags: &[&str]) -> Self {
        Self::at(Place::new(), configuration, flags)
    }

    pub(crate) fn at(place: Place, configuration: &str, flags: &[&str]) -> Self {
        place.write("meshdns.yaml", configuration);
        let mut command = place.meshdns(&["serve", "--config", "meshdns.yaml"]);
        command
            .args(["--http", "127.0.0.1:0", "--zone", "internal.com"])
            .args(["--listen", "127.0.0.1:0", "--listen", "tls://127.0.0.1:0"])
            .args(["--listen", "https://127.0.0.1:0"])
            .args(["--listen", "quic://127.0.0.1:0"])
            .args(flags);
        if !configuration.contains("certificate:") {
            command.args(["--tls-certificate", "tls.crt", "--tls-key", "tls.key"]);
        }
        let program = program::Server::start(command);
        Self {
            tls: program.address_in_log("answering over TLS"),
            https: program.address_in_log("answering over HTTPS"),
            quic: program.address_in_log("answering over QUIC"),
            place,
            program,
        }
    }

    /// A client over TLS as most are.
    pub(crate) fn tls(&self) -> TlsStream {
        let config = self.place.certificate.client(&["dot"], &VERSIONS);
        connect_tls(self.tls, config)
    }

    pub(crate) fn https(&self, is_http2: bool) -> Https {
        Https::connect(self.https, &self.place.certificate, is_http2)
    }

    pub(crate) fn quic(&self) -> Quic {
        Quic::connect(self.quic, &self.place.certificate)
    }
}

/// A query for A with id 0, with an OPT record if `edns` is one.
pub(crate) fn ask_for(name: &str, edns: &[u8]) -> Vec<u8> {
    let mut message = query(0x0100, name, 1, 1, edns);
    message[..2].copy_from_slice(&[0, 0]);
    message
}

/// Sends a message behind its length.
pub(crate) fn send(stream: &mut impl Write, message: &[u8]) {
    stream.write_all(&framed(message)).expect("a sent query");
    stream.flush().expect("a sent query");
}

/// Reads a message behind its length; `None` where the connection ends.
pub(crate) fn receive(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Asks and gets an answer.
#[track_caller]
pub(crate) fn exchange(stream: &mut (impl Read + Write), message: &[u8]) -> Vec<u8> {
    send(stream, message);
    receive(stream).expect("an answer")
}

/// Whether a connection is good for another query.
pub(crate) fn answers(stream: &mut (impl Read + Write)) -> bool {
    let query = framed(&ask_for("one.internal.com", &[]));
    stream.write_all(&query).is_ok() && stream.flush().is_ok() && receive(stream).is_some()
}

/// The last byte of the first address of an answer to [`ask_for`].
pub(crate) fn first_address(name: &str, answer: &[u8]) -> u8 {
    let question_len = name.len() + 2 + 4;
    // A pointer, type, class, TTL and length stand in front of the address.
    answer[12 + question_len + 12 + 3]
}
