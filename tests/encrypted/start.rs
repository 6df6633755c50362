//! What is told of a certificate or a listener that can't be used: one line, with the place and the cure.

use std::{
    net::{TcpListener, UdpSocket},
    process::Command,
};

use crate::{harness::Place, secure::Certificate};

/// Checks that a command fails with this code and says all of `parts` in one line.
#[track_caller]
fn check_failure(mut command: Command, code: i32, parts: &[&str]) {
    let output = command.output().expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} in {stderr}");
    }
}

/// Serves with these flags at a TLS listener.
fn serve(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.meshdns(&["serve", "--http=off", "--listen", "127.0.0.1:0"]);
    command
        .args(["--listen", "tls://127.0.0.1:0"])
        .args(arguments);
    command
}

const FILES: [&str; 4] = ["--tls-certificate", "tls.crt", "--tls-key", "tls.key"];

#[test]
fn encrypted_listeners_take_a_certificate_and_its_key() {
    let place = Place::new();
    let both = [
        "tls://127.0.0.1:0",
        "--tls-certificate",
        "--tls-key",
        "`tls.key`",
    ];
    check_failure(serve(&place, &[]), 78, &both);
    let no_key = ["tls.crt has no key", "--tls-key"];
    check_failure(serve(&place, &FILES[..2]), 78, &no_key);
    let no_certificate = ["tls.key has no certificate", "--tls-certificate"];
    check_failure(serve(&place, &FILES[2..]), 78, &no_certificate);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let place = Place::new();
    let check = |name: &str, text: &str, code: i32, parts: &[&str]| {
        place.certificate.write(place.folder.path());
        place.write(name, text);
        check_failure(serve(&place, &FILES), code, parts);
        place.write(
            "meshdns.yaml",
            "listen: 'tls://:853'\ntls: {certificate: tls.crt, key: tls.key}\n",
        );
        let check = ["check", "zones", "--config", "meshdns.yaml"];
        check_failure(place.meshdns(&check), code, parts);
    };
    check("tls.crt", "", 78, &["tls.crt", "BEGIN CERTIFICATE"]);
    check(
        "tls.crt",
        &place.certificate.key,
        78,
        &["tls.crt", "BEGIN CERTIFICATE"],
    );
    check(
        "tls.key",
        &place.certificate.pem,
        78,
        &["tls.key", "BEGIN PRIVATE KEY"],
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check("tls.crt", broken, 78, &["tls.crt", "malformed"]);
    let unended = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    check("tls.crt", unended, 78, &["tls.crt as PEM"]);
    let other = Certificate::new().key;
    check(
        "tls.key",
        &other,
        78,
        &["tls.key", "tls.crt", "is not that of"],
    );
    let long = "\n".repeat((1 << 20) + 1);
    check(
        "tls.key",
        &long,
        78,
        &["tls.key has more than 1048576 bytes"],
    );
    std::fs::remove_file(place.path("tls.crt")).expect("it is there");
    check_failure(serve(&place, &FILES), 65, &["read tls.crt: No such file"]);
}

#[test]
fn check_knows_listeners_and_certificates() {
    let place = Place::new();
    let check = |configuration: &str| {
        place.write("meshdns.yaml", configuration);
        place.meshdns(&["check", "zones", "--config", "meshdns.yaml"])
    };
    check_failure(
        check("listen: 'quic://:853'\n"),
        78,
        &["quic://0.0.0.0:853", "`tls.certificate`"],
    );
    check_failure(
        check("listen:\n  - 'tcp://:853'\n"),
        78,
        &[
            "meshdns.yaml:2:5: listen[0]: invalid value `tcp://:853`",
            "tls://",
        ],
    );
    check_failure(
        check("listen: 'https://:443/a b'\n"),
        78,
        &["meshdns.yaml:1:9: ", "https://IP:PORT/PATH"],
    );
    let files = "tls: {certificate: tls.crt, key: tls.key}\n";
    let good = check(files).output().expect("the binary runs");
    assert!(good.status.success(), "{good:?}");
    Certificate::valid(2000, 2001).write(place.folder.path());
    let expired = check(files).output().expect("the binary runs");
    assert!(expired.status.success(), "{expired:?}");
    let told = String::from_utf8_lossy(&expired.stderr);
    assert!(
        told.contains("tls.crt: the certificate has expired at 2001-01-01"),
        "{told}"
    );
}

#[test]
fn a_busy_port_is_one_clear_line() {
    let place = Place::new();
    let listen = |scheme: &str, address: &str| {
        let mut command = place.meshdns(&["serve", "--http=off"]);
        command
            .args(["--listen", &format!("{scheme}://{address}")])
            .args(FILES);
        command
    };
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let tcp = tcp.local_addr().map(|address| (tcp, address.to_string()));
    let (_tcp, address) = tcp.expect("it is bound");
    for scheme in ["tls", "https"] {
        check_failure(
            listen(scheme, &address),
            69,
            &[&address, "(TCP)", "--listen"],
        );
    }
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = udp.local_addr().expect("it is bound").to_string();
    check_failure(
        listen("quic", &address),
        69,
        &[&address, "(UDP)", "--listen"],
    );
    check_failure(
        listen("tls", "192.0.2.1:0"),
        69,
        &["does not have the address"],
    );
}

#[test]
fn plain_listeners_are_not_needed() {
    let place = Place::new();
    let mut command = place.meshdns(&["serve", "--http", "127.0.0.1:0"]);
    command.args(["--listen", "tls://127.0.0.1:0"]).args(FILES);
    let program = crate::program::Server::spawn(command);
    let address = program.address_in_log("answering over TLS");
    program.wait_for_log(&["mesh loaded"]);
    assert_eq!(program.log_lines(&["answering over UDP and TCP"]), 0);
    let config = place.certificate.client(&["dot"], &crate::secure::VERSIONS);
    let mut stream = crate::secure::connect_tls(address, config);
    assert!(crate::harness::answers(&mut stream));
}
