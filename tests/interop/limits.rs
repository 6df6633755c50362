//! A host of more addresses than an answer holds where nobody says how many: nobody meets a truncated answer.

use crate::{
    LOOPBACK, clients,
    forwarders::{self, wait_for},
    machine::{Machine, SERVERS},
    mesh,
};

const HOST: &str = "many.internal.com";

/// More than BIND takes, and far more than fit 512 bytes.
const COUNT: u8 = 150;

/// What fits a message of 512 bytes, and one of 1232.
const FITTING: std::ops::RangeInclusive<usize> = 25..=75;

fn machine() -> Machine {
    let machine = forwarders::machine();
    let endpoints = (1..=COUNT).map(|last| format!("{{address: 10.5.0.{last}}}"));
    let endpoints = endpoints.collect::<Vec<_>>().join(", ");
    let text = mesh::service_entry(HOST, &format!("endpoints: [{endpoints}]"));
    machine.write("zones/many.yaml", &text);
    machine
}

/// It never asks over TCP, and finds what an answer holds.
pub(crate) fn musl() {
    let machine = machine();
    machine.write("etc/resolv.conf", &machine.snippet("resolv.conf"));
    let _servers = SERVERS.map(|server| machine.serve(server));
    let printed = clients::musl(&machine).look(&machine, &[HOST]);
    let found = printed.split_whitespace().count() - 1;
    assert!(FITTING.contains(&found), "{found}: {printed}");
}

/// It refuses more than 100 addresses, which it never gets over UDP.
pub(crate) fn bind() {
    let machine = machine();
    let _servers = SERVERS.map(|server| machine.serve(server));
    let _bind = forwarders::bind(&machine);
    wait_for(&machine, LOOPBACK, || "v4.internal.com".to_owned());
    let reply = machine.dig(&["@127.0.0.1", HOST]);
    assert_eq!(reply.status, "NOERROR");
    let found = reply.addresses.len();
    assert!(FITTING.contains(&found), "{reply:?}");
}
