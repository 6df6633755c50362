//! The servers of others, each with as many workers as it is told and the zone file that says what the mesh folder does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    data::{ZONE, zone_file},
    servers::{Server, find, free_port, own_folder},
};

/// What the tables call Knot, with which meshdns is compared.
pub(crate) const KNOT: &str = "Knot";

/// A server of others.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    pub(crate) version_flag: &'static str,
    /// From its program, port, workers, own folder and what it answers from to the command that starts it.
    pub(crate) command: fn(&Place) -> Result<Command>,
}

/// Where a server runs.
pub(crate) struct Place {
    pub(crate) program: PathBuf,
    pub(crate) port: u16,
    pub(crate) workers: u32,
    pub(crate) own: PathBuf,
    zone: PathBuf,
    /// The port of the server that a cache forwards to.
    pub(crate) authority: Option<u16>,
}

/// All of them.
pub(crate) static OTHERS: [Other; 4] = [
    Other {
        name: KNOT,
        program: "knotd",
        version_flag: "-V",
        command: knot,
    },
    Other {
        name: "NSD",
        program: "nsd",
        version_flag: "-v",
        command: nsd,
    },
    Other {
        name: "BIND",
        program: "named",
        version_flag: "-v",
        command: bind,
    },
    Other {
        name: "CoreDNS",
        program: "coredns",
        version_flag: "-version",
        command: coredns,
    },
];

impl Other {
    /// Starts it, with the zone file below `folder`, or where it is a cache, with the port of an `authority`.
    pub(crate) fn start(
        &self,
        workers: u32,
        folder: &Path,
        authority: Option<u16>,
    ) -> Result<Server> {
        let port = free_port()?;
        let program = find(self.program).with_context(|| {
            format!(
                "{} is not on the PATH; `make bench` installs it",
                self.program
            )
        })?;
        let place = Place {
            program,
            port,
            workers,
            own: own_folder(folder, self.name, port)?,
            zone: zone_file(folder),
            authority,
        };
        Server::start(self.name, port, workers, (self.command)(&place)?, folder)
    }

    /// The number of its version; nothing where the program is not there.
    pub(crate) fn version(&self) -> Option<String> {
        let output = Command::new(find(self.program)?)
            .arg(self.version_flag)
            .output()
            .ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let number = &text[text.find(|letter: char| letter.is_ascii_digit())?..];
        let end = number.find(|letter: char| letter != '.' && !letter.is_ascii_digit());
        Some(number[..end.unwrap_or(number.len())].to_owned())
    }
}

fn knot(place: &Place) -> Result<Command> {
    let configuration = format!(
        "\
server:
    listen: [ 127.0.0.1@{port}, ::1@{port} ]
    rundir: {own}
    udp-workers: {workers}
    tcp-workers: {workers}
    background-workers: 1
control:
    listen: knot.sock
database:
    storage: {own}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {own}
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: {ZONE}
    file: {zone}
",
        port = place.port,
        workers = place.workers,
        own = place.own.display(),
        zone = place.zone.display(),
    );
    let mut command = Command::new(&place.program);
    command.arg("-c").arg(place.write(&configuration)?);
    Ok(command)
}

/// Answers as short as the others', and without the rate limit that it has by default.
fn nsd(place: &Place) -> Result<Command> {
    let configuration = format!(
        "\
server:
    server-count: {workers}
    ip-address: 127.0.0.1@{port}
    ip-address: ::1@{port}
    username: \"\"
    chroot: \"\"
    zonesdir: \"{own}\"
    database: \"\"
    zonelistfile: \"{own}/zone.list\"
    xfrdfile: \"{own}/xfrd.state\"
    xfrdir: \"{own}\"
    pidfile: \"\"
    minimal-responses: yes
    rrl-ratelimit: 0
    verbosity: 0
remote-control:
    control-enable: no
zone:
    name: {ZONE}
    zonefile: \"{zone}\"
",
        port = place.port,
        workers = place.workers,
        own = place.own.display(),
        zone = place.zone.display(),
    );
    let mut command = Command::new(&place.program);
    command
        .arg("-d")
        .arg("-c")
        .arg(place.write(&configuration)?);
    Ok(command)
}

fn bind(place: &Place) -> Result<Command> {
    let configuration = format!(
        "\
options {{
    directory \"{own}\";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 port {port} {{ ::1; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    minimal-responses yes;
    notify no;
}};
controls {{ }};
zone \"{ZONE}\" {{ type primary; file \"{zone}\"; }};
",
        port = place.port,
        own = place.own.display(),
        zone = place.zone.display(),
    );
    let mut command = Command::new(&place.program);
    command
        .args(["-g", "-n", &place.workers.to_string(), "-c"])
        .arg(place.write(&configuration)?);
    Ok(command)
}

fn coredns(place: &Place) -> Result<Command> {
    let configuration = format!(
        "\
{ZONE}:{port} {{
    bind 127.0.0.1 ::1
    errors
    file {zone}
}}
",
        port = place.port,
        zone = place.zone.display(),
    );
    let mut command = Command::new(&place.program);
    command
        .env("GOMAXPROCS", place.workers.to_string())
        .arg("-conf")
        .arg(place.write(&configuration)?);
    Ok(command)
}

impl Place {
    /// Writes the server's configuration into its folder.
    pub(crate) fn write(&self, configuration: &str) -> Result<PathBuf> {
        let file = self.own.join("configuration");
        fs::write(&file, configuration).context("write a server's configuration")?;
        Ok(file)
    }
}
