//! One file per rule, with what it must be told.
//!
//! Each file in `tests/validation` begins with a line `# expect: <severity> <code> <line>:<column>` for each diagnostic,
//! in order, and nothing else may be found; `UPDATE=1` rewrites these lines. The files in `tests/validation/valid` give
//! no diagnostic, and `# objects: <count>` says how many objects they hold.

use std::{fs, path::PathBuf, sync::Arc};

use meshdns::{
    diagnostic::{Code, Diagnostic, code},
    manifest::{self, Contents, DocumentOutcome},
};

const MARK: &[u8] = b"# expect: ";

/// What no file in the folder can show, as it is said about files that were not read or that have more problems than anyone
/// reads, or about folders.
const UNREAD: [&str; 6] = [
    "MDNS001", "MDNS002", "MDNS014", "MDNS020", "MDNS021", "MDNS022",
];

fn folder(below: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/validation")
        .join(below);
    let entries = fs::read_dir(folder).expect("the folder is part of the repository");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn read(path: &PathBuf) -> (Arc<str>, Vec<u8>) {
    let name = path
        .file_name()
        .expect("a file has a name")
        .to_string_lossy();
    (
        Arc::from(&*name),
        fs::read(path).expect("a file of the repository"),
    )
}

fn line_of(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        origin,
        severity,
        code,
        ..
    } = diagnostic;
    let position = origin.in_file().expect("it is of a file").position;
    format!("{severity} {code} {}:{}", position.line, position.column)
}

/// The lines after `mark`; a file that is no UTF-8 has its expectations in ASCII all the same.
fn header<'b>(bytes: &'b [u8], mark: &'b [u8]) -> impl Iterator<Item = String> + 'b {
    let rows = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(move |row| row.strip_prefix(mark));
    rows.map(|row| String::from_utf8_lossy(row).trim_end().to_owned())
}

fn told(contents: &Contents) -> String {
    let lines: Vec<_> = contents
        .diagnostics
        .iter()
        .map(|diagnostic| format!("  {diagnostic}"))
        .collect();
    lines.join("\n")
}

/// Puts what is found in place of what was expected, as often as the new lines move what follows them.
fn update(path: &PathBuf) {
    for _ in 0..2 {
        let (name, bytes) = read(path);
        let found = manifest::parse_bytes(&name, &bytes);
        let mut rows: Vec<Vec<u8>> = Vec::new();
        let rest: Vec<_> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .skip_while(|row| row.starts_with(MARK))
            .collect();
        rows.extend(
            found
                .diagnostics
                .iter()
                .map(|found| [MARK, line_of(found).as_bytes(), b"\n"].concat()),
        );
        fs::write(path, [rows.concat(), rest.concat()].concat())
            .expect("the repository can be written to");
    }
}

#[test]
fn every_rule_is_told_at_its_place() {
    let updating = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in folder("") {
        let (name, bytes) = read(&path);
        if updating {
            update(&path);
            continue;
        }
        let contents = manifest::parse_bytes(&name, &bytes);
        let found: Vec<_> = contents.diagnostics.iter().map(line_of).collect();
        let expected: Vec<_> = header(&bytes, MARK).collect();
        if found != expected {
            wrong.push(format!(
                "{name}: expected {expected:#?}, found\n{}",
                told(&contents)
            ));
        }
        assert!(
            contents
                .diagnostics
                .iter()
                .all(|diagnostic| !diagnostic.message.contains('\n')),
            "{name}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_an_example_named_after_it() {
    let mut missing = Vec::new();
    for (code, _) in code::ALL
        .iter()
        .filter(|(code, _)| code.as_str() < "MDNS600")
    {
        let shown = folder("").iter().any(|path| {
            let (name, bytes) = read(path);
            name.starts_with(code.as_str())
                && header(&bytes, MARK).any(|row| row.contains(code.as_str()))
        });
        if !shown && !UNREAD.contains(&code.as_str()) {
            missing.push(code.as_str());
        }
    }
    assert!(missing.is_empty(), "without an example: {missing:?}");
}

#[test]
fn codes_are_in_order_and_stand_once() {
    assert!(code::ALL.is_sorted_by(|left, right| left.0.as_str() < right.0.as_str()));
    assert!(
        code::ALL
            .iter()
            .all(|(_, meaning)| meaning.ends_with('.') && !meaning.starts_with(' '))
    );
}

/// The one error that takes a value out of an object and not the object.
const OF_A_VALUE: Code = code::UNREADABLE_ANNOTATION;

#[test]
fn an_object_with_an_error_is_rejected_and_no_other_is() {
    for path in folder("") {
        let (name, bytes) = read(&path);
        let contents = manifest::parse_bytes(&name, &bytes);
        for document in &contents.documents {
            if let DocumentOutcome::Object(object) = &document.outcome {
                let key = object.key();
                let same = |found: &&Diagnostic| {
                    found.object.as_ref() == Some(&key)
                        && found.origin.in_file().map(|place| place.document)
                            == Some(document.place.document)
                };
                let mut found = contents
                    .diagnostics
                    .iter()
                    .filter(same)
                    .filter(|found| found.code != OF_A_VALUE);
                assert!(
                    found.all(|found| found.severity.as_str() != "error"),
                    "{name}: {key}"
                );
            }
        }
        let rejected = contents
            .documents
            .iter()
            .filter(|document| matches!(document.outcome, DocumentOutcome::Rejected(_)));
        let errors = contents
            .diagnostics
            .iter()
            .filter(|found| found.severity.as_str() == "error" && found.code != OF_A_VALUE)
            .count();
        // Of a file that is no manifest one word is enough.
        let is_told = |found: &Diagnostic| found.code.is_of_no_manifest();
        assert!(
            rejected.count() <= errors || contents.diagnostics.iter().any(is_told),
            "{name}: an object is rejected without a word"
        );
    }
}

#[test]
fn valid_files_give_no_diagnostic() {
    for path in folder("valid") {
        let (name, bytes) = read(&path);
        let contents = manifest::parse_bytes(&name, &bytes);
        assert_eq!(told(&contents), "", "{name}");
        let is_object = |outcome: &DocumentOutcome| matches!(outcome, DocumentOutcome::Object(_));
        let objects = contents
            .documents
            .iter()
            .filter(|document| is_object(&document.outcome))
            .count();
        if let Some(expected) = header(&bytes, b"# objects: ").next() {
            assert_eq!(objects.to_string(), expected, "{name}");
        }
        assert!(objects > 0, "{name}");
    }
}
