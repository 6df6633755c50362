//! The pages that set a resolver up: their `console` blocks are run in a machine that serves the sample folder.

use std::{fs, path::Path};

use crate::{
    forwarders::run_dnsmasq,
    machine::{Daemon, Machine, SERVERS},
    needs,
    program::console::steps,
};

/// Runs a page's commands. What starts a program is done in the test's own way, so that it ends with the test.
#[track_caller]
fn walk(page: &str, machine: &Machine, start: impl Fn(&str) -> Option<Daemon>) {
    let binary = Path::new(env!("CARGO_BIN_EXE_meshdns"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        needs::path()
    );
    let shell = || {
        let mut shell = machine.command("env");
        shell.arg("-C").arg(machine.path("")).arg("bash");
        shell.env("PATH", &path);
        shell
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let steps = steps(&fs::read_to_string(page).expect("the page is there"));
    assert!(!steps.is_empty(), "the page has commands");
    let mut started = Vec::new();
    for step in steps {
        match start(&step.command) {
            Some(daemon) => started.push(daemon),
            None => step.check(shell, &step.command),
        }
    }
}

/// A machine whose mesh folder is the sample.
fn machine() -> Machine {
    let machine = Machine::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/zones/.");
    machine.run(
        "cp",
        &["-r", sample, &machine.path("zones").to_string_lossy()],
    );
    machine
}

pub(crate) fn vm() {
    let machine = machine();
    let _servers = SERVERS.map(|server| machine.serve(server));
    walk("docs/vm.md", &machine, |command| match command {
        "systemctl restart systemd-resolved" => Some(machine.daemon("systemd-resolved", &[])),
        "systemctl restart dnsmasq" => Some(run_dnsmasq(&machine)),
        _ => None,
    });
}

pub(crate) fn coredns() {
    let machine = machine();
    let _server = machine.serve("127.0.0.1:5300");
    walk("docs/coredns.md", &machine, |command| {
        let corefile = machine.path("Corefile");
        let arguments = ["-conf", &*corefile.to_string_lossy()];
        let starts = command == "coredns -conf Corefile &";
        starts.then(|| machine.daemon("coredns", &arguments))
    });
}
