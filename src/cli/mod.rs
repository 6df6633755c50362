//! The command line: `serve`, `check`, `list`, `explain`, `health`, `drain`, `history` and `snippet`.
//!
//! Owns what people type and what they read: help texts, exit codes, the forms of each output. Data goes to stdout, talk
//! to stderr; every failure ends here, as one line that begins with `meshdns: `.
//!
//! Never decides what a mesh means: every command feeds the same [`Pipeline`](crate::pipeline::Pipeline) as `serve`.

mod check;
mod clusters;
mod drain;
mod exit;
mod explain;
mod health;
mod history;
mod list;
mod load;
mod log;
mod output;
mod policy;
mod serve;
mod server;
mod snippet;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::{Exit, Failure};

/// What `--version` prints behind the name.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("MESHDNS_REVISION"),
    ")"
);

const ABOUT: &str = "An authoritative DNS server for mesh hostnames.

meshdns reads Istio ServiceEntry, WorkloadEntry and WorkloadGroup objects and Kubernetes Pods from a folder of YAML, and \
answers a name such as svc1.internal.com with the addresses of the healthy Pods and VMs that the ServiceEntry selects.";

const EXAMPLES: &str = "\
Examples:
  meshdns check zones                       look for mistakes in the folder zones
  meshdns serve zones                       answer at 127.0.0.1:5300
  meshdns serve --kubernetes                the same from a cluster, as it changes
  dig @127.0.0.1 -p 5300 svc1.internal.com  ask it
  meshdns list zones                        every host with its endpoints
  meshdns explain svc1.internal.com zones   why a name answers what it does
  meshdns health --try --config meshdns.yaml
                                            whether checks can reach their endpoints from here
  meshdns history svc1.internal.com --since 1h
                                            what a running server answered, and what changed it
  meshdns drain shop/orders-vm2 --wait      wait until a drained VM may be stopped
  meshdns snippet coredns --server 10.0.0.53 --zone internal.com
                                            what makes CoreDNS ask it

`meshdns COMMAND --help` tells more about one command.";

/// What is typed.
#[derive(Debug, Parser)]
#[command(
    name = "meshdns",
    version = VERSION,
    about = "An authoritative DNS server for mesh hostnames",
    long_about = ABOUT,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
    List(list::ListArgs),
    Explain(explain::ExplainArgs),
    Drain(drain::DrainArgs),
    Health(health::HealthArgs),
    History(history::HistoryArgs),
    Snippet(snippet::SnippetArgs),
}

/// Does what the process's arguments say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error).into(),
    };
    let done = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::List(list) => list.run(),
        Command::Explain(explain) => explain.run(),
        Command::Drain(drain) => drain.run(),
        Command::Health(health) => health.run(),
        Command::History(history) => history.run(),
        Command::Snippet(snippet) => snippet.run(),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::talk(&failure.to_string());
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
