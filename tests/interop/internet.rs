//! The rest of the world for a machine: a BIND that has the root and two domains, and answers as a resolver does. The
//! machine's meshdns servers forward to it.

use std::fs;

use crate::{
    forwarders::machine,
    machine::{Daemon, Machine, SERVERS, wait},
    mesh::Host,
    program::Server,
};

/// Where it is.
pub(crate) const ADDRESS: &str = "198.51.100.53";

/// What its zones begin with.
const APEX: &str = "$TTL 300
@ SOA ns.example.net. hostmaster.example.net. 1 3600 600 86400 300
@ NS ns.example.net.
";

/// Ends in another domain than it begins in.
const CHAIN: [&str; 3] = [
    "www.example.org",
    "www.cdn.example.net",
    "edge.cdn.example.net",
];

/// Every kind of name that is not in the mesh.
pub(crate) fn hosts() -> Vec<Host> {
    let v4 = |count: u8| (1..=count).map(|last| format!("198.51.100.{last}"));
    let v6 = |count: u8| (1..=count).map(|last| format!("2001:db8:2::{last}"));
    vec![
        Host::new("v4.example.org", v4(3)),
        Host::new("v6.example.org", v6(2)),
        Host::new("both.example.org", v4(2).chain(v6(2))),
        Host::new(CHAIN[0], v4(4).chain(v6(1))),
        Host::new("hundred.example.org", v4(100)),
        Host::new("text.example.org", []),
        Host::new("nosuch.example.org", []),
    ]
}

/// Starts it; `example.org` is signed.
pub(crate) fn start(machine: &Machine) -> Daemon {
    let (chained, others): (Vec<Host>, Vec<Host>) =
        hosts().into_iter().partition(|host| host.name == CHAIN[0]);
    let [first, second, last] = CHAIN;
    let org = format!(
        "{APEX}text.example.org. TXT \"no address\"\n{first}. CNAME {second}.\n{}",
        records(&others, |host| host.name)
    );
    let net = format!(
        "{APEX}ns A {ADDRESS}\n{second}. CNAME {last}.\n{}",
        records(&chained, |_| last)
    );
    let root = format!("{APEX}ns.example.net. A {ADDRESS}\n");
    for (file, text) in [("root.zone", root), ("org.zone", org), ("net.zone", net)] {
        machine.write(file, &text);
    }
    let configuration = format!(
        r#"options {{
    directory "{}";
    listen-on {{ {ADDRESS}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    allow-recursion {{ any; }};
    notify no;
    dnssec-validation no;
}};
controls {{ }};
zone "." {{ type primary; file "root.zone"; }};
zone "example.net" {{ type primary; file "net.zone"; }};
zone "example.org" {{ type primary; file "org.zone"; dnssec-policy default; inline-signing yes; }};
"#,
        machine.path("").display()
    );
    let file = machine.write("internet.conf", &configuration);
    let named = machine.daemon("named", &["-g", "-c", &file.to_string_lossy()]);
    wait("the signatures", || {
        let at = format!("@{ADDRESS}");
        let arguments = ["+dnssec", "+tries=1", "+timeout=1"];
        let asked = [&[&*at, "v4.example.org", "A"], &arguments[..]].concat();
        machine.text_of("dig", &asked).contains("RRSIG")
    });
    named
}

/// Zone-file lines with the addresses of hosts.
fn records(hosts: &[Host], owner: impl Fn(&Host) -> &'static str) -> String {
    let addresses = hosts.iter().flat_map(|host| {
        let owner = owner(host);
        let addresses = host.addresses.iter();
        addresses.map(move |address| (owner, if address.is_ipv4() { "A" } else { "AAAA" }, address))
    });
    let lines = addresses.map(|(owner, kind, address)| format!("{owner}. {kind} {address}\n"));
    lines.collect::<Vec<_>>().concat()
}

/// A machine whose servers forward to it.
pub(crate) fn behind_servers() -> (Machine, Daemon, [Server; 2]) {
    let machine = machine();
    let internet = start(&machine);
    let flag = format!("--upstream={ADDRESS}");
    let servers = SERVERS.map(|server| machine.serve_with(server, &[&flag]));
    (machine, internet, servers)
}

/// A stub that validates finds nothing wrong through meshdns, whether a name exists or not.
pub(crate) fn validates() {
    let (machine, _internet, _servers) = behind_servers();
    let anchor = machine.write("anchor", &trust_anchor(&machine));
    let (at, anchor) = (format!("@{}", SERVERS[0]), anchor.to_string_lossy());
    for host in hosts() {
        let is_signed = host.name.ends_with(".example.org") && host.name != CHAIN[0];
        if is_signed {
            let asked = [&*at, "-a", &anchor, "+root=example.org", host.name, "A"];
            let printed = machine.text_of("delv", &asked);
            assert!(printed.contains("fully validated"), "{asked:?}: {printed}");
        }
    }
}

/// The key of `example.org`, in the form in which BIND's programs take it.
fn trust_anchor(machine: &Machine) -> String {
    let files = fs::read_dir(machine.path("")).expect("the machine's folder");
    let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
    let key = paths.find(|path| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        stem.is_some_and(|stem| stem.starts_with("Kexample.org."))
            && path.extension().is_some_and(|extension| extension == "key")
    });
    let text = fs::read_to_string(key.expect("BIND has made a key")).expect("the key");
    let record = text.lines().find(|line| !line.starts_with(';'));
    let record = record.expect("a record");
    let (_, data) = record.split_once("DNSKEY ").expect("of a key");
    let mut fields = data.splitn(4, ' ');
    let numbers: Vec<&str> = fields.by_ref().take(3).collect();
    let key = fields.next().expect("the key itself").replace(' ', "");
    format!(
        "trust-anchors {{ \"example.org\" static-key {} \"{key}\"; }};\n",
        numbers.join(" ")
    )
}
