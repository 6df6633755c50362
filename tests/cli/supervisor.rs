//! What systemd is told: the messages of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::{
    harness::Place,
    program::{PATIENCE, Server},
};

/// Where systemd listens.
struct Systemd(UnixDatagram);

impl Systemd {
    /// Waits for the next message that begins so, passing over signs of life.
    #[track_caller]
    fn hears(&self, expected: &str) {
        let mut message = [0; 256];
        loop {
            let length = self.0.recv(&mut message).expect("a message in time");
            let message = std::str::from_utf8(&message[..length]).expect("text");
            if message.starts_with(expected) {
                return;
            }
            assert_eq!(message, "WATCHDOG=1\n", "instead of {expected}");
        }
    }
}

#[test]
fn systemd_hears_how_the_server_is() {
    let place = Place::with_svc1();
    let socket = place.path("notify");
    let systemd = Systemd(UnixDatagram::bind(&socket).expect("a free name"));
    systemd
        .0
        .set_read_timeout(Some(PATIENCE))
        .expect("a time above 0");
    let mut command = place.meshdns(&["serve", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"]);
    command
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "200000");
    let mut server = Server::start(command);
    systemd.hears("READY=1\n");
    systemd.hears("WATCHDOG=1\n");
    server.signal(Signal::HUP);
    systemd.hears("RELOADING=1\nMONOTONIC_USEC=");
    systemd.hears("READY=1\n");
    server.signal(Signal::TERM);
    systemd.hears("STOPPING=1\n");
    assert!(server.wait_for_end().success());
}
