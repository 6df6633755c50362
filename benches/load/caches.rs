//! Resolvers of others that keep answers, each with as many workers as it is told, in front of one authority.

use std::process::Command;

use anyhow::{Context, Result};

use crate::others::{Other, Place};

/// What the tables call unbound, with which answers from the cache are compared.
pub(crate) const UNBOUND: &str = "unbound";

/// All of them.
pub(crate) static CACHES: [Other; 2] = [
    Other {
        name: UNBOUND,
        program: "unbound",
        version_flag: "-V",
        command: unbound,
    },
    Other {
        name: "CoreDNS",
        program: "coredns",
        version_flag: "-version",
        command: coredns,
    },
];

/// Without validation, and with room for every name.
fn unbound(place: &Place) -> Result<Command> {
    let configuration = format!(
        "\
server:
    num-threads: {workers}
    interface: 127.0.0.1@{port}
    interface: ::1@{port}
    username: \"\"
    chroot: \"\"
    pidfile: \"\"
    directory: \"{own}\"
    use-syslog: no
    do-daemonize: no
    verbosity: 0
    module-config: \"iterator\"
    do-not-query-localhost: no
    msg-cache-size: 256m
    rrset-cache-size: 512m
remote-control:
    control-enable: no
forward-zone:
    name: \".\"
    forward-addr: 127.0.0.1@{authority}
",
        workers = place.workers,
        port = place.port,
        own = place.own.display(),
        authority = authority(place)?,
    );
    let mut command = Command::new(&place.program);
    command
        .arg("-d")
        .arg("-c")
        .arg(place.write(&configuration)?);
    Ok(command)
}

/// With room for every name: its cache has parts that need not fill evenly.
fn coredns(place: &Place) -> Result<Command> {
    let configuration = format!(
        "\
.:{port} {{
    bind 127.0.0.1 ::1
    errors
    cache 3600 {{
        success 4000000 3600
    }}
    forward . 127.0.0.1:{authority}
}}
",
        port = place.port,
        authority = authority(place)?,
    );
    let mut command = Command::new(&place.program);
    command
        .env("GOMAXPROCS", place.workers.to_string())
        .arg("-conf")
        .arg(place.write(&configuration)?);
    Ok(command)
}

fn authority(place: &Place) -> Result<u16> {
    place.authority.context("a cache has somebody to ask")
}
