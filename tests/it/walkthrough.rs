//! Runs README's walk-through: every `console` block, against the real binary and the sample folder, with the real dig.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{program::PATIENCE, serve};

/// One command of the README and what it prints there.
struct Step {
    command: String,
    printed: String,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for line in readme.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => in_block = line == "```console",
            _ if !in_block => {}
            Some(command) => steps.push(Step {
                command: command.to_owned(),
                printed: String::new(),
            }),
            None => {
                let step = steps
                    .last_mut()
                    .expect("a console block begins with a command");
                step.printed.push_str(line);
                step.printed.push('\n');
            }
        }
    }
    steps
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// What a command prints; the lines of `dig +short` sorted by number, for their order is random by design.
fn run(command: &str, at: &Path) -> String {
    let output = Command::new("bash")
        .args(["-c", command])
        .current_dir(at)
        .output()
        .expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !command.contains("+short") {
        return printed;
    }
    let mut addresses: Vec<std::net::IpAddr> = printed
        .lines()
        .map(|line| {
            line.parse()
                .unwrap_or_else(|_| panic!("{command}: {printed}"))
        })
        .collect();
    addresses.sort();
    let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

#[test]
fn the_readme_tells_the_truth() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&root.join("zones"), &folder.path().join("zones"));
    let server = serve(folder.path(), &["zones"]);
    let steps = steps(&fs::read_to_string(root.join("README.md")).expect("the README is there"));
    assert!(
        steps.len() >= 10,
        "the walk-through is where this test looks for it"
    );
    for step in steps {
        let port = format!("-p {}", server.dns.port());
        let command = step
            .command
            .replace("-p 5300", &port)
            .replace("target/release/meshdns", env!("CARGO_BIN_EXE_meshdns"));
        let start = Instant::now();
        let mut printed = run(&command, folder.path());
        // A change is served soon, not at once.
        while printed != step.printed && command.contains("+short") && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
            printed = run(&command, folder.path());
        }
        assert_eq!(printed, step.printed, "{}", step.command);
    }
}

#[test]
fn serials_do_not_go_back_over_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("zones"),
        &folder.path().join("zones"),
    );
    let vms = folder.path().join("zones/ns1/vms.yaml");
    let text = fs::read_to_string(&vms).expect("the file is there");
    let server = serve(folder.path(), &["zones"]);
    // Many changes in a row: were the serial a counter of seconds, it would run ahead of the clock.
    for number in 0..40 {
        let before = server.metric::<u64>("meshdns_generation");
        let address = format!("address: 10.0.0.{number}");
        fs::write(&vms, text.replace("address: 2.2.2.2", &address)).expect("a file can be written");
        server.wait("the change", || {
            server.metric::<u64>("meshdns_generation") > before
        });
    }
    let before = server.metric::<u64>("meshdns_zone_serial");
    drop(server);
    let after = serve(folder.path(), &["zones"]).metric::<u64>("meshdns_zone_serial");
    assert!(after > before, "{after} is not after {before}");
}
