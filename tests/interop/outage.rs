//! What somebody on a VM sees whose meshdns dies or hangs, and comes back: by the C library alone, and with a resolver of
//! the VM's own. `docs/vm.md` has a table of it.
//!
//! A server that dies leaves a closed port, which tells whoever asks. One that hangs says nothing, as when its whole machine
//! is gone: its process is stopped and continued.

use std::{
    cell::Cell,
    net::IpAddr,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    forwarders::{machine, wait_for},
    internet,
    machine::{Daemon, Machine, SERVERS},
    mesh,
};

/// No lookup takes longer, on a machine as busy as it may be.
const MOST: Duration = Duration::from_secs(30);

/// How long the C library waits for a server, by the snippet's options.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A lookup as programs do it: `getaddrinfo`, which `getent` calls.
struct Lookup {
    is_found: bool,
    time: Duration,
}

fn look_up(machine: &Machine, name: &str) -> Lookup {
    let start = Instant::now();
    let printed = machine.text_of("getent", &["ahosts", name]);
    let time = start.elapsed();
    assert!(time < MOST, "{name}: {time:?}");
    let mut words = printed.lines().filter_map(|line| line.split(' ').next());
    let is_found = words.any(|word| word.parse::<IpAddr>().is_ok());
    Lookup { is_found, time }
}

#[track_caller]
fn is_found(machine: &Machine) -> Lookup {
    let lookup = look_up(machine, "v4.internal.com");
    assert!(lookup.is_found, "after {:?}", lookup.time);
    lookup
}

/// With one server, no name of the mesh resolves while it is gone; each lookup fails in the end, and the first one after
/// its return is answered.
pub(crate) fn one_name_server() {
    let machine = machine();
    let snippet = machine.snippet_for("resolv.conf", &SERVERS[..1]);
    machine.write("etc/resolv.conf", &snippet);
    let server = machine.serve(SERVERS[0]);
    is_found(&machine);
    server.signal(Signal::STOP);
    let lookup = look_up(&machine, "v4.internal.com");
    assert!(
        !lookup.is_found && lookup.time >= TIMEOUT,
        "it was waited for"
    );
    tell("one name server hangs", &lookup);
    server.signal(Signal::CONT);
    is_found(&machine);
    drop(server);
    let lookup = look_up(&machine, "v4.internal.com");
    assert!(!lookup.is_found);
    tell("one name server is dead", &lookup);
    let _server = machine.serve(SERVERS[0]);
    is_found(&machine);
}

/// With two servers each lookup is answered, whichever is gone; later where the first one hangs.
pub(crate) fn two_name_servers() {
    let machine = machine();
    machine.write("etc/resolv.conf", &machine.snippet("resolv.conf"));
    let [first, second] = SERVERS.map(|server| machine.serve(server));
    is_found(&machine);
    first.signal(Signal::STOP);
    let lookup = is_found(&machine);
    assert!(lookup.time >= TIMEOUT, "the first server was waited for");
    tell("the first of two name servers hangs", &lookup);
    first.signal(Signal::CONT);
    is_found(&machine);
    drop(first);
    tell("the first of two name servers is dead", &is_found(&machine));
    let _first = machine.serve(SERVERS[0]);
    drop(second);
    tell(
        "the second of two name servers is dead",
        &is_found(&machine),
    );
}

/// With a resolver of the VM's own that knows both servers, each name resolves at the second try at the latest.
pub(crate) fn local_resolver(start: fn(&Machine) -> Daemon, at: &str) {
    let machine = machine();
    let [first, second] = SERVERS.map(|server| machine.serve(server));
    let _resolver = start(&machine);
    wait_for(&machine, at, || "v4.internal.com".to_owned());
    machine.write("etc/resolv.conf", &format!("nameserver {at}\n"));
    let number = Cell::new(0);
    let fresh = || mesh::fresh(number.replace(number.get() + 1));
    let all_resolve = |state: &str| {
        let (mut second_tries, mut longest) = (0, Duration::ZERO);
        for _ in 0..20 {
            let name = fresh();
            let mut lookup = look_up(&machine, &name);
            longest = longest.max(lookup.time);
            if !lookup.is_found {
                second_tries += 1;
                lookup = look_up(&machine, &name);
            }
            assert!(lookup.is_found, "{name}, {state}");
        }
        crate::say(&format!(
            "{at}, {state}: {second_tries} second tries of 20, the longest took {longest:?}"
        ));
    };
    all_resolve("both are there");
    first.signal(Signal::STOP);
    all_resolve("the first one hangs");
    first.signal(Signal::CONT);
    all_resolve("it goes on");
    drop(first);
    all_resolve("it is dead");
    let _first = machine.serve(SERVERS[0]);
    drop(second);
    wait_for(&machine, at, fresh);
    all_resolve("it is back, the other one is dead");
}

/// Beside a server that does not know the mesh, names of the mesh don't exist.
pub(crate) fn beside_another_server() {
    let machine = machine();
    let _internet = internet::start(&machine);
    let _server = machine.serve(SERVERS[0]);
    let both = format!(
        "nameserver {}\nnameserver {}\n",
        internet::ADDRESS,
        SERVERS[0]
    );
    machine.write("etc/resolv.conf", &both);
    let mesh = look_up(&machine, "v4.internal.com");
    let other = look_up(&machine, "v4.example.org");
    assert_eq!((mesh.is_found, other.is_found), (false, true));
}

fn tell(state: &str, lookup: &Lookup) {
    let Lookup { is_found, time } = lookup;
    let found = if *is_found { "found" } else { "not found" };
    crate::say(&format!("{state}: {found} after {time:?}"));
}
