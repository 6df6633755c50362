//! What was measured beside other servers, as Markdown.

use crate::{
    dnsperf::Run,
    median::median,
    servers::{MESHDNS, Server},
};

/// What a query may cost meshdns at most: a server, and how many times its cost.
pub(crate) type Goal = (&'static str, f64);

/// How two of the same server differ that stand in one row.
pub(crate) struct Pairs {
    pub(crate) title: &'static str,
    /// What the first and the second one have.
    pub(crate) columns: [&'static str; 2],
    /// What the column with the ratio is headed with.
    pub(crate) ratio: &'static str,
    /// How many times the first one's cost the second one's may be.
    pub(crate) goal: f64,
}

/// A goal's outcome, as every table writes it.
pub(crate) fn mark(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// Prints a server per row, each beside the two `rivals`.
pub(crate) fn print(servers: &[&Server], runs: &[Vec<Run>], rivals: [&str; 2], goals: &[Goal]) {
    let [first, second] = rivals;
    println!(
        "| server | CPU µs/query | × {first} | × {second} | queries/s | lost | RSS |\n\
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
            beside(first),
            beside(second),
            median(&rate),
        );
    }
}

/// Prints pairs of the same server.
pub(crate) fn print_pairs(servers: &[&Server], runs: &[Vec<Run>], pairs: &Pairs) {
    let [first, second] = pairs.columns;
    println!(
        "| server | CPU µs/query, {first} | {second} | {} | queries/s, {first} | {second} |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |",
        pairs.ratio,
    );
    for (pair, runs) in servers.chunks_exact(2).zip(runs.chunks_exact(2)) {
        let ratio = median(&ratios(&runs[1], &runs[0]));
        let goal = if pair[0].name == MESHDNS {
            format!(" (goal {:.2}: {})", pairs.goal, mark(ratio <= pairs.goal))
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
