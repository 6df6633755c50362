//! One JSON array, one element a line.

use std::io::{self, Write};

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Origin};

#[derive(Serialize)]
struct Element<'d> {
    severity: &'static str,
    code: &'static str,
    message: &'d str,
    #[serde(flatten)]
    place: Place<'d>,
    object: Option<Object<'d>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Place<'d> {
    File {
        file: &'d str,
        document: u32,
        line: u32,
        column: u32,
    },
    Cluster {
        cluster: &'d str,
        field: &'d str,
    },
}

#[derive(Serialize)]
struct Object<'d> {
    kind: &'static str,
    namespace: &'d str,
    name: &'d str,
}

pub(super) fn write(out: &mut dyn Write, diagnostics: &[Diagnostic]) -> io::Result<()> {
    let mut before = "[";
    for diagnostic in diagnostics {
        writeln!(out, "{before}")?;
        serde_json::to_writer(&mut *out, &element(diagnostic))?;
        before = ",";
    }
    let end = if diagnostics.is_empty() { "[]" } else { "\n]" };
    writeln!(out, "{end}")
}

fn element(diagnostic: &Diagnostic) -> Element<'_> {
    Element {
        severity: diagnostic.severity.as_str(),
        code: diagnostic.code.as_str(),
        message: &diagnostic.message,
        place: match &diagnostic.origin {
            Origin::File(place) => Place::File {
                file: &place.file,
                document: place.document,
                line: place.position.line,
                column: place.position.column,
            },
            Origin::Cluster(place) => Place::Cluster {
                cluster: place.cluster.name(),
                field: &place.field,
            },
        },
        object: diagnostic.object.as_ref().map(|object| Object {
            kind: object.kind.as_str(),
            namespace: &object.namespace,
            name: &object.name,
        }),
    }
}
