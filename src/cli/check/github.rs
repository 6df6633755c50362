//! GitHub's workflow commands, which become annotations on the changed lines
//! ([toolkit](https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts)).

use std::io::{self, Write};

use crate::diagnostic::{Diagnostic, Origin, Severity};

pub(super) fn write(out: &mut dyn Write, diagnostics: &[Diagnostic]) -> io::Result<()> {
    for diagnostic in diagnostics {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        // What is in no file is shown beside the step.
        let (place, about) = match &diagnostic.origin {
            Origin::File(place) => {
                let (file, position) = (property(&place.file), place.position);
                let (line, column) = (position.line, position.column);
                (format!("file={file},line={line},col={column},"), None)
            }
            Origin::Cluster(place) => (String::new(), Some(place)),
        };
        let message = match (about, &diagnostic.object) {
            (Some(place), _) => format!("{place}: {}", diagnostic.message),
            (None, Some(object)) => format!("{object}: {}", diagnostic.message),
            (None, None) => diagnostic.message.clone(),
        };
        writeln!(
            out,
            "::{command} {place}title={}::{}",
            diagnostic.code,
            escape(&message),
        )?;
    }
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{FilePlace, Position, code};

    #[test]
    fn escapes_what_would_end_a_property_or_the_line() {
        let diagnostic = Diagnostic {
            origin: FilePlace {
                file: "a,b:c%.yaml".into(),
                document: 1,
                position: Position { line: 2, column: 3 },
            }
            .into(),
            severity: Severity::Info,
            code: code::SELECTS_NOTHING,
            message: "one\ntwo: 100%".to_owned(),
            object: None,
        };
        let mut out = Vec::new();
        write(&mut out, &[diagnostic]).expect("a Vec takes everything");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "::notice file=a%2Cb%3Ac%25.yaml,line=2,col=3,title=MDNS604::one%0Atwo: 100%25\n"
        );
    }
}
