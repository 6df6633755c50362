//! VMs with an application at the same port of each, which says how it is, or doesn't.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
};

use crate::fleet::{FullQueue, Vm, wait_for_end};

/// A VM with its application.
pub(crate) struct App {
    vm: Vm,
    says: Arc<AtomicU16>,
}

/// What an application says that hangs.
const HANGS: u16 = 0;

impl App {
    /// An application that is well.
    fn start(ip: &'static str, port: u16) -> Option<Self> {
        let says = Arc::new(AtomicU16::new(200));
        let said = says.clone();
        let vm = Vm::on(ip, port, move |mut stream, seen| {
            seen.read_request(&mut stream);
            match said.load(SeqCst) {
                HANGS => wait_for_end(stream),
                status => {
                    let reply = format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n");
                    let _ = stream.write_all(reply.as_bytes());
                }
            }
        });
        vm.ok().map(|vm| Self { vm, says })
    }

    /// Answers so from now on.
    pub(crate) fn say(&self, status: u16) {
        self.says.store(status, SeqCst);
    }

    /// Hangs from now on.
    pub(crate) fn hang(&self) {
        self.say(HANGS);
    }

    pub(crate) fn probes(&self) -> usize {
        self.vm.connections()
    }

    /// Waits until it has answered all that it was asked.
    pub(crate) fn wait_for_ends(&self) {
        self.vm.wait_for_ends();
    }

    /// Waits until it was probed so many times more.
    pub(crate) fn wait_for_probes(&self, count: usize) {
        self.vm.wait_for_connections(self.probes() + count);
    }
}

/// Starts an application on each of these addresses, all at one port, which comes back.
pub(crate) fn start<const N: usize>(ips: [&'static str; N]) -> ([App; N], u16) {
    loop {
        // Somebody else may have the port at one of the addresses.
        let port = free_port();
        let apps: Vec<App> = ips.iter().map_while(|ip| App::start(ip, port)).collect();
        if let Ok(apps) = apps.try_into() {
            return (apps, port);
        }
    }
}

/// A VM at `ip` that drops what comes to `port`.
pub(crate) fn drop_all(ip: &'static str, port: u16) -> FullQueue {
    FullQueue::on(ip, port)
}

fn free_port() -> u16 {
    crate::fleet::closed_port("127.8.0.1").port()
}
