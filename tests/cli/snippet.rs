//! `snippet`: the lines that other programs need, and what they can't be told. `tests/interop` runs the programs.

use serde_json::{Value, json};

use crate::harness::{Place, Ran};

fn snippet(arguments: &[&str]) -> Ran {
    Place::new().run(&[&["snippet"], arguments].concat())
}

/// Checks that the snippet of `program` for two servers and two zones has these lines, whatever their indentation.
#[track_caller]
fn check(program: &str, lines: &[&str]) {
    let servers = ["--server=10.0.0.53", "--server=[2001:db8::53]:5300"];
    let zones = ["--zone=internal.com", "--zone=Mesh.Example."];
    let ran = snippet(&[&[program], &servers[..], &zones[..]].concat());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    for line in lines {
        let has_line = ran.stdout.lines().any(|found| found.trim() == *line);
        assert!(has_line, "{line:?} in {}", ran.stdout);
    }
}

#[test]
fn each_program_gets_every_server_and_zone_in_its_own_form() {
    for program in ["coredns", "node-local-dns"] {
        check(
            program,
            &[
                "internal.com:53 mesh.example:53 {",
                "forward . 10.0.0.53 [2001:db8::53]:5300 {",
            ],
        );
    }
    check("node-local-dns", &["bind 169.254.20.10"]);
    check(
        "systemd-resolved",
        &[
            "DNS=10.0.0.53 [2001:db8::53]:5300",
            "Domains=~internal.com ~mesh.example",
            "DNSSEC=no",
            "# Check: resolvectl query --type=SOA mesh.example",
        ],
    );
    for program in ["dnsmasq", "networkmanager"] {
        check(
            program,
            &[
                "all-servers",
                "server=/internal.com/10.0.0.53",
                "server=/mesh.example/2001:db8::53#5300",
                "rebind-domain-ok=/mesh.example/",
                "# Check: dig @127.0.0.1 internal.com SOA +short",
            ],
        );
    }
    check(
        "unbound",
        &[
            "private-domain: \"internal.com\"",
            "domain-insecure: \"mesh.example\"",
            "name: \"mesh.example\"",
            "forward-addr: 10.0.0.53",
            "forward-addr: 2001:db8::53@5300",
        ],
    );
    check(
        "bind",
        &[
            "zone \"mesh.example\" {",
            "forward only;",
            "forwarders { 10.0.0.53; 2001:db8::53 port 5300; };",
            "//   validate-except { \"internal.com\"; \"mesh.example\"; };",
            "// Check: dig @127.0.0.1 mesh.example SOA +short",
        ],
    );
}

#[test]
fn no_server_block_keeps_answers_that_are_drawn_for_one_question() {
    for program in ["coredns", "node-local-dns"] {
        let printed = snippet(&[program, "--server=10.0.0.53", "--zone=internal.com"]).stdout;
        let (block, _) = printed
            .split_once("internal.com:53 {")
            .and_then(|(_, rest)| rest.split_once("\n}"))
            .expect("a server block");
        assert!(!block.contains("cache"), "{printed}");
    }
}

#[test]
fn resolvers_that_answer_for_others_are_told_to_be_listed() {
    for program in ["dnsmasq", "unbound", "bind"] {
        let printed = snippet(&[program, "--server=10.0.0.53", "--zone=internal.com"]).stdout;
        assert!(printed.contains("`forwarders`"), "{printed}");
    }
}

#[test]
fn kube_dns_gets_a_config_map_with_json_in_it() {
    let arguments = "kube-dns --server 10.0.0.53:5300 --zone internal.com";
    let printed = snippet(&arguments.split(' ').collect::<Vec<_>>()).stdout;
    let object: Value = serde_yaml::from_str(&printed).expect("YAML");
    let domains = object["data"]["stubDomains"].as_str().expect("text");
    let domains: Value = serde_json::from_str(domains).expect("JSON");
    assert_eq!(domains, json!({"internal.com": ["10.0.0.53:5300"]}));
}

#[test]
fn resolv_conf_gets_bare_addresses() {
    let arguments = ["--server=10.0.0.53", "--server=::1", "--zone=internal.com"];
    let printed = snippet(&[&["resolv.conf"], &arguments[..]].concat()).stdout;
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "nameserver 10.0.0.53",
            "nameserver ::1",
            "options timeout:1 attempts:2 edns0"
        ]
    );
}

#[test]
fn what_is_said_twice_is_written_once() {
    let arguments = "bind --server 10.0.0.53 --server 10.0.0.53:53 --zone a.test --zone A.test.";
    let printed = snippet(&arguments.split(' ').collect::<Vec<_>>()).stdout;
    assert!(
        printed.contains("forwarders { 10.0.0.53; };"),
        "one server in {printed}"
    );
    assert_eq!(printed.matches("type forward").count(), 1, "{printed}");
}

#[test]
fn what_a_program_cannot_be_told_is_refused() {
    #[track_caller]
    fn fails(arguments: &str, parts: &[&str]) {
        snippet(&arguments.split(' ').collect::<Vec<_>>()).failed(64, parts);
    }
    let ip = "a server's IP address, as in 10.0.0.53";
    fails("bind --server ns1.internal.com --zone internal.com", &[ip]);
    fails("bind --server 10.0.0.533 --zone internal.com", &[ip]);
    fails("bind --server 10.0.0.53:0 --zone internal.com", &[ip]);
    fails("bind --server 0.0.0.0 --zone internal.com", &[ip]);
    fails("bind --server [fe80::1%2]:53 --zone internal.com", &[ip]);
    fails("bind --server 10.0.0.53 --zone *.internal.com", &["*.in"]);
    fails("bind --server 10.0.0.53 --zone .", &["name the domains"]);
    fails("bind --server 10.0.0.53", &["--zone <NAME>"]);
    fails("bind --zone internal.com", &["--server <ADDR>"]);
    fails(
        "nosuch --server 10.0.0.53 --zone internal.com",
        &["'nosuch'", "systemd-resolved"],
    );
    fails(
        "resolv.conf --server 10.0.0.53:5300 --zone internal.com",
        &["10.0.0.53:5300", "port 53"],
    );
    fails(
        "kube-dns --server 10.0.0.53 --zone _tcp.internal.com",
        &["_tcp.internal.com"],
    );
    let many = |count: u8| {
        let servers = (1..=count).map(|number| format!(" --server 10.0.0.{number}"));
        servers.collect::<String>() + " --zone internal.com"
    };
    fails(
        &format!("resolv.conf{}", many(4)),
        &["at most 3", "these are 4"],
    );
    fails(&format!("coredns{}", many(16)), &["CoreDNS", "at most 15"]);
}
