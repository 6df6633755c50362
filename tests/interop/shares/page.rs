//! The table of `docs/interop.md` that tells which shares arrive.

use std::fmt::Write as _;

use super::{Arrived, Asker, EACH, NAMES, ROWS, Row, WANTED, Way, Without, measure};
use crate::needs::{Need, met};

/// What stands in a row of one machine and moment: the version, and what arrived.
const MEASURED: [usize; 3] = [1, 4, 5];

/// Where cells are that a run has to fill in; `None` of a cell leaves it empty.
type Cells = [String; MEASURED.len()];

/// The part of the page. What was measured stays as it is in `written`, the page as it was, unless that is `None`.
pub(crate) fn page(written: Option<&str>) -> String {
    let mut page = format!(
        "
## Which shares arrive

A host has `meshdns.io/share: \"pod={WANTED}\"`, three Pods and six VMs, or 60 where a resolver asks for many outside of the VMs' subnet. Each
program looks it up {LOOKUPS} times, and the first address counts, for that is the one it connects to. Less than 8 or more than 12 %
fails the test.

* *Most* is the largest part of {EACH} lookups in a row that went to Pods; a resolver that keeps answers has one answer for all of
  them. Where it is 100 %, everybody is sent to one side for 5 s, and the share arrives only on the average of many answers: its test
  holds it to nothing else.
* *Without* tells what becomes of a host with the same endpoints that has no share. glibc puts the address first that is nearest to
  its own: in the VMs' subnet one VM has all. So a resolver that is listed passes no share on to clients there, for its answers hold
  both sides. `answers.split.forwarders: side` mends that where nobody keeps answers.

| Client | Version | How it asks | Wanted | Arrived | Most | Without |
| --- | --- | --- | --- | --- | --- | --- |
",
        LOOKUPS = NAMES * EACH,
    );
    let mut rows = written
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| is_row(line));
    for row in ROWS {
        let [version, arrived, most] = match written {
            Some(_) => rows.next().map(cells).unwrap_or_default(),
            None => run(row),
        };
        let Row { client, way, .. } = row;
        let (how, without) = told(*way);
        writeln!(
            page,
            "| {client} | {version} | {how} | {WANTED} % | {arrived} | {most} | {without} |"
        )
        .expect("a string can be written to");
    }
    page
}

/// Whether a line of the page is one of this table's, which has more columns than the other.
pub(crate) fn is_row(line: &str) -> bool {
    line.starts_with("| ")
        && !line.starts_with("| Client ")
        && !line.starts_with("| --- ")
        && line.split(" | ").count() == 7
}

fn cells(row: &str) -> Cells {
    let cells: Vec<&str> = row.split(" | ").collect();
    MEASURED.map(|index| cells[index].to_owned())
}

/// Measures for a row; all is empty where this machine lacks the program.
fn run(row: &Row) -> Cells {
    let Some(version) = crate::version(row.version) else {
        return Cells::default();
    };
    if !met(&[Need::MachineOfItsOwn]) {
        return Cells::default();
    }
    let Arrived { share, worst } = measure(row.way);
    let most = worst.map_or_else(|| "–".to_owned(), |worst| format!("{worst:.0} %"));
    [version, format!("{share:.1} %"), most]
}

/// How a client asks, and what becomes of its lookups without a share.
fn told(way: Way) -> (String, &'static str) {
    match way {
        Way::Direct(_, place, without) => {
            let without = match without {
                Without::Nearest => "one VM has all",
                Without::Even => "a third to Pods",
            };
            (format!("meshdns, {}", place.told), without)
        }
        Way::OwnResolver(..) => (
            "for the VM that it runs on, in the VMs' subnet".to_owned(),
            "–",
        ),
        Way::ForMany(_, place, asker, _) => {
            let asker = match asker {
                Asker::Listed => "listed in `forwarders`",
                Asker::ListedForSides => "listed, with `answers.split.forwarders: side`",
                Asker::Unknown => "not listed",
            };
            (format!("for many {}, {asker}", place.told), "–")
        }
    }
}
