//! Where the pages are, and who may see them.

use std::net::TcpListener;

use crate::harness::Place;

/// Every page, and two objects.
const PAGES: [&str; 10] = [
    "/",
    "/about",
    "/changes",
    "/forwarding",
    "/hosts",
    "/migration",
    "/problems",
    "/hosts/svc1.internal.com",
    "/api/v1",
    "/api/v1/about",
];

#[test]
fn pages_show_and_change_nothing() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    for path in PAGES {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let refused = server.ask(method, path, "Content-Length: 0\r\n");
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(
                refused.header("allow"),
                Some("GET, HEAD"),
                "{method} {path}"
            );
        }
        let page = server.page(path);
        let head = server.ask("HEAD", path, "");
        assert_eq!((page.status, head.status), (200, 200), "{path}");
        assert_eq!(head.body, "", "{path}");
        for field in ["content-type", "content-length", "content-security-policy"] {
            assert!(head.header(field).is_some(), "{path}: {field}");
            assert_eq!(head.header(field), page.header(field), "{path}: {field}");
        }
    }
}

#[test]
fn a_page_loads_nothing_that_is_not_ours_and_has_no_style_or_handler_in_it() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    for path in PAGES {
        let page = server.page(path);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(
            page.header("cross-origin-resource-policy"),
            Some("same-origin")
        );
        for forbidden in [
            "style=", "onclick", "onload", "<style", "http://", "https://",
        ] {
            assert!(!page.body.contains(forbidden), "{path}: {forbidden}");
        }
    }
    let page = server.page("/about").body;
    let links = page
        .split("href=\"")
        .skip(1)
        .chain(page.split("src=\"").skip(1));
    for link in links.map(|rest| rest.split('"').next().expect("it ends")) {
        assert!(!link.starts_with('/'), "{link} leads past a proxy");
        if link.contains("style-") || link.contains("live-") || link.contains("icon-") {
            let asset = server.page(&format!("/{link}"));
            assert_eq!(asset.status, 200, "{link}");
            let caching = asset.header("cache-control").expect("it may be kept");
            assert!(caching.contains("immutable"), "{caching}");
        }
    }
}

#[test]
fn a_name_that_is_not_meant_gets_no_page_and_learns_which_key_to_set() {
    let place = Place::with_zones();
    place.write("meshdns.yaml", "ui: {hosts: mesh.example}\n");
    let server = place.serve(&["--config", "meshdns.yaml"]);
    let port = server.ui.port();
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1.evil.example",
    ] {
        for path in ["/", "/api/v1"] {
            let refused = server.ask("GET", path, &format!("Host: {host}\r\n"));
            assert_eq!(refused.status, 421, "{host}");
            assert!(refused.body.contains("ui.hosts"), "{}", refused.body);
        }
    }
    for host in [
        &format!("127.0.0.1:{port}"),
        "localhost",
        "[::1]",
        &format!("Mesh.Example:{port}"),
    ] {
        let page = server.ask("GET", "/", &format!("Host: {host}\r\n"));
        assert_eq!(page.status, 200, "{host}");
    }
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn pages_for_others_take_a_token_or_the_word_that_they_are_open() {
    let place = Place::with_zones();
    let refused = |arguments: &[&str], code: i32| {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--http", "off"];
        all.extend(arguments);
        let (found, _, said) = place.run(&all);
        assert_eq!(found, Some(code), "{said}");
        for part in ["ui.tokenFile", "ui.open"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    refused(&["--ui", "0.0.0.0:0"], 64);
    refused(&["--ui", ":9154"], 64);
    place.write("meshdns.yaml", "ui: {listen: '0.0.0.0:0'}\n");
    refused(&["--config", "meshdns.yaml"], 78);

    place.write("meshdns.yaml", "ui: {open: on}\n");
    let open = place.serve_with_ui(&["--ui=0.0.0.0:0"], &["--config", "meshdns.yaml"]);
    assert_eq!(open.page("/").status, 200);
}

#[test]
fn a_token_is_asked_for_on_every_path() {
    let place = Place::with_zones();
    place.write("token", "s3cret\n");
    place.write(
        "meshdns.yaml",
        "ui: {listen: '127.0.0.1:0', tokenFile: token}\n",
    );
    let server = place.serve_with_ui(&[], &["--config", "meshdns.yaml"]);
    let right = [
        "Authorization: Bearer s3cret\r\n",
        "Authorization: Basic YW55OnMzY3JldA==\r\n",
    ];
    let wrong = [
        "",
        "Authorization: Bearer other\r\n",
        "Authorization: Basic YW55Om90aGVy\r\n",
    ];
    let page = server.ask("GET", "/", right[0]).body;
    let style = page
        .split("href=\"")
        .find(|rest| rest.starts_with("style-"));
    let style = style
        .and_then(|rest| rest.split('"').next())
        .expect("a style sheet");
    for path in PAGES
        .into_iter()
        .chain([&*format!("/{style}"), "/nosuch", "/api/health"])
    {
        for headers in wrong {
            let refused = server.ask("GET", path, headers);
            assert_eq!(refused.status, 401, "{path}");
            let asks = refused.header("www-authenticate").expect("a browser asks");
            assert!(asks.starts_with("Basic"), "{asks}");
        }
        for headers in right {
            assert_ne!(server.ask("GET", path, headers).status, 401, "{path}");
        }
    }
    assert!(!server.log().contains("s3cret"));
}

#[test]
fn a_token_file_without_a_token_is_a_mistake() {
    let place = Place::with_zones();
    place.write(
        "meshdns.yaml",
        "ui: {listen: '127.0.0.1:0', tokenFile: token}\n",
    );
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "off",
        "--config",
        "meshdns.yaml",
    ];
    let (code, _, said) = place.run(&serve);
    assert_eq!(code, Some(65), "{said}");
    for empty in ["", "\n", "two words\n"] {
        place.write("token", empty);
        let (code, _, said) = place.run(&serve);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("ui.tokenFile"), "{said}");
    }
}

#[test]
fn a_given_port_that_is_taken_ends_the_start_and_the_default_one_does_not() {
    let place = Place::with_zones();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "off",
        "--ui",
        &address,
    ];
    let (code, _, said) = place.run(&serve);
    assert_eq!(code, Some(69), "{said}");
    assert!(
        said.contains("--ui off") && said.contains(&address),
        "{said}"
    );

    // Whoever has it, this test or another server: the second one goes without.
    let _default = TcpListener::bind("127.0.0.1:9154");
    let command = {
        let mut command = place.meshdns(&["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"]);
        command.arg("--log-format=text");
        command
    };
    let server = crate::program::Server::start(command);
    server.wait_for_log(&["127.0.0.1:9154", "--ui"]);
    assert_eq!(server.log_lines(&["serving the status pages"]), 0);
}

#[test]
fn parameters_that_nobody_knows_are_refused_by_name() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    for path in ["/?foo=1", "/about?foo=1", "/api/v1?foo=1"] {
        let refused = server.page(path);
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.body.contains("`foo`"), "{}", refused.body);
    }
    let refused = server.page("/api/v1/about?foo=1").json();
    assert_eq!(refused["error"]["code"], "unknownParameter");
    assert_eq!(server.page("/about?refresh=10").status, 200);
    assert!(
        server
            .page("/about?refresh=10")
            .body
            .contains("?refresh=10\"")
    );
}
