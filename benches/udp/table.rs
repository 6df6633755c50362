//! What was measured, as Markdown.

use std::{fs, thread};

use crate::{
    Options,
    data::ADDRESSES,
    load::{Run, Size},
    mix::Mix,
    servers::{Programs, Server},
};

/// The reflector's, meshdns's and Knot's places in the lists of servers and runs.
const REFLECTOR: usize = 0;
const MESHDNS: usize = 1;
const KNOT: usize = 2;

/// What meshdns may cost at most, in reflectors.
const GOAL: f64 = 1.25;

/// Prints where and how the figures came about.
pub(crate) fn print_setting(options: &Options, programs: &Programs) {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let processor = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    println!(
        "{} names x {ADDRESSES} addresses, one worker, {} rounds of {} s, {}.",
        options.names,
        options.rounds,
        options.seconds,
        match options.rate {
            Some(rate) => format!("{rate} queries/s offered"),
            None => "as many queries as the generator can".to_owned(),
        }
    );
    println!(
        "{processor}, {cores} cores that generator and server share, Linux {}. {}.",
        kernel.trim(),
        programs.versions()
    );
    println!(
        "Medians of the rounds; ratios are the median of each round's own ratio; (lowest to highest)."
    );
}

/// Prints the table of one mix.
pub(crate) fn print(mix: &Mix, size: Size, servers: &[&Server; 4], runs: &[Vec<Run>; 4]) {
    println!(
        "\n### {} ({} bytes in, {} out)\n",
        mix.title, size.query, size.answer
    );
    println!("| server | CPU µs/query | × reflector | × Knot | queries/s | lost | memory |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (server, own) in servers.iter().zip(runs) {
        let cost: Vec<f64> = own.iter().map(Run::microseconds_per_query).collect();
        let rate: Vec<f64> = own.iter().map(|run| run.rate).collect();
        let lost: u64 = own.iter().map(|run| run.lost).sum();
        let memory = own.last().map_or(0, |run| run.memory_bytes / (1024 * 1024));
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.0} | {lost} | {memory} MiB |",
            server.name,
            spread(&cost),
            median(&ratios(own, &runs[REFLECTOR])),
            median(&ratios(own, &runs[KNOT])),
            median(&rate),
        );
    }
    let reflectors = median(&ratios(&runs[MESHDNS], &runs[REFLECTOR]));
    let knots = median(&ratios(&runs[MESHDNS], &runs[KNOT]));
    let verdict = if reflectors <= GOAL && knots < 1.0 {
        "met"
    } else {
        "missed"
    };
    println!("\nGoal, at most {GOAL} × the reflector and less than Knot: {verdict}.");
}

/// Each round's cost beside the other server's in the same round.
fn ratios(own: &[Run], other: &[Run]) -> Vec<f64> {
    own.iter()
        .zip(other)
        .map(|(own, other)| own.microseconds_per_query() / other.microseconds_per_query())
        .collect()
}

fn spread(values: &[f64]) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({lowest:.2} to {highest:.2})", median(values))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
