//! For people: each diagnostic under the line that it is about, as rustc prints.

use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    ops::Range,
    sync::Arc,
};

use annotate_snippets::{AnnotationKind, Level, Origin as Place, Renderer, Snippet};

use super::output;
use crate::{
    diagnostic::{Diagnostic, Origin, Severity},
    source::path_of,
};

/// The longest line that is shown: a manifest in one line of JSON would fill the terminal.
const MAX_LINE_CHARS: usize = 400;

pub(super) fn write(out: &mut dyn Write, diagnostics: &[Diagnostic]) -> io::Result<()> {
    let renderer = if output::is_coloured(&io::stdout()) {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = match terminal_width() {
        Some(width) => renderer.term_width(width),
        None => renderer,
    };
    let mut source = Source::default();
    for diagnostic in diagnostics {
        let line = source.line(diagnostic);
        writeln!(out, "{}\n", render(&renderer, diagnostic, line))?;
    }
    Ok(())
}

fn render(renderer: &Renderer, diagnostic: &Diagnostic, line: Option<&str>) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let title = level
        .primary_title(&*diagnostic.message)
        .id(diagnostic.code.as_str());
    let place = match &diagnostic.origin {
        Origin::File(place) => place,
        Origin::Cluster(place) => {
            let place = place.to_string();
            return renderer.render(&[title.element(Place::path(&*place))]);
        }
    };
    let (file, position) = (&*place.file, place.position);
    let group = match line {
        Some(line) => {
            let span = span(line, position.column as usize);
            let annotation = AnnotationKind::Primary.span(span);
            title.element(
                Snippet::source(line)
                    .line_start(position.line as usize)
                    .path(file)
                    .annotation(annotation),
            )
        }
        None if place.document == 0 => title.element(Place::path(file)),
        None => title.element(
            Place::path(file)
                .line(position.line as usize)
                .char_column(position.column as usize),
        ),
    };
    let group = match &diagnostic.object {
        Some(object) => group.element(Level::NOTE.message(format!("in {object}"))),
        None => group,
    };
    renderer.render(&[group])
}

/// The bytes of the word that begins at the column, counted from 1 in characters.
fn span(line: &str, column: usize) -> Range<usize> {
    let start = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.len(), |(at, _)| at);
    let rest = &line[start..];
    let quoted = rest.chars().next().filter(|first| "\"'".contains(*first));
    let length = match quoted.and_then(|quote| rest[1..].find(quote)) {
        Some(inner) => inner + 2,
        None => rest
            .find(|c: char| c.is_whitespace() || ",]}".contains(c))
            .unwrap_or(rest.len()),
    };
    let word = rest[..length].trim_end_matches(':');
    start..start + word.len()
}

/// The lines of the file that was asked for last: diagnostics come in the order of files.
#[derive(Default)]
struct Source {
    file: Option<Arc<str>>,
    text: String,
    /// Where each line begins and ends.
    lines: Vec<Range<usize>>,
}

impl Source {
    /// The line that a diagnostic is about; `None` where it is about the whole file or no file, or where the file can't be shown.
    fn line(&mut self, diagnostic: &Diagnostic) -> Option<&str> {
        let place = diagnostic.origin.in_file()?;
        if place.document == 0 {
            return None;
        }
        if self.file.as_ref() != Some(&place.file) {
            self.read(&place.file);
        }
        let number = (place.position.line as usize).checked_sub(1)?;
        let line = &self.text[self.lines.get(number)?.clone()];
        let fits = line.chars().nth(MAX_LINE_CHARS).is_none();
        (fits && !line.trim().is_empty()).then_some(line)
    }

    fn read(&mut self, file: &Arc<str>) {
        self.file = Some(file.clone());
        // A file that can't be read again is reported with its place alone.
        self.text = fs::read_to_string(path_of(file)).unwrap_or_default();
        let mut start = 0;
        self.lines.clear();
        for line in self.text.split_inclusive('\n') {
            let shown = line.trim_end_matches(['\n', '\r']);
            self.lines.push(start..start + shown.len());
            start += line.len();
        }
    }
}

/// The width that shells export; without one the renderer's own default holds.
fn terminal_width() -> Option<usize> {
    let is_terminal = io::stdout().is_terminal();
    let columns = std::env::var("COLUMNS").ok()?.parse().ok();
    columns.filter(|width| is_terminal && *width >= 40)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{FilePlace, Kind, ObjectKey, Position, code};

    #[track_caller]
    fn check_span(line: &str, column: usize, expected: &str) {
        assert_eq!(&line[span(line, column)], expected);
    }

    #[test]
    fn underlines_a_word() {
        check_span("  resolution: STATC # no", 15, "STATC");
        check_span("  resolution: STATC", 3, "resolution");
        check_span("hosts: [\"a b\", c]", 9, "\"a b\"");
        check_span("hosts: [a.test, c]", 9, "a.test");
        check_span("käse: brüt", 7, "brüt");
        check_span("short", 99, "");
    }

    #[test]
    fn prints_as_rustc_does() {
        let diagnostic = Diagnostic {
            origin: FilePlace {
                file: "zones/a.yaml".into(),
                document: 1,
                position: Position {
                    line: 7,
                    column: 15,
                },
            }
            .into(),
            severity: Severity::Error,
            code: code::HOST_TAKEN,
            message: "no such resolution".to_owned(),
            object: Some(ObjectKey {
                kind: Kind::ServiceEntry,
                namespace: "ns1".into(),
                name: "a".into(),
            }),
        };
        let printed = render(&Renderer::plain(), &diagnostic, Some("  resolution: STATC"));
        let expected = "\
error[MDNS602]: no such resolution
 --> zones/a.yaml:7:15
  |
7 |   resolution: STATC
  |               ^^^^^
  |
  = note: in ServiceEntry ns1/a";
        assert_eq!(printed, expected);
    }
}
