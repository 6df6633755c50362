//! What was measured, as Markdown: a row each, with its goal.

use std::time::Duration;

use anyhow::Result;

use crate::table::mark;

/// The rows of one table.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<String>,
}

impl Report {
    /// A figure without a goal.
    pub(crate) fn tell(&mut self, what: &str, figure: &str) {
        self.rows.push(format!("| {what} | {figure} | | |"));
    }

    /// A figure that is at most `most`, in a unit.
    pub(crate) fn hold(&mut self, what: &str, figure: f64, most: f64, unit: &str, more: &str) {
        self.judge(
            what,
            &format!("{}{more}", number(figure, unit)),
            &format!("≤ {}", number(most, unit)),
            figure <= most,
        );
    }

    /// A figure with a goal in words.
    pub(crate) fn judge(&mut self, what: &str, figure: &str, goal: &str, met: bool) {
        let mark = mark(met);
        self.rows
            .push(format!("| {what} | {figure} | {goal} | {mark} |"));
    }

    /// Takes a step; where it fails, says so in the table and on stderr, and goes on.
    pub(crate) fn step(&mut self, what: &str, step: impl FnOnce(&mut Self) -> Result<()>) {
        eprintln!("{what}");
        if let Err(error) = step(self) {
            eprintln!("{what} failed: {error:#}");
            let first = format!("{error:#}");
            let first = first.lines().next().unwrap_or_default();
            self.judge(what, &format!("failed: {first}"), "", false);
        }
    }

    /// Prints the table.
    pub(crate) fn print(&self, title: &str) {
        println!("\n### {title}\n\n| | | goal | |\n| --- | ---: | ---: | --- |");
        for row in &self.rows {
            println!("{row}");
        }
    }
}

fn number(figure: f64, unit: &str) -> String {
    match figure {
        small if small < 10.0 => format!("{small:.2} {unit}"),
        middle if middle < 100.0 => format!("{middle:.1} {unit}"),
        large => format!("{large:.0} {unit}"),
    }
}

/// In mebibytes.
#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52 bytes")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// In milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
