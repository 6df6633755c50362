//! Help, and command lines that can't be understood.

use crate::harness::{Place, Ran, repository_file};

#[test]
fn help_and_version_are_no_errors() {
    let place = Place::new();
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["serve", "--help"],
        &["check", "-h"],
        &["list", "--help"],
        &["explain", "--help"],
        &["health", "--help"],
        &["history", "--help"],
        &["snippet", "--help"],
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}");
        assert!(ran.stdout.len() > 10, "{arguments:?} prints to stdout");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn every_help_has_examples_and_exit_codes() {
    let place = Place::new();
    for command in [
        "serve", "check", "list", "explain", "health", "history", "snippet",
    ] {
        let help = place.run(&[command, "--help"]).stdout;
        for part in ["Examples:", "Exit codes:", "  64  ", "Usage: meshdns"] {
            assert!(help.contains(part), "{part:?} in {help}");
        }
    }
    assert!(place.run(&["--help"]).stdout.contains("Exit codes:"));
}

/// The long flags that a help text lists.
fn flags(help: &str) -> Vec<&str> {
    let options = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let long = line.strip_prefix("--").or_else(|| {
            let (_, long) = line.strip_prefix('-')?.split_once(", --")?;
            Some(long)
        })?;
        long.split([' ', '=']).next()
    });
    options.filter(|flag| *flag != "help").collect()
}

#[test]
fn every_flag_of_serve_is_documented_with_its_variable() {
    let help = Place::new().run(&["serve", "--help"]).stdout;
    let document = repository_file("docs/configuration.md");
    let flags = flags(&help);
    assert_eq!(
        flags,
        [
            "kubernetes",
            "kubeconfig",
            "context",
            "namespace",
            "config",
            "zone",
            "upstream",
            "ttl",
            "follow-links",
            "listen",
            "tls-certificate",
            "tls-key",
            "http",
            "ui",
            "workers",
            "poll",
            "start-patience",
            "state-dir",
            "lameduck",
            "log-format",
            "log-level"
        ]
    );
    for flag in flags {
        let has = |form: String| document.contains(&form);
        let is_there = has(format!("| `--{flag} ")) || has(format!("| `--{flag}` |"));
        assert!(is_there, "--{flag}");
        let variable = match flag {
            "log-level" => "MESHDNS_LOG".to_owned(),
            flag => format!("MESHDNS_{}", flag.replace('-', "_").to_uppercase()),
        };
        for text in [&help, &document] {
            assert!(text.contains(&variable), "{variable}");
        }
    }
    assert!(help.contains("MESHDNS_FOLDERS"));
}

#[test]
fn without_a_command_the_help_is_shown() {
    let ran = Place::new().run(&[]);
    assert_eq!(ran.code, Some(64));
    assert!(ran.stderr.contains("Usage: meshdns"), "{ran:?}");
}

#[test]
fn wrong_usage_is_one_line_that_says_what_is_right() {
    let place = Place::new();
    let see = "see `meshdns serve --help`";
    let run = |arguments: &[&str]| place.run(arguments);
    run(&["serve", "--lisen", ":53"]).failed(64, &["--lisen", "'--listen'", see]);
    run(&["serve", "--listen", "localhost"]).failed(64, &["localhost", "IP:PORT", see]);
    run(&["serve", "--ttl", "5"]).failed(64, &["'5'", "--ttl", "5s", see]);
    run(&["serve", "--ttl", "70years"]).failed(64, &["2147483647s"]);
    run(&["serve", "--zone", "*.internal.com"]).failed(64, &["*.internal.com", "internal.com"]);
    run(&["serve", "--workers", "0"]).failed(64, &["from 1 to 1024"]);
    run(&["serve", "--log-level", "loud"]).failed(64, &["loud", "debug"]);
    run(&["serve", "--log-format", "xml"]).failed(64, &["text or json"]);
    run(&["serve", "--poll", "0s"]).failed(64, &["1ms"]);
    run(&["check"]).failed(64, &["<PATH>", "see `meshdns check --help`"]);
    run(&["check", "zones", "--output", "xml"]).failed(64, &["text, json, github"]);
    run(&["explain", "a..b"]).failed(64, &["a..b", "a label can't be empty"]);
    run(&["explain", "a.test", "--type", "NOSUCH"]).failed(64, &["NOSUCH", "TYPE65"]);
    run(&["frobnicate"]).failed(64, &["frobnicate", "see `meshdns --help`"]);
    run(&["serv"]).failed(64, &["no command 'serv'", "did you mean 'serve'?"]);
    run(&["serve", "--ttl"]).failed(64, &["'--ttl <DURATION>' needs a value"]);
    run(&["serve", "--ttl=1s", "--ttl=2s"]).failed(64, &["--ttl", "more than once"]);
    run(&["check", "zones", "-o", "jsn"]).failed(64, &["'jsn'", "did you mean 'json'?"]);
    run(&["snippet", "bind"]).failed(64, &["--server <ADDR>', '--zone <NAME>", "missing"]);
}

#[test]
fn a_wrong_variable_is_named() {
    let place = Place::new();
    let mut command = place.meshdns(&["serve"]);
    command.env("MESHDNS_LAMEDUCK", "soon");
    Ran::of(command).failed(64, &["soon", "MESHDNS_LAMEDUCK"]);
    let mut command = place.meshdns(&["serve", "--zone", "a_.*"]);
    command.env("MESHDNS_ZONE", "a.test");
    let ran = Ran::of(command);
    ran.failed(64, &["a_.*"]);
    assert!(!ran.stderr.contains("MESHDNS_ZONE"), "{}", ran.stderr);
}
