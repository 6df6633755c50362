//! Shares as they arrive: programs look a host up whose Pods are to have a tenth, and where each would connect is counted.
//!
//! What is counted is lookups, never time: an answer that a cache keeps is a name of its own below a wildcard, asked many times in
//! a row, so that a busy machine and a quiet one count alike. A program that is right by chance fails a run in 100,000.

mod mesh;
mod page;

use std::{collections::BTreeMap, net::IpAddr};

pub(crate) use page::{is_row, page};

use self::mesh::{ELSEWHERE, MANY, NEAR, Place};
use crate::{
    LOOPBACK, RESOLVED,
    clients::{self, Client},
    coredns::{CACHE, SHUFFLE, with},
    forwarders::{self, coredns_block, coredns_with, wait_for},
    machine::{Daemon, Machine, SERVERS},
    needs::{self, Need},
};

/// What Pods are to have, in percent.
const WANTED: f64 = 10.0;

/// How many names are looked up by way of a cache that serves many, and how often each: an answer that is kept is one name's.
const NAMES: usize = 100;
const EACH: usize = 50;

/// One row of the table.
struct Row {
    client: &'static str,
    /// The command that tells the version.
    version: &'static str,
    way: Way,
}

/// How a question comes to meshdns.
#[derive(Clone, Copy)]
enum Way {
    /// A program asks meshdns for itself.
    Direct(fn(&Machine) -> Client, Place, Without),
    /// A VM's own resolver asks, and keeps answers for that VM alone.
    OwnResolver(fn(&Machine) -> Daemon, &'static str),
    /// A resolver asks for many, of whom each takes the first address of what glibc makes of its answer.
    ForMany(fn(&Machine) -> Daemon, Place, Asker, Worst),
}

/// What becomes of a host with the same endpoints that has no share.
#[derive(Clone, Copy)]
enum Without {
    /// All lookups lead to the VM with the nearest address.
    Nearest,
    /// Each address has an equal part: Pods a third.
    Even,
}

/// What meshdns takes a resolver for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Asker {
    /// One that `forwarders` lists.
    Listed,
    /// The same where forwarders are to get one side at a time.
    ListedForSides,
    /// A client.
    Unknown,
}

/// What may happen while one answer lasts.
#[derive(Clone, Copy)]
enum Worst {
    /// At most 40 % go to Pods.
    Smooth,
    /// All go to Pods.
    All,
    /// None does, whatever the share.
    Nothing,
}

/// What arrived, in percent.
struct Arrived {
    /// Lookups that lead to a Pod.
    share: f64,
    /// The same of the name of which it is most; `None` where nobody keeps answers for many.
    worst: Option<f64>,
}

/// Makes a test and a row of each: client, command for the version, whether scripts/install-tools.sh brings it, how it asks.
macro_rules! shares {
    ($($test:ident: $client:expr, $version:expr, $is_installed:expr, $way:expr;)*) => {
        const ROWS: &[Row] = &[$(Row {
            client: $client,
            version: $version,
            way: $way,
        }),*];

        $(#[test]
        fn $test() {
            check($version, $is_installed, $way);
        })*
    };
}

use Asker::{Listed, ListedForSides, Unknown};
use Way::{Direct, ForMany, OwnResolver};
use Without::{Even, Nearest};
use Worst::{All, Nothing, Smooth};

#[rustfmt::skip]
shares! {
    glibc: "glibc, `getaddrinfo`", "getent --version", true, Direct(clients::glibc, NEAR, Nearest);
    glibc_elsewhere: "glibc, `getaddrinfo`", "getent --version", true, Direct(clients::glibc, ELSEWHERE, Even);
    python: "Python, `socket.getaddrinfo` (glibc)", "python3 --version", true, Direct(clients::python, NEAR, Nearest);
    node_lookup: "Node, `dns.lookup` (glibc)", "node --version", false, Direct(clients::node_lookup, NEAR, Nearest);
    java: "Java, `InetAddress` (glibc), `networkaddress.cache.ttl=0`", "java --version", false, Direct(clients::java, NEAR, Nearest);
    node_resolve: "Node, `dns.resolve` (its own c-ares)", "node -p process.versions.ares", false, Direct(clients::node_resolve, NEAR, Even);
    c_ares: "c-ares, `ares_getaddrinfo`", "package libc-ares-dev", true, Direct(clients::c_ares, NEAR, Even);
    go: "Go, its own resolver", "go version", false, Direct(clients::go, NEAR, Even);
    musl: "musl, `getaddrinfo`", "package musl-dev", true, Direct(clients::musl, NEAR, Even);
    dnsmasq: "dnsmasq", "dnsmasq --version", true, OwnResolver(forwarders::dnsmasq, LOOPBACK);
    unbound: "unbound", "unbound -V", true, OwnResolver(forwarders::unbound, LOOPBACK);
    systemd_resolved: "systemd-resolved", "systemd-resolved --version", true, OwnResolver(forwarders::systemd_resolved, RESOLVED);
    coredns: "CoreDNS, by its snippet", "coredns -version", false, ForMany(forwarders::coredns, MANY, Unknown, Smooth);
    coredns_listed: "CoreDNS, by its snippet", "coredns -version", false, ForMany(forwarders::coredns, MANY, Listed, Smooth);
    coredns_listed_for_neighbours: "CoreDNS, by its snippet", "coredns -version", false, ForMany(forwarders::coredns, NEAR, Listed, Nothing);
    coredns_sides_for_neighbours: "CoreDNS, by its snippet", "coredns -version", false, ForMany(forwarders::coredns, NEAR, ListedForSides, Smooth);
    coredns_caches_and_shuffles: "CoreDNS with `cache` and `loadbalance`", "coredns -version", false, ForMany(coredns_caching_and_shuffling, MANY, Listed, Smooth);
    coredns_caches: "CoreDNS with `cache` alone", "coredns -version", false, ForMany(coredns_caching, MANY, Listed, All);
    coredns_caches_unknown: "CoreDNS with `cache` and `loadbalance`", "coredns -version", false, ForMany(coredns_caching_and_shuffling, MANY, Unknown, All);
    unbound_for_many: "unbound", "unbound -V", true, ForMany(forwarders::unbound, MANY, Listed, Smooth);
    dnsmasq_for_many: "dnsmasq", "dnsmasq --version", true, ForMany(forwarders::dnsmasq, MANY, Listed, Smooth);
    bind_for_many: "BIND", "named -v", true, ForMany(forwarders::bind, MANY, Listed, Smooth);
}

fn coredns_caching(machine: &Machine) -> Daemon {
    coredns_with(machine, &with(&coredns_block(machine), CACHE))
}

fn coredns_caching_and_shuffling(machine: &Machine) -> Daemon {
    let block = with(&coredns_block(machine), CACHE);
    coredns_with(machine, &with(&block, SHUFFLE))
}

/// Holds what arrives to what was wanted, unless this machine lacks the program, or does not allow machines of their own.
fn check(version: &str, is_installed: bool, way: Way) {
    let lack = format!("`{version}` does not run");
    match (crate::version(version), is_installed) {
        (None, true) => needs::skip(&lack),
        (None, false) => needs::pass_over(&lack),
        (Some(_), _) if needs::met(&[Need::MachineOfItsOwn]) => {
            measure(way);
        }
        (Some(_), _) => {}
    }
}

/// What arrives, held to what was wanted.
#[track_caller]
fn measure(way: Way) -> Arrived {
    match way {
        Direct(client, place, without) => direct(client, place, without),
        OwnResolver(start, at) => own_resolver(start, at),
        ForMany(start, place, asker, worst) => for_many(start, place, asker, worst),
    }
}

#[track_caller]
fn direct(client: fn(&Machine) -> Client, place: Place, without: Without) -> Arrived {
    let machine = mesh::machine();
    machine.write("etc/resolv.conf", &machine.snippet("resolv.conf"));
    let _servers = SERVERS.map(|server| machine.serve(server));
    let client = client(&machine);
    let even = vec![place.without_share; 400];
    let counts = Counts::of(&client.look(&machine, &even));
    match without {
        Nearest => {
            counts.is_within(0.0, 0.0);
            assert_eq!(counts.firsts.len(), 1, "one VM has all: {counts:?}");
        }
        // Five deviations from a third of 400.
        Even => counts.is_within(21.5, 45.2),
    }
    let counts = Counts::of(&client.look(&machine, &vec![place.shared; NAMES * EACH]));
    counts.is_within(8.0, 12.0);
    Arrived {
        share: counts.share(),
        worst: None,
    }
}

#[track_caller]
fn own_resolver(start: fn(&Machine) -> Daemon, at: &str) -> Arrived {
    let machine = mesh::machine();
    machine.write("etc/resolv.conf", &format!("nameserver {at}\n"));
    let _servers = SERVERS.map(|server| machine.serve(server));
    let _resolver = start(&machine);
    let names: Vec<String> = (0..NAMES * EACH)
        .map(|number| NEAR.name_below(number))
        .collect();
    wait_for(&machine, at, || NEAR.shared.to_owned());
    let counts = Counts::looked_up(&machine, &names);
    counts.is_within(8.0, 12.0);
    Arrived {
        share: counts.share(),
        worst: None,
    }
}

#[track_caller]
fn for_many(start: fn(&Machine) -> Daemon, place: Place, asker: Asker, worst: Worst) -> Arrived {
    let machine = mesh::machine();
    machine.write("etc/resolv.conf", &format!("nameserver {LOOPBACK}\n"));
    let flag = mesh::flag_for(&machine, asker);
    let flags: Vec<&str> = flag.iter().map(String::as_str).collect();
    let _servers = SERVERS.map(|server| machine.serve_with(server, &flags));
    let _resolver = start(&machine);
    wait_for(&machine, LOOPBACK, || place.shared.to_owned());
    let names: Vec<String> = (0..NAMES * EACH)
        .map(|number| place.name_below(number / EACH))
        .collect();
    let counts = Counts::looked_up(&machine, &names);
    let most = counts.worst();
    match worst {
        Smooth => {
            counts.is_within(8.0, 12.0);
            assert!(most <= 40.0, "{most} % of one answer's lookups");
        }
        // One draw in ten leads everybody to Pods: of 100, never none.
        All => assert!(most > 60.0, "{most} % of one answer's lookups"),
        Nothing => counts.is_within(0.0, 0.0),
    }
    Arrived {
        share: counts.share(),
        worst: Some(most),
    }
}

/// Lookups by where they lead.
#[derive(Debug, Default)]
struct Counts {
    /// By name, to Pods and in all.
    names: BTreeMap<String, (usize, usize)>,
    /// How often each address came first.
    firsts: BTreeMap<IpAddr, usize>,
}

impl Counts {
    /// What glibc finds for each of these names.
    #[track_caller]
    fn looked_up(machine: &Machine, names: &[String]) -> Self {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::of(&clients::glibc(machine).look(machine, &names))
    }

    /// What a client printed: a line for each lookup, with a name and its addresses. It connects to the first one.
    #[track_caller]
    fn of(printed: &str) -> Self {
        let mut counts = Self::default();
        for line in printed.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            let first = words.next().and_then(|word| word.parse().ok());
            let first: IpAddr = first.unwrap_or_else(|| panic!("no address in {line:?}"));
            *counts.firsts.entry(first).or_default() += 1;
            let (to_pods, all) = counts.names.entry(name.to_owned()).or_default();
            *to_pods += usize::from(mesh::is_pod(first));
            *all += 1;
        }
        counts
    }

    /// The percentage of lookups that lead to a Pod.
    fn share(&self) -> f64 {
        let sums = self.names.values().fold((0, 0), |sums, counts| {
            (sums.0 + counts.0, sums.1 + counts.1)
        });
        percent(sums)
    }

    /// That of the name of which it is most.
    fn worst(&self) -> f64 {
        self.names
            .values()
            .copied()
            .map(percent)
            .fold(0.0, f64::max)
    }

    #[track_caller]
    fn is_within(&self, least: f64, most: f64) {
        let share = self.share();
        assert!(
            (least..=most).contains(&share),
            "{share} % lead to Pods, {:?}",
            self.firsts
        );
    }
}

/// A part of a whole.
#[allow(clippy::cast_precision_loss, reason = "numbers of lookups are small")]
fn percent((part, whole): (usize, usize)) -> f64 {
    100.0 * part as f64 / whole as f64
}
