//! The binary with a mesh of VMs, and what it answers.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, RecordType},
};
use tempfile::TempDir;

use crate::{
    program::{self, Server},
    serving::query,
};

/// The host whose VMs are checked.
pub(crate) const HOST: &str = "orders.mesh.example";

/// A folder with a mesh and a configuration.
pub(crate) struct Place {
    folder: TempDir,
}

/// A server in front of it.
pub(crate) struct Mesh {
    pub(crate) server: Server,
    pub(crate) place: Place,
}

impl Place {
    /// `health` is the section of that name; without it nothing is checked.
    pub(crate) fn new(health: &str) -> Self {
        let place = Self {
            folder: TempDir::new().expect("a folder"),
        };
        fs::create_dir(place.path("zones")).expect("a folder in it");
        place.configure(health);
        place.write_service("orders", HOST);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file at once, as far as anybody who reads it can tell.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let fresh = self.path("fresh");
        fs::write(&fresh, text).expect("a writable folder");
        fs::rename(fresh, self.path(name)).expect("a writable folder");
    }

    pub(crate) fn configure(&self, health: &str) {
        let health = match health {
            "" => String::new(),
            health => format!("health: {{networks: [127.0.0.0/8], {health}}}\n"),
        };
        self.write("meshdns.yaml", &format!("ttl: 0s\nlameduck: 1m\n{health}"));
    }

    /// A ServiceEntry that selects VMs by the label `app`.
    pub(crate) fn write_service(&self, app: &str, host: &str) {
        self.write_host(app, app, host);
    }

    /// A ServiceEntry `name` that selects VMs of `app`.
    pub(crate) fn write_host(&self, name: &str, app: &str, host: &str) {
        let text = format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{host}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  workloadSelector: {{labels: {{app: {app}}}}}
"
        );
        self.write(&format!("zones/service-{name}.yaml"), &text);
    }

    /// A VM of `app` at `ip`, which is checked by this stanza.
    pub(crate) fn write_vm(&self, name: &str, app: &str, ip: &str, stanza: &str) {
        let text = format!(
            "apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: {name}
  namespace: shop
  labels: {{app: {app}}}
  annotations: {{meshdns.io/probe: '{stanza}'}}
spec: {{address: {ip}}}
"
        );
        self.write(&format!("zones/vm-{name}.yaml"), &text);
    }

    /// VMs of the host, each named by its address.
    pub(crate) fn write_vms(&self, ips: &[&str], stanza: &str) {
        for ip in ips {
            self.write_vm(&named(ip), "orders", ip, stanza);
        }
    }

    /// A ready Pod of the host.
    pub(crate) fn write_pod(&self, ip: &str) {
        let text = format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: pod, namespace: shop, labels: {{app: orders}}}}
status: {{podIP: {ip}, conditions: [{{type: Ready, status: 'True'}}]}}
"
        );
        self.write("zones/pod.yaml", &text);
    }

    pub(crate) fn remove_vm(&self, name: &str) {
        let path = self.path(&format!("zones/vm-{name}.yaml"));
        fs::remove_file(path).expect("it was written");
    }

    /// The binary, which is to serve this.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.command_of("serve");
        command.args([
            "zones",
            "--config",
            "meshdns.yaml",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ]);
        command
    }

    /// A command of the binary, in the folder.
    pub(crate) fn command_of(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshdns"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .arg(name);
        command
    }

    /// Serves it, and waits until the server is ready.
    pub(crate) fn serve(self) -> Mesh {
        Mesh {
            server: Server::start(self.command()),
            place: self,
        }
    }
}

/// What a VM at this address is named.
pub(crate) fn named(ip: &str) -> String {
    format!("vm-{}", ip.replace('.', "-"))
}

/// `GET /healthz` at `port` every second, with these keys besides.
pub(crate) fn get_every_second(port: u16, keys: &str) -> String {
    format!(
        "{{httpGet: {{path: /healthz, port: {port}}}, periodSeconds: 1, timeoutSeconds: 30, {keys}}}"
    )
}

impl Mesh {
    /// What the host answers, and how.
    fn reply(&self, host: &str) -> Message {
        let query = query(0, host, u16::from(RecordType::A), 1, &[]);
        let reply = program::ask(self.server.dns, &query).expect("it answers");
        Message::from_vec(&reply).expect("a message")
    }

    /// The addresses of a host.
    pub(crate) fn addresses_of(&self, host: &str) -> BTreeSet<String> {
        let reply = self.reply(host);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        let addresses = reply.answers.iter().map(|record| match &record.data {
            RData::A(address) => address.to_string(),
            other => panic!("{other} is no address"),
        });
        addresses.collect()
    }

    pub(crate) fn addresses(&self) -> BTreeSet<String> {
        self.addresses_of(HOST)
    }

    /// Whether the host exists without an address, and says for how long.
    pub(crate) fn has_no_data(&self) -> bool {
        let reply = self.reply(HOST);
        let soa = |record: &hickory_proto::rr::Record| record.record_type() == RecordType::SOA;
        reply.metadata.response_code == ResponseCode::NoError
            && reply.answers.is_empty()
            && reply.authorities.iter().any(soa)
    }

    #[track_caller]
    pub(crate) fn assert_answers(&self, expected: &[&str]) {
        assert_eq!(self.addresses(), set(expected));
    }

    /// Waits until the host has these addresses.
    #[track_caller]
    pub(crate) fn wait_for(&self, expected: &[&str]) {
        self.wait_for_host(HOST, expected);
    }

    #[track_caller]
    pub(crate) fn wait_for_host(&self, host: &str, expected: &[&str]) {
        let expected = set(expected);
        self.server.wait(&format!("{expected:?}"), || {
            self.addresses_of(host) == expected
        });
    }

    /// Checks that `/api/health` says this of an endpoint, where the configuration has `api: on`.
    #[track_caller]
    pub(crate) fn assert_tells(&self, what: &str) {
        let page = self.server.get("/api/health").body;
        assert!(page.contains(what), "{page}");
    }

    /// A number of the metrics of health.
    #[track_caller]
    pub(crate) fn health_metric(&self, name: &str) -> u64 {
        self.server.metric(&format!("meshdns_health_{name}"))
    }

    /// Waits until a number of the metrics of health is what is expected.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, is_so: impl Fn(u64) -> bool) {
        self.server.wait(name, || is_so(self.health_metric(name)));
    }

    /// How many threads of the server have this name.
    pub(crate) fn threads_named(&self, name: &str) -> usize {
        let pid = self.server.pid();
        let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
        let tasks = tasks.expect("the server runs").filter_map(Result::ok);
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|found| found.trim_end() == name).count()
    }
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
