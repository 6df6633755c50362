//! Resolvers that forward the domain as `meshdns snippet` says, and what those who ask them may expect.

use std::{cell::Cell, collections::BTreeMap, fs, process::Stdio, thread, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    NODE_LOCAL,
    machine::{Daemon, Machine, SERVERS, wait},
    mesh,
};

/// How many names are asked while something happens. No cache has one of them.
const LOAD: usize = 3000;

/// Starts the program in the machine, with the snippet in place and everything else as is usual.
type Start = fn(&Machine) -> Daemon;

pub(crate) fn dnsmasq(machine: &Machine) -> Daemon {
    dnsmasq_with(machine, "dnsmasq")
}

/// What `NetworkManager` runs where it is told `dns=dnsmasq`.
pub(crate) fn network_manager(machine: &Machine) -> Daemon {
    dnsmasq_with(machine, "networkmanager")
}

fn dnsmasq_with(machine: &Machine, snippet: &str) -> Daemon {
    machine.write("etc/dnsmasq.d/mesh.conf", &machine.snippet(snippet));
    run_dnsmasq(machine)
}

/// dnsmasq with the snippet that is in its place.
pub(crate) fn run_dnsmasq(machine: &Machine) -> Daemon {
    let around = "no-resolv
no-hosts
listen-address=127.0.0.1
bind-interfaces
stop-dns-rebind
user=root
pid-file=
conf-dir=/etc/dnsmasq.d
";
    let file = machine.write("dnsmasq.conf", around);
    let file = format!("--conf-file={}", file.display());
    machine.daemon("dnsmasq", &["--no-daemon", "--log-facility=-", &file])
}

pub(crate) fn unbound(machine: &Machine) -> Daemon {
    // It validates, from the root's key, and holds private addresses back, so that the exceptions are needed.
    let around = r#"server:
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: 127.0.0.1
    private-address: 10.0.0.0/8
    private-address: 2001:db8::/32
    trust-anchor: ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
remote-control:
    control-enable: no
"#;
    let text = format!("{around}{}", machine.snippet("unbound"));
    let file = machine.write("unbound.conf", &text);
    machine.daemon("unbound", &["-d", "-p", "-c", &file.to_string_lossy()])
}

pub(crate) fn bind(machine: &Machine) -> Daemon {
    let snippet = machine.snippet("bind");
    let exception = snippet
        .lines()
        .find(|line| line.contains("validate-except"));
    let exception = exception.expect("the snippet tells the line for `options`");
    let folder = machine.path("");
    let text = format!(
        "options {{
    directory \"{}\";
    listen-on {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    dnssec-validation auto;
    {}
}};
controls {{ }};
{snippet}",
        folder.display(),
        exception.trim_start_matches(['/', ' '])
    );
    let file = machine.write("named.conf", &text);
    machine.daemon("named", &["-g", "-c", &file.to_string_lossy()])
}

pub(crate) fn systemd_resolved(machine: &Machine) -> Daemon {
    machine.write(
        "etc/systemd/resolved.conf.d/50-mesh.conf",
        &machine.snippet("systemd-resolved"),
    );
    machine.daemon("systemd-resolved", &[])
}

pub(crate) fn coredns(machine: &Machine) -> Daemon {
    coredns_with(machine, &coredns_block(machine))
}

/// The snippet's server block at 127.0.0.1 alone: meshdns has port 53 of the machine's other addresses, whereas a cluster's
/// CoreDNS has a Pod of its own.
pub(crate) fn coredns_block(machine: &Machine) -> String {
    let snippet = machine.snippet("coredns");
    snippet.replacen("    errors\n", "    errors\n    bind 127.0.0.1\n", 1)
}

/// What a node's own cache runs, at its own address.
pub(crate) fn node_local_dns(machine: &Machine) -> Daemon {
    coredns_with(machine, &machine.snippet("node-local-dns"))
}

/// What a node's own cache makes of the ConfigMap of kube-dns: a server block of each domain.
pub(crate) fn kube_dns(machine: &Machine) -> Daemon {
    let object: Value = serde_yaml::from_str(&machine.snippet("kube-dns")).expect("YAML");
    let domains = object["data"]["stubDomains"].as_str().expect("text");
    let domains: BTreeMap<String, Vec<String>> = serde_json::from_str(domains).expect("JSON");
    let block = |(domain, servers): (&String, &Vec<String>)| {
        let servers = servers.join(" ");
        format!(
            "{domain}:53 {{
    errors
    cache 30
    bind {NODE_LOCAL}
    forward . {servers}
}}
"
        )
    };
    coredns_with(machine, &domains.iter().map(block).collect::<String>())
}

pub(crate) fn coredns_with(machine: &Machine, corefile: &str) -> Daemon {
    let file = machine.write("Corefile", corefile);
    machine.daemon("coredns", &["-conf", &file.to_string_lossy()])
}

/// A machine with the mesh, for which nothing is running yet.
pub(crate) fn machine() -> Machine {
    let machine = Machine::new();
    mesh::write(&machine);
    machine
}

/// Waits until the program at `at` passes an answer of meshdns's on.
#[track_caller]
pub(crate) fn wait_for(machine: &Machine, at: &str, name: impl Fn() -> String) {
    let at = format!("@{at}");
    wait("an answer", || {
        machine
            .dig(&[&at, &name(), "+tries=1", "+timeout=2"])
            .status
            == "NOERROR"
    });
}

/// Every mesh name resolves through the program as its snippet says; NXDOMAIN and "no data" come through; and its
/// snippet's own check says that all is well.
pub(crate) fn passes_names(start: Start, at: &str) {
    let machine = machine();
    let _servers = SERVERS.map(|server| machine.serve(server));
    let _program = start(&machine);
    wait_for(&machine, at, || "v4.internal.com".to_owned());
    mesh::is_answered(&machine, at, &[]);
    mesh::is_answered(&machine, at, &["+tcp"]);
    let printed = machine.run("dig", &[&format!("@{at}"), "internal.com", "SOA", "+short"]);
    assert!(printed.starts_with("ns.meshdns.invalid."), "{printed}");
}

/// Nobody is told SERVFAIL while the mesh changes and the servers reload, and a changed answer comes through.
pub(crate) fn passes_changes(start: Start, at: &str) {
    let machine = machine();
    let servers = SERVERS.map(|server| machine.serve(server));
    let _program = start(&machine);
    wait_for(&machine, at, || "v4.internal.com".to_owned());
    let mut others = 0;
    let asked = under_load(&machine, at, || {
        others += 1;
        mesh::replace(&machine, mesh::WILDCARD, &mesh::wildcard(others % 50));
        if others % 50 == 0 {
            // Everything is read again.
            for server in &servers {
                server.signal(Signal::HUP);
            }
        }
    });
    none_failed(&asked);
    mesh::replace(&machine, mesh::WILDCARD, &mesh::wildcard(60));
    wait_for(&machine, at, || "other59.internal.com".to_owned());
}

/// One of two servers is restarted in good order, which nobody notices. Then it is killed, and comes back, and the other
/// one is killed: whoever asks again once has an answer, once the program has seen that the first one is back.
pub(crate) fn outlives_a_server(start: Start, at: &str) {
    let machine = machine();
    let [mut first, second] = SERVERS.map(|server| machine.serve(server));
    let _program = start(&machine);
    wait_for(&machine, at, || "v4.internal.com".to_owned());
    let mut restarts = 0;
    let asked = under_load(&machine, at, || {
        if restarts < 2 {
            restarts += 1;
            first.signal(Signal::TERM);
            first.wait_for_end();
            first = machine.serve(SERVERS[0]);
        }
    });
    none_failed(&asked);
    let number = Cell::new(LOAD);
    let fresh = || mesh::fresh(number.replace(number.get() + 1));
    let all_resolve = || {
        for _ in 0..20 {
            let (at, name) = (format!("@{at}"), fresh());
            let arguments = [&*at, &name, "+tries=1", "+timeout=5"];
            let mut reply = machine.dig(&arguments);
            if reply.status != "NOERROR" {
                reply = machine.dig(&arguments);
            }
            assert_eq!(reply.status, "NOERROR", "{arguments:?}");
        }
    };
    drop(first);
    all_resolve();
    let _first = machine.serve(SERVERS[0]);
    drop(second);
    wait_for(&machine, at, fresh);
    all_resolve();
}

#[track_caller]
pub(crate) fn none_failed(statuses: &[String]) {
    let good = statuses.iter().filter(|status| *status == "NOERROR");
    assert_eq!((good.count(), statuses.len()), (LOAD, LOAD));
}

/// The status of the answer to each of many questions, asked while `happens` is called over and over.
pub(crate) fn under_load(machine: &Machine, at: &str, mut happens: impl FnMut()) -> Vec<String> {
    let names: String = (0..LOAD).map(|number| mesh::fresh(number) + "\n").collect();
    let names = machine.write("names", &names);
    let answers = machine.path("answers");
    let mut dig = machine
        .command("dig")
        .arg(format!("@{at}"))
        .args(["+noall", "+comments", "+tries=2", "+timeout=5", "-f"])
        .arg(names)
        .stdout(fs::File::create(&answers).expect("a new file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("dig");
    while dig.try_wait().expect("our child").is_none() {
        happens();
        thread::sleep(Duration::from_millis(1));
    }
    let answers = fs::read_to_string(answers).expect("text");
    let statuses = answers.lines().filter_map(|line| {
        let (_, status) = line.split_once("status: ")?;
        Some(status.split(',').next()?.to_owned())
    });
    statuses.collect()
}
