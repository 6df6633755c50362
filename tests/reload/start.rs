//! The first load: what can't be read is unknown, not absent.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    process::Command,
};

use crate::{
    harness::{Folder, Mesh, replace, service},
    program::{Server, ask},
};

/// Serves `folder` as a user whom permissions bind, without waiting until it is ready.
fn begin(folder: &Folder) -> Server {
    let mut server = Server::spawn(Mesh::unprivileged(folder.path()));
    server.http = server.address_in_log("serving /health, /ready and /metrics");
    server.dns = server.address_in_log("answering over UDP and TCP");
    server
}

fn rcode(server: &Server, name: &str) -> Option<u8> {
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    Some(ask(server.dns, &query)?[3] & 15)
}

#[test]
fn a_file_that_can_not_be_read_yet_keeps_the_server_from_being_ready() {
    let folder = Folder::with_one_service();
    let path = folder.join("svc2.yaml");
    fs::write(&path, service(2, "10.0.0.2")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let server = begin(&folder);
    server.wait_for_log(&["WARN", "waiting for files", path.to_str().unwrap()]);
    assert!(!server.is_ready());
    // Nobody is told that it does not exist.
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(2));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    server.wait("ready", || server.is_ready());
    assert_eq!(rcode(&server, "svc2.internal.com"), Some(0));
    assert_eq!(server.log_lines(&["ERROR"]), 0);
}

#[test]
fn a_file_that_can_not_be_read_does_not_keep_it_so_for_ever() {
    let folder = Folder::with_one_service();
    let nested = folder.join("nested");
    fs::create_dir(&nested).unwrap();
    fs::write(nested.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    fs::set_permissions(&nested, Permissions::from_mode(0o000)).unwrap();
    let server = begin(&folder);
    server.wait("ready", || server.is_ready());
    server.wait_for_log(&["ERROR", nested.to_str().unwrap(), "can't be listed"]);
    assert_eq!(rcode(&server, "svc1.internal.com"), Some(0));
    fs::set_permissions(&nested, Permissions::from_mode(0o755)).unwrap();
    server.wait("svc2", || rcode(&server, "svc2.internal.com") == Some(0));
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
    let server = Server::spawn(Mesh::unprivileged(folder.path()));
    file.write_all(&text.as_bytes()[text.len() / 2..]).unwrap();
    drop(file);
    let mut server = server;
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
