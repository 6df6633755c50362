//! The `console` blocks of a page: commands, and what they print.

use std::{
    net::IpAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::PATIENCE;

/// One command of a page and what it prints there.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) printed: String,
}

/// The steps of a page. A command goes on in lines that begin with `> `, as a shell shows it.
pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
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
                match line.strip_prefix("> ") {
                    Some(more) => step.command.extend(["\n", more]),
                    None => step.printed.extend([line, "\n"]),
                }
            }
        }
    }
    steps
}

impl Step {
    /// Does the step in a shell, and checks what it prints. Answers may take a moment: a change is served soon, not at once.
    #[track_caller]
    pub(crate) fn check(&self, shell: impl Fn() -> Command, command: &str) {
        let is_answer = command.contains("+short");
        let start = Instant::now();
        let mut printed = run(shell(), command);
        while printed != self.printed && is_answer && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
            printed = run(shell(), command);
        }
        assert_eq!(printed, self.printed, "{}", self.command);
    }
}

/// What a command prints; the addresses of `dig +short` sorted by number, for their order is random by design.
fn run(mut shell: Command, command: &str) -> String {
    let output = shell.args(["-c", command]).output().expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !command.contains("+short") {
        return printed;
    }
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_by_key(|line| line.parse::<IpAddr>().ok());
    lines.into_iter().flat_map(|line| [line, "\n"]).collect()
}
