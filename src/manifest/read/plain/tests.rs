//! The law of the quick reader: what it takes, `serde_yaml` takes too, and reads as the same values.

use std::{fs, path::Path};

use bumpalo::Bump;
use proptest::{prelude::*, sample::Index};

use super::read;
use crate::manifest::{
    raw::split,
    read::{Format, read_any_yaml, seed::Reading},
};

/// Something of everything that the quick reader knows, as tools and people write it.
const SAMPLE: &str = r##"# what kubectl prints
---
apiVersion: v1   # a comment
kind: Pod
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"v1","kind":"Pod",
        "x": "#"}

    note: |-
      a
       b
  creationTimestamp: "2024-01-01T00:00:00Z"
  labels: {app: web, "tier": 'front', n: 1, none: null, list: [a, 1.5, {}, []]}
  name: 'web-1'
  uid: 5f1e3c2a-77aa
  "quoted key": ~
  empty:
spec:
  containers:
  - name: web
    image: registry.example:5000/web:1.0 # b
    args:
    - --port=80
    - "-"
    ports:
      - containerPort: 80
        protocol: TCP
      -
        containerPort: 0443
      - - nested
        - 10.0.0.1
      -
  - name: second
    weight: 100000
    cpu: 0.5
    big: 1e999
status:
    phase: Running
    conditions:

    - status: "True"
      type: Ready
    # the end
    hostIP: fd00::1
"##;

/// What the edits of a sample put in.
const PARTS: &[&str] = &[
    "",
    " ",
    "  ",
    "    ",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    "- ",
    "-",
    ":",
    ": ",
    " :",
    "#",
    " #",
    "# ",
    "'",
    "\"",
    "''",
    "\\",
    "\\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    ", ",
    "|",
    "|-",
    "|+",
    ">",
    "|2",
    "&a ",
    "*a",
    "!x ",
    "!!str ",
    "? ",
    "?",
    "<<: ",
    "<<",
    "~",
    "null",
    "True",
    "yes",
    "Off",
    "y",
    "no: ",
    "'on'",
    "\"n\"",
    "010",
    "08: ",
    "1_000",
    "_1",
    "0X1f",
    "0b2",
    "! ",
    "0x1F",
    "0o7",
    "0b1",
    "012",
    "1e3",
    "1_0",
    ".5",
    "5.",
    ".inf",
    "+1",
    "-1",
    "-inf",
    "--1",
    "-0x1",
    "1:30",
    "99999999999999999999",
    "18446744073709551615",
    "2024-01-01",
    "@",
    "`",
    "%",
    "%YAML 1.2\n",
    "---",
    "\n---\n",
    "\n...\n",
    "\t",
    "\r\n",
    "é",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\0",
    "k: v",
    "a: 1\nb: 2",
    "=",
];

/// Whether the quick reader took `text`; fails where the other one does not read the same.
fn taken(text: &str) -> bool {
    let (quick, slow) = (Bump::new(), Bump::new());
    let Some(raw) = split(text).next() else {
        return false;
    };
    let Some(tree) = read(raw.text, &Reading::new(&quick, raw.text, Format::Yaml)) else {
        return false;
    };
    let expected = read_any_yaml(&slow, &raw).unwrap_or_else(|error| {
        panic!(
            "only the quick reader takes it ({}):\n{text}",
            error.message
        )
    });
    assert_eq!(format!("{tree:?}"), format!("{expected:?}"), "{text}");
    true
}

#[track_caller]
fn check(text: &str, expected: bool) {
    assert_eq!(taken(text), expected, "{text}");
}

#[test]
fn takes_what_is_usual() {
    check(SAMPLE, true);
    for text in [
        "a: b",
        "a: b\n\n# end",
        "- a\n- b: c\n  d: e\n",
        "-\n- -\n  - x\n",
        "a:\n- b\nc:\n  - d\n",
        "a:\n    b: c\n",
        "a: |\n  x\n\n\n   y\n\nb: c\n",
        "a: |-\n  x\n",
        "a: {b: [c, 'd'], \"e\": {}}\n",
        "a: b#c\n",
        "a: b:c\n",
        "- --a\n- -b 1\n- -inf\n- -nan\n",
        "a: x\na: y\n",
        "'a': \"\"\n",
        "1: 01\ntrue: False\n~: ~\n",
        "a: [yes, No, 010, 1_000, 08]\non: off\n010: y\n1_0: n\n",
        "a: 0x1F\nb: 0b1\nc: 0o17\n",
        "a: 99999999999999999999\n",
    ] {
        check(text, true);
    }
}

#[test]
fn declines_what_is_special() {
    for text in [
        "",
        "---\n",
        "a",
        "{a: b}\n",
        "a: &x b\n",
        "a: *x\n",
        "a: !!str 1\n",
        "a: >\n  b\n",
        "a: |+\n  b\n",
        "a: |2\n   b\n",
        "a: |\n  b",
        "a: |\n b\n\tc\n",
        "a: b\n  c\n",
        "a: 'b\n  c'\n",
        "a: \"\\n\"\n",
        "a: 'it''s'\n",
        "a: b: c\n",
        "a: 0x1FFFFFFFFFFFFFFFF\n",
        "a: 0b2\n",
        "a: -1\n",
        "-a: 1\n",
        "a: .inf\n",
        "? a\n: b\n",
        "<<: {a: b}\n",
        "a: {b}\n",
        "a: {b:c}\n",
        "a: [b,\n  c]\n",
        "a: [b, ]\n",
        "a: é\n",
        "a:\tb\n",
        "a: b\r\n",
        "a: b\n...\n",
        "%YAML 1.2\n---\na: b\n",
        "--- {a: b}\n",
        "a:\n  b: c\n d: e\n",
        "a:\n  - b\n - c\n",
        "a: b\n- c\n",
    ] {
        check(text, false);
    }
    check(&format!("a: {}1{}\n", "[".repeat(63), "]".repeat(63)), true);
    check(
        &format!("a: {}1{}\n", "[".repeat(64), "]".repeat(64)),
        false,
    );
    check(&format!("{}: 1\n", "k".repeat(1_000)), true);
    check(&format!("{}: 1\n", "k".repeat(1_001)), false);
}

/// Every example of the repository; most are plain enough.
#[test]
fn reads_the_examples_alike() {
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("zones"),
    ];
    let (mut quick, mut all) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is part of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let bytes = fs::read(&path).expect("a file of the repository");
                for raw in split(&String::from_utf8_lossy(&bytes)) {
                    all += 1;
                    quick += usize::from(taken(raw.text));
                }
            }
        }
    }
    assert!(quick * 2 > all && quick > 100, "{quick} of {all}");
}

/// The text with each part in the place of some of its bytes.
fn edited(text: &str, edits: &[(Index, usize, &str)]) -> String {
    let mut text = text.to_owned();
    for (at, length, part) in edits {
        let at = text.floor_char_boundary(at.index(text.len() + 1));
        let end = text.ceil_char_boundary((at + length).min(text.len()));
        text.replace_range(at..end, part);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reads_an_edited_sample_alike(
        edits in prop::collection::vec((any::<Index>(), 0_usize..4, prop::sample::select(PARTS)), 1..4),
    ) {
        taken(&edited(SAMPLE, &edits));
    }

    #[test]
    fn reads_any_rows_alike(
        rows in prop::collection::vec((0_usize..5, 0_usize..3, prop::collection::vec(prop::sample::select(PARTS), 0..3),
            prop::sample::select(&["", "a:", "b: ", "c: d", "- ", "- e: f", "'g': ", "h"][..])), 1..8),
    ) {
        let mut text = String::new();
        for (indent, dashes, parts, start) in &rows {
            text += &[&" ".repeat(*indent), &"- ".repeat(*dashes), *start, &parts.concat(), "\n"].concat();
        }
        taken(&text);
    }
}
