//! Who is served, and who is asked.

use std::process::Command;

use hickory_proto::op::ResponseCode;

use crate::{
    harness::{Forwarding, PATIENT, RD, check_address, edns, entry},
    serving::query,
    upstream::Upstream,
};

#[test]
fn names_are_looked_up_for_those_who_may_alone() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        "forward: {clients: [10.0.0.0/8, 192.0.2.1]}\n",
    );
    let foreign = query(RD, "www.test", 1, 1, &edns());
    for answer in [forwarding.send(&foreign), forwarding.send_tcp(&foreign)] {
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
        assert!(!answer.metadata.recursion_available);
    }
    let ours = forwarding.ask("svc1.internal.com");
    assert_eq!(ours.answers.len(), 1);
    assert!(!ours.metadata.recursion_available, "RA says the truth");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn who_does_not_desire_recursion_gets_none() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    forwarding.ask("www.test");
    let answer = forwarding.send(&query(0, "www.test", 1, 1, &edns()));
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    assert!(answer.metadata.recursion_available);
}

#[test]
fn domains_have_upstreams_of_their_own() {
    let [all, corp, deep] = [1, 2, 3].map(Upstream::with_address);
    let file = format!(
        "forward:\n  upstreams: [{}]\n  domains:\n    - name: corp.test\n      upstreams: ['{}']\n    - name: deep.corp.test\n      upstreams: '{}'\n",
        all.address, corp.address, deep.address
    );
    let forwarding = Forwarding::with(&[], &file);
    for (name, last) in [
        ("test", 1),
        ("www.test", 1),
        ("acorp.test", 1),
        ("corp.test", 2),
        ("www.CORP.test", 2),
        ("deep.corp.test", 3),
        ("a.b.deep.corp.test", 3),
    ] {
        check_address(&forwarding.ask(name), last);
    }
}

#[test]
fn names_outside_of_the_forwarded_domains_are_refused() {
    let corp = Upstream::with_address(1);
    let file = format!(
        "forward:\n  domains:\n    - name: corp.test\n      upstreams: ['{}']\n",
        corp.address
    );
    let forwarding = Forwarding::with(&[], &file);
    check_address(&forwarding.ask("www.corp.test"), 1);
    let answer = forwarding.ask("www.test");
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[test]
fn a_zone_that_is_ours_in_part_is_forwarded_for_the_rest() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::with(
        &["--upstream", &upstream.flag()],
        &format!("zones: [{{name: internal.com, unmatched: forward}}]\nforward: {{{PATIENT}}}\n"),
    );
    for name in [
        "internal.com",
        "other.internal.com",
        "below.svc1.internal.com",
    ] {
        check_address(&forwarding.ask(name), 1);
    }
    let before = upstream.count();
    for record_type in [1, 28, 65] {
        let answer = forwarding.send(&query(RD, "svc1.internal.com", record_type, 1, &edns()));
        assert!(answer.metadata.authoritative);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    }
    assert_eq!(
        upstream.count(),
        before,
        "the mesh answers for the addresses of its hosts"
    );
}

#[test]
fn a_host_that_the_mesh_leaves_to_dns_is_forwarded() {
    let upstream = Upstream::with_address(1);
    let forwarding = Forwarding::to(&[&upstream.flag()]);
    forwarding.write(
        "zones/external.yaml",
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: external, namespace: ns1}\nspec:\n  hosts: [api.external.test, after.test]\n  ports: [{number: 443, name: tls, protocol: TLS}]\n  resolution: DNS\n  location: MESH_EXTERNAL\n",
    );
    forwarding.write(
        "zones/after.yaml",
        &std::fs::read_to_string(forwarding.path("zones/mesh.yaml"))
            .expect("it is there")
            .replace("svc1", "last"),
    );
    forwarding.server.wait("the mesh to be loaded again", || {
        forwarding.ask("last.internal.com").metadata.authoritative
    });
    check_address(&forwarding.ask("api.external.test"), 1);
}

#[test]
fn a_host_that_the_mesh_leaves_to_dns_is_forwarded_from_the_midst_of_a_zone() {
    let upstream = Upstream::with_address(1);
    let objects = [
        entry("api.internal.com", "DNS", "location: MESH_EXTERNAL"),
        entry("deep.down.internal.com", "DNS", "location: MESH_EXTERNAL"),
    ];
    let configuration = |domain: &str| {
        format!(
            "zones: [internal.com]\nforward: {{domains: [{{name: {domain}, upstreams: '{}'}}], {PATIENT}}}\n",
            upstream.flag()
        )
    };
    let forwarding = Forwarding::with(&[], &configuration("."));
    forwarding.write("zones/objects.yaml", &objects.join("---\n"));
    forwarding.server.wait("the hosts to be left to DNS", || {
        forwarding.ask("deep.down.internal.com").answers.len() == 1
    });
    for name in ["api.internal.com", "deep.down.internal.com"] {
        check_address(&forwarding.ask(name), 1);
        let answer = forwarding.ask_for(name, 16);
        assert!(!answer.metadata.authoritative, "for every type");
    }
    let before = upstream.count();
    for (name, code) in [
        ("internal.com", ResponseCode::NoError),
        ("down.internal.com", ResponseCode::NoError),
        ("nobody.internal.com", ResponseCode::NXDomain),
        ("below.api.internal.com", ResponseCode::NXDomain),
    ] {
        let answer = forwarding.ask(name);
        assert_eq!(answer.metadata.response_code, code, "{name}");
        assert!(answer.metadata.authoritative && answer.answers.is_empty());
    }
    assert_eq!(upstream.count(), before);

    // Where nobody answers for the name, it has no data.
    forwarding.write("meshdns.yaml", &configuration("other.test"));
    forwarding.reload();
    forwarding.server.wait("no data", || {
        let answer = forwarding.ask("api.internal.com");
        answer.metadata.authoritative
    });
    let answer = forwarding.ask("api.internal.com");
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty());
}

#[test]
fn the_machines_own_upstreams_are_followed() {
    let forwarding = Forwarding::with(
        &["--upstream", "system"],
        "forward: {resolvConf: resolv.conf}\n",
    );
    let names = |address: &str| {
        let line = format!("meshdns_forward_upstream_up{{to=\"{address}\"}}");
        forwarding.server.get("/metrics").body.contains(&line)
    };
    for address in ["192.0.2.1", "2001:db8::1"] {
        forwarding.write(
            "resolv.conf",
            &format!("search a.test\nnameserver {address}\n"),
        );
        let shown = if address.contains(':') {
            format!("[{address}]:53")
        } else {
            format!("{address}:53")
        };
        forwarding
            .server
            .wait("the other upstream", || names(&shown));
    }
    assert!(!names("192.0.2.1:53"), "it is not named any more");
}

#[test]
fn a_file_of_no_use_never_takes_the_place_of_a_good_one() {
    let forwarding = Forwarding::with(
        &["--upstream", "system"],
        "forward: {resolvConf: resolv.conf}\n",
    );
    let names = |address: &str| {
        let line = format!("meshdns_forward_upstream_up{{to=\"{address}:53\"}}");
        forwarding.server.get("/metrics").body.contains(&line)
    };
    forwarding.write("resolv.conf", "nameserver 192.0.2.1\n");
    forwarding
        .server
        .wait("the upstream", || names("192.0.2.1"));
    for (useless, said) in [
        ("", "names no upstream"),
        ("nameserver 192.0.\n", "names no upstream"),
    ] {
        let before = forwarding.server.log_lines(&[said]);
        forwarding.write("resolv.conf", useless);
        forwarding.server.wait("the file to be looked at", || {
            forwarding.server.log_lines(&[said]) > before
        });
        assert!(names("192.0.2.1"));
    }
    std::fs::remove_file(forwarding.path("resolv.conf")).expect("it is there");
    forwarding.server.wait_for_log(&["can't be read"]);
    assert!(names("192.0.2.1"));
    // Nor when the settings change meanwhile.
    forwarding.write(
        "meshdns.yaml",
        "forward: {resolvConf: resolv.conf, timeout: 3s}\n",
    );
    forwarding.reload();
    assert!(names("192.0.2.1"));
    forwarding.write(
        "resolv.conf",
        "nameserver fe80::53%lo\nnameserver 192.0.2.2\n",
    );
    forwarding.server.wait("the other upstream", || {
        names("192.0.2.2") && names("[fe80::53%1]")
    });
}

#[test]
fn policies_spread_questions() {
    let [first, second] = [1, 2].map(Upstream::with_address);
    let flags = ["--upstream", &first.flag(), "--upstream", &second.flag()].map(str::to_owned);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    for (policy, both) in [("sequential", false), ("random", true), ("fastest", true)] {
        let forwarding = Forwarding::with(
            &flags,
            &format!("forward: {{policy: {policy}, {PATIENT}}}\n"),
        );
        let before = second.count();
        for number in 0..100 {
            forwarding.ask(&format!("name{number}.test"));
        }
        assert_eq!(second.count() > before, both, "{policy}");
    }
}

/// Runs a server that can't start, and returns its exit code and what it says.
fn refused(flags: &[&str], configuration: &str) -> (Option<i32>, String) {
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("zones")).expect("a folder in it");
    std::fs::write(folder.path().join("meshdns.yaml"), configuration).expect("a writable folder");
    let output = Command::new(env!("CARGO_BIN_EXE_meshdns"))
        .env_clear()
        .current_dir(folder.path())
        .args(["serve", "--http", "off", "--config", "meshdns.yaml"])
        .args(flags)
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    (output.status.code(), stderr)
}

#[test]
fn wrong_upstreams_are_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let (code, said) = refused(&["--listen", &own, "--upstream", &own], "");
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("this server itself") && said.contains(&own),
        "{said}"
    );

    for wrong in [
        "tls://192.0.2.1",
        "0.0.0.0",
        "192.0.2.1:0",
        "dns.test",
        "quic://192.0.2.1",
        "",
    ] {
        let (code, said) = refused(&[&format!("--upstream={wrong}")], "");
        assert_eq!(code, Some(64), "{wrong}: {said}");
    }
    for (wrong, why) in [
        ("fe80::53", "fe80::53%eth0"),
        ("[fe80::53%none]:53", "no network interface named none"),
    ] {
        let (code, said) = refused(&[&format!("--upstream={wrong}")], "");
        assert_eq!(code, Some(64), "{wrong}: {said}");
        assert!(said.contains(why), "{said}");
    }

    let (code, said) = refused(
        &["--listen", "127.0.0.1:0"],
        "zones: [{name: a.test, unmatched: forward}]\n",
    );
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("--upstream"), "{said}");
}
