//! What is said about a command line that can't be understood.

use std::env;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Exit, output};

const COMMANDS: [&str; 5] = ["serve", "check", "list", "explain", "snippet"];

/// Prints help, version or what is wrong; the latter in one line.
pub(super) fn report(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // As with `data`: a reader that has seen enough is no failure.
            let _ = error.print();
            Exit::Fine
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => {
            output::talk(&one_line(error));
            Exit::Usage
        }
    }
}

fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut parts = Vec::new();
    for paragraph in text.split("\n\n") {
        if paragraph.starts_with("Usage:") || paragraph.starts_with("For more information") {
            continue;
        }
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        let words = words.join(" ");
        let words = words.strip_prefix("error: ").unwrap_or(&words);
        let words = words.strip_prefix("tip: ").unwrap_or(words);
        parts.push(words.trim_end_matches('.').to_owned());
    }
    if let Some(variable) = variable(error) {
        parts.push(format!("the value comes from the variable {variable}"));
    }
    let command = env::args().nth(1);
    let command = command.filter(|word| COMMANDS.contains(&&**word));
    let command = command.map_or_else(String::new, |word| format!(" {word}"));
    parts.push(format!("see `meshdns{command} --help`"));
    parts.join("; ")
}

/// The variable that a wrong value comes from; `clap` only names the flag.
fn variable(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let flag = flag.split_whitespace().next()?.strip_prefix("--")?;
    let is_typed = |argument: String| {
        let argument = argument.strip_prefix("--").unwrap_or_default();
        argument.split('=').next() == Some(flag)
    };
    if env::args().any(is_typed) {
        return None;
    }
    let name = match flag {
        "log-level" => "MESHDNS_LOG".to_owned(),
        flag => format!("MESHDNS_{}", flag.replace('-', "_").to_uppercase()),
    };
    let held = env::var(&name).ok()?;
    held.split(',').any(|part| part == value).then_some(name)
}
