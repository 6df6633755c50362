//! The first load: what can't be read is unknown, not absent.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    process::Command,
    thread,
};

use crate::{
    harness::{Folder, Mesh, replace, service},
    program::{Server, ask},
};

/// Serves `folder`, with `internal.com` declared, as a user whom permissions bind, without waiting until it is ready.
fn begin(folder: &Folder, arguments: &[&str]) -> Server {
    begin_with(folder, &[&["--zone=internal.com"], arguments].concat())
}

/// The same with the arguments alone.
fn begin_with(folder: &Folder, arguments: &[&str]) -> Server {
    let mut command = Mesh::unprivileged(folder.path());
    command.args(arguments);
    let mut server = Server::spawn(command);
    server.http = server.address_in_log("serving /health, /ready and /metrics");
    server.dns = server.address_in_log("answering over UDP and TCP");
    server
}

const A: u8 = 1;
const AAAA: u8 = 28;

const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

fn rcode_of(server: &Server, name: &str, record_type: u8) -> Option<u8> {
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, record_type, 0, 1]);
    Some(ask(server.dns, &query)?[3] & 15)
}

fn rcode(server: &Server, name: &str) -> Option<u8> {
    rcode_of(server, name, A)
}

/// Longer than any test waits.
const WITHOUT_END: &str = "--start-patience=1h";

#[test]
fn while_a_file_can_not_be_read_the_rest_is_answered_and_nothing_is_denied() {
    let folder = Folder::with_one_service();
    let path = folder.join("svc2.yaml");
    fs::write(&path, service(2, "10.0.0.2")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let server = begin(&folder, &[WITHOUT_END]);
    server.wait("svc1", || {
        rcode(&server, "svc1.internal.com") == Some(NO_ERROR)
    });
    for name in ["svc2.internal.com", "other.internal.com", "example.com"] {
        assert_eq!(rcode(&server, name), Some(SERVER_FAILURE), "{name}");
    }
    // A host that is served has what it has.
    let has_no_aaaa = rcode_of(&server, "svc1.internal.com", AAAA);
    assert_eq!(has_no_aaaa, Some(NO_ERROR));
    let name = path.to_str().unwrap();
    let page = server.get("/ready");
    assert_eq!(page.status, 503);
    assert!(page.body.contains(name), "{}", page.body);
    assert_eq!(server.metric::<u32>("meshdns_unread"), 1);
    server.wait_for_log(&["WARN", "waiting for", name]);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    server.wait("ready", || server.is_ready());
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(NO_ERROR));
    assert_eq!(rcode(&server, "other.internal.com"), Some(NO_SUCH_NAME));
    assert_eq!(server.get("/ready").body, "OK\n");
    assert_eq!(server.metric::<u32>("meshdns_unread"), 0);
}

/// An upstream that knows no name at all.
fn upstream_without_names() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 4096];
        while let Ok((_, client)) = socket.recv_from(&mut query) {
            let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
            let mut reply = query[..12 + name + 5].to_vec();
            reply[2] |= 0x80;
            reply[3] = 0x80 | NO_SUCH_NAME;
            reply[6..12].fill(0);
            // Whoever asked may be gone.
            let _ = socket.send_to(&reply, client);
        }
    });
    address
}

#[test]
fn while_a_file_can_not_be_read_an_upstream_denies_nothing_that_may_be_in_it() {
    let folder = Folder::with_one_service();
    fs::write(folder.join("svc2.yaml"), [0; 512]).unwrap();
    let config = folder.above().join("meshdns.yaml");
    fs::write(
        &config,
        "zones: [{name: internal.com, unmatched: forward}]\n",
    )
    .unwrap();
    let arguments = [
        WITHOUT_END,
        &format!("--config={}", config.display()),
        &format!("--upstream={}", upstream_without_names()),
    ];
    let server = begin_with(&folder, &arguments);
    server.wait("svc1", || {
        rcode(&server, "svc1.internal.com") == Some(NO_ERROR)
    });
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(SERVER_FAILURE));
    // Nobody's search path breaks for it.
    assert_eq!(rcode(&server, "example.com"), Some(NO_SUCH_NAME));
    replace(&folder.join("svc2.yaml"), &service(3, "10.0.0.3"));
    server.wait("ready", || server.is_ready());
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(NO_SUCH_NAME));
    assert_eq!(rcode(&server, "svc3.internal.com"), Some(NO_ERROR));
}

#[test]
fn what_can_not_be_read_is_not_waited_for_without_end_and_the_server_says_what_is_missing() {
    let folder = Folder::with_one_service();
    let nested = folder.join("nested");
    fs::create_dir(&nested).unwrap();
    fs::write(nested.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    fs::set_permissions(&nested, Permissions::from_mode(0o000)).unwrap();
    let server = begin(&folder, &["--start-patience=100ms"]);
    server.wait("ready", || server.is_ready());
    let name = nested.to_str().unwrap();
    server.wait_for_log(&["ERROR", name, "can't be listed"]);
    server.wait_for_log(&["WARN", "ready without", name]);
    let page = server.get("/ready");
    assert!(page.body.starts_with("OK\n") && page.body.contains(name));
    assert_eq!(rcode(&server, "svc1.internal.com"), Some(NO_ERROR));
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(NO_SUCH_NAME));
    fs::set_permissions(&nested, Permissions::from_mode(0o755)).unwrap();
    server.wait("svc2", || {
        rcode(&server, "svc2.internal.com") == Some(NO_ERROR)
    });
    server.wait("no note", || server.get("/ready").body == "OK\n");
    server.wait_for_log(&["INFO", "everything is read"]);
}

#[test]
fn a_file_that_says_nothing_any_more_is_waited_for() {
    let folder = Folder::with_one_service();
    let files = ["html.yaml", "half.yaml", "nul.yaml"];
    let half = service(2, "10.0.0.2").replace("  hosts:\n", "  hosts: [\n");
    let contents: [&[u8]; 3] = [
        b"<html><p>502 Bad Gateway</p></html>\n",
        half.as_bytes(),
        &[0; 512],
    ];
    for (file, bytes) in files.iter().zip(contents) {
        fs::write(folder.join(file), bytes).unwrap();
    }
    let server = begin(&folder, &[WITHOUT_END]);
    server.wait("svc1", || {
        rcode(&server, "svc1.internal.com") == Some(NO_ERROR)
    });
    let page = server.get("/ready");
    assert_eq!(page.status, 503);
    for file in files {
        assert!(page.body.contains(file), "{file}: {}", page.body);
    }
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(SERVER_FAILURE));
    for (file, number) in files.iter().zip(2..) {
        assert!(!server.is_ready());
        replace(&folder.join(file), &service(number, "10.0.0.2"));
    }
    server.wait("ready", || server.is_ready());
    for number in 1..5 {
        let name = format!("svc{number}.internal.com");
        assert_eq!(rcode(&server, &name), Some(NO_ERROR), "{name}");
    }
}

#[test]
fn what_is_rejected_or_was_never_a_manifest_is_not_waited_for() {
    let folder = Folder::with_one_service();
    let files = [
        ("rejected.yaml", service(2, "10.0.0.256")),
        ("values.yaml", "replicas: 2\n".to_owned()),
        ("empty.yaml", String::new()),
        (
            "deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n".to_owned(),
        ),
        (
            "template.yaml",
            "{{- range .Values.hosts }}\nkind: ServiceEntry\n{{- end }}\n".to_owned(),
        ),
        ("package-lock.json", "{\"lockfileVersion\": 3}".to_owned()),
        ("README.md", "<html>".to_owned()),
    ];
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
    let server = begin(&folder, &[WITHOUT_END]);
    server.wait("ready", || server.is_ready());
    assert_eq!(server.get("/ready").body, "OK\n");
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(NO_SUCH_NAME));
}

#[test]
fn a_file_that_is_being_written_at_the_start_is_served_as_a_whole() {
    let folder = Folder::new();
    let text = format!("{}---\n{}", service(1, "10.0.0.1"), service(2, "10.0.0.1"));
    // Enough files that the first load takes a while, and one of them is written again and again.
    for number in 3..300 {
        let file = folder.join(&format!("svc{number}.yaml"));
        fs::write(file, service(number, "10.0.0.1")).unwrap();
    }
    let mut file = File::create(folder.join("zz.yaml")).unwrap();
    file.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
    let mut server = Server::spawn(Mesh::unprivileged(folder.path()));
    file.write_all(&text.as_bytes()[text.len() / 2..]).unwrap();
    drop(file);
    server.http = server.address_in_log("serving /health, /ready and /metrics");
    server.dns = server.address_in_log("answering over UDP and TCP");
    server.wait("ready", || server.is_ready());
    for number in [1, 2, 299] {
        let name = format!("svc{number}.internal.com");
        assert_eq!(rcode(&server, &name), Some(0), "{name}");
    }
}

#[test]
fn a_folder_without_a_manifest_says_so() {
    let folder = Folder::new();
    fs::write(folder.join("notes.txt"), "nothing").unwrap();
    let mesh = Mesh::start(folder.path());
    let name = folder.path().to_str().unwrap();
    mesh.wait_for_log(&["WARN", name, "MDNS021"]);
    let mut check = Command::new(env!("CARGO_BIN_EXE_meshdns"));
    let output = check.arg("check").arg(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("MDNS021") && text.contains("1 warning"),
        "{text}"
    );
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.1"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.1"]);
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"warning\"}", 0.0);
}
