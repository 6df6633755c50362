//! The certificate changes while the server runs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::process::Signal;

use crate::{
    harness::{Place, Server, answers, ask_for, exchange},
    secure::{Certificate, VERSIONS, connect_tls, https::Https, quic::Quic},
};

const EXPIRY: &str = "meshdns_tls_certificate_expiry_timestamp_seconds";
const RELOADS: &str = "meshdns_tls_reload_total";
const FAILURES: &str = "meshdns_tls_reload_failed_total";

/// Seconds to the first days of 2100 and 2101.
const YEAR_2100: u64 = 4_102_444_800;
const YEAR_2101: u64 = 4_133_980_800;

/// Whether handshakes over TLS and QUIC show this certificate.
fn is_shown(server: &Server, certificate: &Certificate) -> bool {
    let config = certificate.client(&["dot"], &VERSIONS);
    answers(&mut connect_tls(server.tls, config))
        && Quic::offering(server.quic, certificate, &["doq"]).is_ok()
}

#[test]
fn another_certificate_is_shown_without_a_question_lost() {
    let server = Server::start();
    let query = ask_for("one.internal.com", &[]);
    let (mut tls, mut https, quic) = (server.tls(), server.https(true), server.quic());
    let is_over = AtomicBool::new(false);
    let next = Certificate::valid(2020, 2101);
    assert_eq!(server.program.metric::<u64>(EXPIRY), YEAR_2100);
    let asked = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::SeqCst) {
                let sizes = [
                    exchange(&mut tls, &query).len(),
                    https.post(&query).body.len(),
                    quic.ask(&query).len(),
                ];
                assert_eq!(sizes, [sizes[0]; 3]);
                asked += 1;
            }
            asked
        });
        next.write(server.place.folder.path());
        server
            .program
            .wait("the next certificate", || is_shown(&server, &next));
        assert!(!is_shown(&server, &server.place.certificate));
        is_over.store(true, Ordering::SeqCst);
        load.join().expect("no question is lost")
    });
    assert!(asked > 0);
    assert_eq!(server.program.metric::<u64>(EXPIRY), YEAR_2101);
    assert_eq!(server.program.metric::<u64>(RELOADS), 1);
    assert_eq!(server.program.metric::<u64>(FAILURES), 0);
    assert_eq!(
        Https::connect(server.https, &next, false)
            .post(&query)
            .status,
        200
    );
}

#[test]
fn a_bad_certificate_keeps_the_old_one() {
    let server = Server::start();
    let other = Certificate::new();
    for (number, (name, text, told)) in [
        ("tls.crt", "no certificate", "holds no certificate"),
        (
            "tls.crt",
            other.pem.as_str(),
            "is not that of the first certificate",
        ),
        ("tls.key", "", "holds no private key"),
    ]
    .into_iter()
    .enumerate()
    {
        server.place.write(name, text);
        server.program.signal(Signal::HUP);
        server
            .program
            .wait_for_log(&["ERROR", "the certificate stays as it was", told]);
        assert_eq!(server.program.metric::<usize>(FAILURES), number + 1);
        assert!(is_shown(&server, &server.place.certificate));
        if name == "tls.crt" {
            server.place.certificate.write(server.place.folder.path());
        }
    }
    fs::remove_file(server.place.path("tls.key")).expect("it is there");
    server
        .program
        .wait_for_log(&["the certificate stays as it was: read tls.key: No such file"]);
    assert!(is_shown(&server, &server.place.certificate));
    let next = Certificate::new();
    next.write(server.place.folder.path());
    server
        .program
        .wait("the next certificate", || is_shown(&server, &next));
    assert_eq!(
        server.program.log_lines(&["holds no certificate"]),
        1,
        "told once"
    );
}

#[test]
fn a_certificate_may_come_before_its_key() {
    let server = Server::start();
    let next = Certificate::new();
    server.place.write("tls.crt", &next.pem);
    assert!(is_shown(&server, &server.place.certificate));
    server.place.write("tls.key", &next.key);
    server
        .program
        .wait("the next certificate", || is_shown(&server, &next));
    assert_eq!(server.program.metric::<u64>(FAILURES), 0);
}

#[test]
fn secrets_of_kubernetes_are_swapped_as_a_whole() {
    let place = Place::new();
    let mount = place.path("secret");
    let swap = |version: &str, certificate: &Certificate| {
        let folder = mount.join(version);
        fs::create_dir_all(&folder).expect("a folder");
        certificate.write(&folder);
        symlink(version, mount.join("..data_tmp")).expect("a link");
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("a swap");
    };
    swap("..1", &place.certificate);
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), mount.join(name)).expect("a link");
    }
    let server = Server::at(
        place,
        "tls: {certificate: secret/tls.crt, key: secret/tls.key}\n",
        &[],
    );
    assert!(is_shown(&server, &server.place.certificate));
    let next = Certificate::new();
    swap("..2", &next);
    fs::remove_dir_all(mount.join("..1")).expect("it is ours");
    server
        .program
        .wait("the next certificate", || is_shown(&server, &next));
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let place = Place::with(Certificate::valid(2000, 2001));
    let server = Server::at(place, "", &[]);
    server
        .program
        .wait_for_log(&["WARN", "expired at 2001-01-01T00:00:00Z", "tls.crt"]);
    assert!(
        !is_shown(&server, &server.place.certificate),
        "clients refuse it"
    );
    let next = Certificate::new();
    next.write(server.place.folder.path());
    server
        .program
        .wait("the next certificate", || is_shown(&server, &next));
}
