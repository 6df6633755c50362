//! Shows how far the first load is: on a terminal in one line that goes when it is done, elsewhere by log lines.

use std::{
    env,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use tracing::info;

use crate::{
    cli::log::Lines,
    config::value::LogFormat,
    control::{Progress, ShowProgress},
};

/// How often a terminal shows it.
const FRAME: Duration = Duration::from_millis(100);

/// How often the log tells it.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress as suits where `lines` go.
pub(super) fn show(format: LogFormat, lines: &Lines) -> ShowProgress {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    if format == LogFormat::Text && io::stderr().is_terminal() && !is_dumb {
        on_terminal(Line(lines.clone()))
    } else {
        Box::new(in_log())
    }
}

/// The line, which goes when it is dropped.
struct Line(Lines);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.erase();
    }
}

fn on_terminal(line: Line) -> ShowProgress {
    let start = Instant::now();
    let mut last = None;
    Box::new(move |progress| {
        if progress.is_read() || last.is_none_or(|last: Instant| last.elapsed() >= FRAME) {
            last = Some(Instant::now());
            line.0.rewrite(&text(progress, start.elapsed()));
        }
    })
}

fn in_log() -> impl FnMut(Progress) {
    let mut last = Instant::now();
    move |progress| {
        if last.elapsed() >= LOG_INTERVAL {
            last = Instant::now();
            let Progress {
                files,
                files_read,
                bytes_read,
                objects,
                lists,
                lists_read,
            } = progress;
            if lists == 0 {
                info!(files, files_read, bytes_read, objects, "loading the mesh");
            } else {
                info!(
                    files,
                    files_read, bytes_read, lists, lists_read, objects, "loading the mesh"
                );
            }
        }
    }
}

fn text(progress: Progress, elapsed: Duration) -> String {
    let Progress {
        files,
        files_read,
        bytes_read,
        objects,
        lists,
        lists_read,
    } = progress;
    if progress.is_read() {
        return format!("loading the mesh: compiling the answers of {objects} objects");
    }
    let of_clusters = match lists {
        0 => String::new(),
        _ => format!("{lists_read} of {lists} lists of clusters, "),
    };
    if files == 0 {
        return format!("loading the mesh: {of_clusters}{objects} objects");
    }
    let megabytes = bytes_read / 1_000_000;
    let millis = elapsed.as_millis().max(1);
    let rate = u128::from(bytes_read) / millis / 1_000;
    format!(
        "loading the mesh: {files_read} of {files} files, {of_clusters}{objects} objects, {megabytes} MB, {rate} MB/s"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_much_is_read_and_then_what_is_left_to_do() {
        let progress = Progress {
            files: 5_500,
            files_read: 1_234,
            bytes_read: 62_500_000,
            objects: 246_800,
            ..Progress::default()
        };
        assert_eq!(
            text(progress, Duration::from_secs(2)),
            "loading the mesh: 1234 of 5500 files, 246800 objects, 62 MB, 31 MB/s"
        );
        let with_cluster = Progress {
            lists: 4,
            lists_read: 1,
            ..progress
        };
        assert_eq!(
            text(with_cluster, Duration::from_secs(2)),
            "loading the mesh: 1234 of 5500 files, 1 of 4 lists of clusters, 246800 objects, 62 MB, 31 MB/s"
        );
        let cluster_alone = Progress {
            lists: 4,
            lists_read: 3,
            objects: 120_000,
            ..Progress::default()
        };
        assert_eq!(
            text(cluster_alone, Duration::from_secs(2)),
            "loading the mesh: 3 of 4 lists of clusters, 120000 objects"
        );
        let done = Progress {
            files_read: 5_500,
            ..progress
        };
        assert_eq!(
            text(done, Duration::from_secs(9)),
            "loading the mesh: compiling the answers of 246800 objects"
        );
    }
}
