//! `/health`, `/ready`, `/metrics`.

use std::collections::BTreeSet;

use crate::{
    harness::{BROKEN, Place, ask, repository_file, serve, until},
    program::Page,
};

#[test]
fn health_and_readiness() {
    let place = Place::with_svc1();
    let server = serve(&place, &[]);
    for path in ["/health", "/ready"] {
        let page = server.get(path);
        assert_eq!((page.status, page.body.as_str()), (200, "OK\n"), "{path}");
        let head = Page::ask(server.http, "HEAD", path, "").expect("an answer");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
    let post = Page::ask(server.http, "POST", "/ready", "Content-Length: 0\r\n");
    assert_eq!(post.expect("an answer").status, 405);
    let nothing = server.get("/nosuch?x=1");
    assert_eq!(nothing.status, 404);
    assert_eq!(
        nothing.body,
        "nothing at /nosuch; the pages are /health, /ready and /metrics\n"
    );
}

#[test]
fn stays_ready_on_last_good_data() {
    let place = Place::with_svc1();
    let server = serve(&place, &[]);
    std::fs::remove_dir_all(place.path("zones")).expect("it is ours");
    until("the missing folder is noticed", || {
        let page = server.get("/metrics").body;
        page.contains("\nmeshdns_folders_missing 1\n").then_some(())
    });
    assert_eq!(server.get("/ready").status, 200);
    let reply = ask(server.dns, "svc1.internal.com.").expect("an answer");
    assert_eq!(reply.addresses.len(), 2);
}

#[test]
fn metrics_tell_the_state_of_the_mesh() {
    let place = Place::with_svc1();
    place.write("zones/broken.yaml", BROKEN);
    place.write(
        "zones/other.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    );
    let server = serve(&place, &["--zone", "internal.com"]);
    ask(server.dns, "svc1.internal.com.").expect("an answer");
    ask(server.dns, "elsewhere.test.").expect("an answer");
    let page = until("the queries are counted", || {
        let page = server.get("/metrics").body;
        let are_counted = page.contains("rcode=\"NOERROR\"") && page.contains("rcode=\"REFUSED\"");
        are_counted.then_some(page)
    });
    for line in [
        "meshdns_hosts 1",
        "meshdns_files 3",
        "meshdns_generation 1",
        "meshdns_reload_total 1",
        "meshdns_objects{kind=\"ServiceEntry\"} 1",
        "meshdns_objects{kind=\"Pod\"} 2",
        "meshdns_objects_ignored{kind=\"Service\"} 1",
        "meshdns_endpoints{state=\"selected\"} 2",
        "meshdns_endpoints{state=\"unready\"} 1",
        "meshdns_diagnostics{severity=\"error\"} 1",
        "meshdns_folders_missing 0",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line:?} in {page}");
    }
    for part in [
        "zone=\"internal.com.\"",
        "rcode=\"NOERROR\"",
        "rcode=\"REFUSED\"",
        "le=\"0.00025\"",
        "process_resident_memory_bytes ",
    ] {
        assert!(page.contains(part), "{part:?} in {page}");
    }
    assert!(
        !page.contains("elsewhere"),
        "no label is a name that a client chose"
    );
}

#[test]
fn hosts_are_counted_that_are_answered() {
    let entry = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: ns1}}\n\
             spec: {{hosts: [{name}.test], ports: [{{number: 80, name: http, protocol: HTTP}}], {spec}}}\n"
        )
    };
    let place = Place::with_svc1();
    let hidden = entry("hidden", "resolution: STATIC, exportTo: [\"~\"]");
    let left = entry("left", "resolution: DNS");
    let empty = entry("empty", "resolution: STATIC");
    place.write("zones/others.yaml", &[&*hidden, &left, &empty].concat());
    let server = serve(&place, &[]);
    let count_is = |count: usize| {
        until("the hosts are counted", || {
            let page = server.get("/metrics").body;
            page.contains(&format!("\nmeshdns_hosts {count}\n"))
                .then_some(())
        });
    };
    // svc1, and the one without an address.
    count_is(2);
    let shown = entry("hidden", "resolution: STATIC");
    place.write("zones/others.yaml", &[&*shown, &left, &empty].concat());
    count_is(3);
}

#[test]
fn metrics_come_in_the_form_that_is_asked_for() {
    let place = Place::with_svc1();
    let server = serve(&place, &[]);
    let plain = server.get("/metrics");
    assert!(
        plain
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        plain.head
    );
    assert!(plain.body.contains("# TYPE meshdns_reload_total counter\n"));
    assert!(!plain.body.contains("# EOF"));
    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let open = Page::ask(server.http, "GET", "/metrics", accept).expect("an answer");
    assert!(
        open.head
            .contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    assert!(open.body.contains("# TYPE meshdns_reload counter\n"));
    assert!(open.body.ends_with("# EOF\n"));
}

/// Name and type of each metric that the page has.
fn on_the_page(page: &str) -> BTreeSet<(String, String)> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let pairs = types.filter_map(|line| line.split_once(' '));
    pairs
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Name and type of each metric that docs/metrics.md has.
fn in_the_document(document: &str) -> BTreeSet<(String, String)> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let pairs = rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        let (kind, _) = rest.split_once(" |")?;
        Some((name.to_owned(), kind.to_owned()))
    });
    pairs.collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let place = Place::with_svc1();
    let made = rcgen::generate_simple_self_signed(vec!["dns.test".to_owned()]);
    let made = made.expect("a certificate");
    place.write("tls.crt", &made.cert.pem());
    place.write("tls.key", &made.signing_key.serialize_pem());
    let mut flags = vec![
        "zones",
        "--upstream",
        "192.0.2.1",
        "--listen",
        "tls://127.0.0.1:0",
    ];
    flags.extend(["--tls-certificate", "tls.crt", "--tls-key", "tls.key"]);
    flags.extend(["--state-dir", "state"]);
    let mut documented = in_the_document(&repository_file("docs/metrics.md"));
    if cfg!(feature = "kubernetes") {
        // Nobody listens there.
        let kubeconfig = "current-context: a
clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]
contexts: [{name: a, context: {cluster: a}}]
";
        place.write("kubeconfig", kubeconfig);
        flags.extend(["--kubernetes", "--kubeconfig", "kubeconfig"]);
        flags.extend(["--start-patience", "0s"]);
    } else {
        documented.retain(|(name, _)| !name.starts_with("meshdns_cluster_"));
    }
    place.write("overrides.yaml", "- {match: 192.0.2.*, state: drain}\n");
    let health = "health:
  overrides: overrides.yaml
  networks: 127.0.0.0/8
  perEndpointMetrics: on
answers:
  shares: [{host: svc1.internal.com, pod: 10}]
";
    place.write("meshdns.yaml", health);
    flags.extend(["--config", "meshdns.yaml"]);
    let server = serve(&place, &flags);
    ask(server.dns, "svc1.internal.com.").expect("an answer");
    // A file that was written a moment ago is read a moment later.
    let page = until("the mesh is on the page", || {
        let page = server.get("/metrics").body;
        page.contains("meshdns_share_").then_some(page)
    });
    assert_eq!(on_the_page(&page), documented);
}
