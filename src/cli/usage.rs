//! What is said about a command line that can't be understood: one line, made of what `clap` knows of the mistake.

use std::{env, error::Error as _};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Exit, output};
use crate::chain::Chain;

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
    let mut parts = vec![what_is_wrong(error)];
    let suggestions = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    let suggested = suggestions.into_iter().flat_map(|kind| told(error, kind));
    parts.extend(suggested.map(|word| format!("did you mean '{word}'?")));
    if let Some(variable) = variable(error) {
        parts.push(format!("the value comes from the variable {variable}"));
    }
    let command = env::args().nth(1);
    let command = command.filter(|word| COMMANDS.contains(&&**word));
    let command = command.map_or_else(String::new, |word| format!(" {word}"));
    parts.push(format!("see `meshdns{command} --help`"));
    parts.join("; ")
}

/// What `clap` found, in one line.
fn what_is_wrong(error: &clap::Error) -> String {
    let argument = told(error, ContextKind::InvalidArg);
    let value = told(error, ContextKind::InvalidValue);
    let quoted = argument.join("', '");
    match (error.kind(), &*argument, &*value) {
        (ErrorKind::UnknownArgument, [_, ..], _) => format!("unexpected argument '{quoted}'"),
        (ErrorKind::MissingRequiredArgument, [_, ..], _) => format!("'{quoted}' is missing"),
        (ErrorKind::InvalidValue, [_, ..], [""]) => format!("'{quoted}' needs a value"),
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, [_, ..], [value]) => {
            let valid = told(error, ContextKind::ValidValue).join(", ");
            let why = match error.source() {
                Some(why) => Chain(why).to_string(),
                None => format!("expected {valid}"),
            };
            format!("invalid value '{value}' for '{quoted}': {why}")
        }
        (ErrorKind::ArgumentConflict, [argument], _) => {
            let others = told(error, ContextKind::PriorArg);
            if others.is_empty() || others == [*argument] {
                format!("'{argument}' is given more than once")
            } else {
                let others = others.join("', '");
                format!("'{argument}' and '{others}' can't be given together")
            }
        }
        (ErrorKind::InvalidSubcommand, ..) => {
            let word = told(error, ContextKind::InvalidSubcommand).join(" ");
            format!("there is no command '{word}'")
        }
        (kind, ..) => {
            let what = kind.as_str().unwrap_or("the command line is wrong");
            if argument.is_empty() {
                what.to_owned()
            } else {
                format!("{what}: '{quoted}'")
            }
        }
    }
}

/// The texts that `clap` has of one kind, none where there is nothing of that kind.
fn told(error: &clap::Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The variable that a wrong value comes from; `clap` only names the flag.
fn variable(error: &clap::Error) -> Option<String> {
    let [flag] = *told(error, ContextKind::InvalidArg) else {
        return None;
    };
    let [value] = *told(error, ContextKind::InvalidValue) else {
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
