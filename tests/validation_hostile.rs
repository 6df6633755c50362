//! Manifests that mean harm, or nothing: reading them ends, soon and with a word.

use std::{fs, sync::Arc};

use meshdns::{
    diagnostic::{Code, code},
    manifest::{self, Contents, MAX_FILE_BYTES},
};
use proptest::prelude::*;

/// Far more hundredths of a second than any of these computes; what the limits keep away takes minutes.
const MOST_TICKS: u64 = 2_000;

#[track_caller]
fn check(file: &str, text: &str, expected: &[Code]) -> Contents {
    let before = ticks();
    let contents = manifest::parse_bytes(&Arc::from(file), text.as_bytes());
    let codes: Vec<_> = contents
        .diagnostics
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, expected);
    let spent = ticks() - before;
    assert!(
        spent < MOST_TICKS,
        "{spent} ticks of a hundredth of a second"
    );
    contents
}

/// How many hundredths of a second this thread has computed, which other work on the machine changes nothing about.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("this thread runs");
    let (_, fields) = stat.rsplit_once(')').expect("a command in brackets");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let tick = |at: usize| fields[at].parse::<u64>().expect("a number");
    tick(11) + tick(12)
}

#[test]
fn deep_nesting_ends() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        check(
            "a.json",
            &format!("{{\"kind\":\"Pod\",\"a\":{deep}}}"),
            &[code::TOO_DEEP],
        );
        let contents = check(
            "a.yaml",
            &format!("kind: Pod\na: {deep}"),
            &[code::TOO_DEEP],
        );
        let place = contents.diagnostics[0].origin.in_file();
        assert_eq!(place.expect("it is of a file").position.line, 2);
        check("a.json", &deep, &[code::NO_MANIFEST]);
    }
    let open = "[".repeat(20_000);
    check(
        "a.yaml",
        &format!("kind: Pod\na: {open}"),
        &[code::TOO_DEEP],
    );
    let steps: Vec<_> = (0..2_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let steps = steps.concat();
    check("a.yaml", &format!("kind: Pod\n{steps}"), &[code::TOO_DEEP]);
    let dashes = "- ".repeat(20_000);
    check(
        "a.yaml",
        &format!("kind: Pod\na:\n{dashes}a"),
        &[code::TOO_DEEP],
    );
    check("a.yaml", &format!("{dashes}a"), &[code::NO_MANIFEST]);
}

#[test]
fn alias_bombs_end() {
    let mut bomb = vec!["kind: Pod\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned()];
    for level in 1..40 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push(format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check("a.yaml", &bomb.concat(), &[code::ALIAS_EXPANSION]);
    // The text is small and what it stands for is 100 GB.
    let copies = format!(
        "kind: Pod\na: &a \"{}\\n\"\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 100_000].join(",")
    );
    check("a.yaml", &copies, &[code::ALIAS_EXPANSION]);
    let merges = format!(
        "a: &a {{k: 1}}\nb: {{<<: [{}]}}\n",
        vec!["*a"; 20_000].join(", ")
    );
    check("a.yaml", &merges, &[code::NO_MANIFEST]);
    check("a.yaml", "kind: Pod\na: &a [*a]\n", &[code::TOO_DEEP]);
}

#[test]
fn many_problems_are_told_in_part() {
    let hosts = vec!["''"; 100_000].join(", ");
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: a}}, spec: {{hosts: [{hosts}]}}}}"
    );
    let contents = manifest::parse(&Arc::from("a.yaml"), &text);
    assert_eq!(contents.diagnostics.len(), 101);
    let ports: String = (0..100_000).map(|_| "{},").collect();
    let text = format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: a}}, spec: {{hosts: [a], ports: [{ports}]}}}}"
    );
    assert_eq!(
        manifest::parse(&Arc::from("a.yaml"), &text)
            .diagnostics
            .len(),
        101
    );
    let items = vec!["1"; 100_000].join(",");
    let text = format!("{{apiVersion: v1, kind: List, items: [{items}]}}");
    let contents = manifest::parse(&Arc::from("a.yaml"), &text);
    assert_eq!(
        (contents.documents.len(), contents.diagnostics.len()),
        (20, 21)
    );
    let keys: String = (0..100_000).map(|_| "k: 1\n").collect();
    let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{keys}");
    assert_eq!(
        manifest::parse(&Arc::from("a.yaml"), &text)
            .diagnostics
            .len(),
        101
    );
}

#[test]
fn large_files_are_refused_unread() {
    let size = usize::try_from(MAX_FILE_BYTES).expect("fits") + 1;
    let zeroes = vec![0; size];
    let contents = manifest::parse_bytes(&Arc::from("a.yaml"), &zeroes);
    assert_eq!(contents.diagnostics[0].code, code::FILE_TOO_LARGE);
}

#[test]
fn large_objects_end() {
    let labels: Vec<_> = (0..50_000)
        .map(|index| format!("    l{index}: a\n"))
        .collect();
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n{}",
        labels.concat()
    );
    check("a.yaml", &text, &[code::TOO_MANY]);
    let long = "x".repeat(4 << 20);
    check(
        "a.yaml",
        &format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {long}}}\n"),
        &[code::NAME],
    );
    check(
        "a.yaml",
        &format!("kind: Pod\n{long}: 1\n"),
        &[code::SYNTAX],
    );
    check(
        "a.json",
        &format!("{{\"{long}\": 1}}\n"),
        &[code::NO_MANIFEST],
    );
}

const VALID: [&str; 6] = [
    include_str!("validation/valid/kubectl-noise.yaml"),
    include_str!("validation/valid/syntax.yaml"),
    include_str!("validation/valid/lists.yaml"),
    include_str!("validation/valid/list.json"),
    include_str!("validation/valid/hosts-and-endpoints.yaml"),
    include_str!("validation/MDNS108-wrong-type.yaml"),
];

/// Pieces of YAML that turn one thing into another.
const PIECES: [&str; 24] = [
    "\n", " ", "\t", "-", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "!x ", "|", ">",
    "'", "\"", "#", "~", "---\n", "...\n", "é", "0",
];

fn holds(contents: &Contents) {
    for found in &contents.diagnostics {
        let place = found.origin.in_file().expect("it is of a file");
        assert!(place.position.line >= 1 && place.position.column >= 1);
        assert!(!found.message.is_empty() && !found.message.contains('\n'));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>) {
        holds(&manifest::parse_bytes(&Arc::from("a.yaml"), &bytes));
        holds(&manifest::parse_bytes(&Arc::from("a.json"), &bytes));
    }

    #[test]
    fn any_text_can_be_read(text in "[-\\[\\]{}:,&*!|>'\"#~ \n\ta-c0<.%]{0,60}") {
        holds(&manifest::parse(&Arc::from("a.yaml"), &text));
    }

    #[test]
    fn any_mutation_can_be_read(
        (which, cuts) in (0..VALID.len(), prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, 0..PIECES.len()), 1..4))
    ) {
        let mut text = VALID[which].to_owned();
        for (at, length, piece) in cuts {
            let characters: Vec<char> = text.chars().collect();
            let at = at.index(characters.len().max(1));
            let end = (at + length).min(characters.len());
            text = characters[..at].iter().chain(PIECES[piece].chars().collect::<Vec<_>>().iter()).chain(&characters[end..]).collect();
        }
        let file = Arc::from(if which == 3 { "a.json" } else { "a.yaml" });
        let contents = manifest::parse(&file, &text);
        holds(&contents);
        prop_assert_eq!(contents, manifest::parse(&file, &text));
    }
}

/// Reads 64 KiB of `part`, and checks that what is kept of it is what somebody may read.
#[track_caller]
fn check_count(part: &str) -> Contents {
    let text = part.repeat((1 << 16) / part.len());
    let contents = manifest::parse(&Arc::from("a.yaml"), &text);
    let (documents, told) = (contents.documents.len(), contents.diagnostics.len());
    assert!(
        documents <= 2_001 && told <= 1_001,
        "{part}: {documents} and {told}"
    );
    contents
}

#[test]
fn of_documents_that_are_nothing_of_ours_a_count_is_kept() {
    for part in ["---\n{}\n", "---\na\n", "{\"a\":1} [2]\n", "---\n]\n"] {
        let contents = check_count(part);
        assert_eq!(contents.diagnostics[0].code, code::NO_MANIFEST, "{part}");
        assert_eq!(contents.diagnostics.len(), 1, "{part}");
    }
    let contents = check_count("---\nkind: A\napiVersion: b\n");
    assert_eq!(
        contents.documents.len() + contents.more_ignored,
        (1 << 16) / 26
    );
    let contents = check_count("---\nkind: Pod\napiVersion: v1\n---\n{}\n");
    assert_eq!(contents.diagnostics[0].code, code::MORE_IN_FILE);
}
