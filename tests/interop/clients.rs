//! Programs that look names up as their language does, made from the sources in `stubs/`. Each prints a line for each name: the
//! name, and its addresses in the order in which the program would try them.

use std::{env::consts::ARCH, path::Path, process::Command};

use crate::{machine::Machine, needs};

/// A program that takes names, with what comes before them.
pub(crate) struct Client {
    program: String,
    arguments: Vec<String>,
}

impl Client {
    fn new<const N: usize>(program: impl Into<String>, arguments: [String; N]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into(),
        }
    }

    /// What it prints of names.
    #[track_caller]
    pub(crate) fn look(&self, machine: &Machine, names: &[&str]) -> String {
        let before = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = before.chain(names.iter().copied()).collect();
        machine.run(&self.program, &arguments)
    }
}

/// A program in `stubs/`.
fn source(name: &str) -> String {
    format!("{}/tests/interop/stubs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Where a program that is made for a machine goes.
fn target(machine: &Machine, name: &str) -> String {
    machine.path(name).to_string_lossy().into_owned()
}

/// glibc, as a program in C asks it.
pub(crate) fn glibc(machine: &Machine) -> Client {
    let program = target(machine, "look-glibc");
    let options = ["-D_GNU_SOURCE", &source("look.c"), "-o", &program];
    machine.run("cc", &options);
    Client::new(program, [])
}

/// glibc, as Python asks it.
pub(crate) fn python(_: &Machine) -> Client {
    Client::new("python3", [source("look.py")])
}

/// glibc, as Node's `dns.lookup` asks it.
pub(crate) fn node_lookup(_: &Machine) -> Client {
    Client::new("node", [source("look.js"), "getaddrinfo".to_owned()])
}

/// c-ares, as Node's `dns.resolve` asks it.
pub(crate) fn node_resolve(_: &Machine) -> Client {
    Client::new("node", [source("look.js"), "c-ares".to_owned()])
}

/// c-ares, asked for all addresses at once.
pub(crate) fn c_ares(machine: &Machine) -> Client {
    let usr = usr_with("include/ares.h").expect("scripts/install-tools.sh test has installed it");
    let (program, text) = (target(machine, "ares"), source("ares.c"));
    let [include, lib] =
        ["include", &format!("lib/{ARCH}-linux-gnu")].map(|part| format!("{usr}/{part}"));
    let (include, look_in, found_in) = (
        format!("-I{include}"),
        format!("-L{lib}"),
        format!("-Wl,-rpath,{lib}"),
    );
    let options = [
        &include, &text, &look_in, &found_in, "-lcares", "-o", &program,
    ];
    machine.run("cc", &options);
    Client::new(program, [])
}

/// Java, which keeps no answer here.
pub(crate) fn java(_: &Machine) -> Client {
    Client::new("java", [source("Look.java")])
}

/// Go's own resolver.
pub(crate) fn go(machine: &Machine) -> Client {
    let program = target(machine, "look");
    let built = Command::new("go")
        .args(["build", "-o", &program, &source("look.go")])
        .env("CGO_ENABLED", "0")
        .env("PATH", needs::path())
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "go build failed"
    );
    Client::new(program, [])
}

/// musl, the C library of Alpine.
pub(crate) fn musl(machine: &Machine) -> Client {
    let program = target(machine, "look-musl");
    let usr = usr_with(&format!("lib/{ARCH}-linux-musl/libc.a"));
    let usr = usr.expect("scripts/install-tools.sh test has installed musl-dev");
    let (include, lib) = (
        format!("{usr}/include/{ARCH}-linux-musl"),
        format!("{usr}/lib/{ARCH}-linux-musl"),
    );
    let [start, before, libc, after] =
        ["crt1.o", "crti.o", "libc.a", "crtn.o"].map(|file| format!("{lib}/{file}"));
    let text = source("look.c");
    // Not by musl-gcc, which knows no other place than /usr.
    let options = [
        "-D_GNU_SOURCE",
        "-static",
        "-no-pie",
        "-nostdinc",
        "-nostdlib",
        "-isystem",
        &include,
        &start,
        &before,
        &text,
        &libc,
        "-lgcc",
        &after,
        "-o",
        &program,
    ];
    machine.run("cc", &options);
    Client::new(program, [])
}

/// Where a file of a Debian package is below: `/usr`, or where scripts/install-tools.sh unpacked it.
fn usr_with(file: &str) -> Option<&'static str> {
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/root/usr");
    ["/usr", unpacked]
        .into_iter()
        .find(|usr| Path::new(usr).join(file).exists())
}
