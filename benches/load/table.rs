//! What was measured beside other servers, as Markdown.

use crate::{
    dnsperf::Run,
    median::median,
    others::KNOT,
    servers::{MESHDNS, REFLECTOR, Server},
};

/// What a query may cost meshdns at most: a server, and how many times its cost.
pub(crate) type Goal = (&'static str, f64);

/// What a query may cost with two workers, beside one: then two carry 1.8 times the load.
const WORKERS_GOAL: f64 = 1.11;

/// A goal's outcome, as every table writes it.
pub(crate) fn mark(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// Prints a server per row.
pub(crate) fn print(servers: &[&Server], runs: &[Vec<Run>], goals: &[Goal]) {
    println!(
        "| server | CPU µs/query | × {REFLECTOR} | × {KNOT} | queries/s | lost | RSS |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for (server, own) in servers.iter().zip(runs) {
        let name = if server.name == MESHDNS {
            "**meshdns**"
        } else {
            server.name
        };
        let beside = |name: &str| {
            let Some(other) = servers.iter().position(|server| server.name == name) else {
                return "–".to_owned();
            };
            let ratio = median(&ratios(own, &runs[other]));
            let goal = goals.iter().find(|goal| goal.0 == name);
            match goal {
                Some((_, most)) if server.name == MESHDNS => {
                    format!("{ratio:.2} (goal {most:.2}: {})", mark(ratio <= *most))
                }
                _ => format!("{ratio:.2}"),
            }
        };
        let rate: Vec<f64> = own.iter().map(|run| run.rate).collect();
        let lost: u64 = own.iter().map(|run| run.lost).sum();
        let memory = own.last().map_or(0, |run| run.memory_bytes / (1024 * 1024));
        println!(
            "| {name} | {} | {} | {} | {:.0} | {lost} | {memory} MiB |",
            spread(own),
            beside(REFLECTOR),
            beside(KNOT),
            median(&rate),
        );
    }
}

/// Prints pairs of one server, the first with one worker and the second with two.
pub(crate) fn print_workers(servers: &[&Server], runs: &[Vec<Run>]) {
    println!(
        "| server | CPU µs/query, one worker | two workers | two / one | queries/s, one | two |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |"
    );
    for (pair, runs) in servers.chunks_exact(2).zip(runs.chunks_exact(2)) {
        let ratio = median(&ratios(&runs[1], &runs[0]));
        let goal = if pair[0].name == MESHDNS {
            format!(" (goal {WORKERS_GOAL:.2}: {})", mark(ratio <= WORKERS_GOAL))
        } else {
            String::new()
        };
        let rate = |runs: &[Run]| median(&runs.iter().map(|run| run.rate).collect::<Vec<_>>());
        println!(
            "| {} | {} | {} | {ratio:.2}{goal} | {:.0} | {:.0} |",
            pair[0].name,
            spread(&runs[0]),
            spread(&runs[1]),
            rate(&runs[0]),
            rate(&runs[1]),
        );
    }
}

/// Each round's cost beside the other server's in the same round.
pub(crate) fn ratios(own: &[Run], other: &[Run]) -> Vec<f64> {
    own.iter()
        .zip(other)
        .map(|(own, other)| own.microseconds_per_query() / other.microseconds_per_query())
        .collect()
}

/// The median cost of a query, from the lowest to the highest.
pub(crate) fn spread(runs: &[Run]) -> String {
    let values: Vec<f64> = runs.iter().map(Run::microseconds_per_query).collect();
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({lowest:.2} to {highest:.2})", median(&values))
}
