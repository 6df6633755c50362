//! The law of the quick reader: it takes what `serde_json` takes, nothing else, and reads it as the same values.

use bumpalo::Bump;
use proptest::{prelude::*, sample::Index};

use super::read;
use crate::manifest::{
    raw::split,
    read::{Format, plain::tests::edited, read_any_json, seed::Reading},
};

/// Something of everything that JSON has, as `kubectl` prints it and as programs write it.
const SAMPLE: &str = r#"{
    "apiVersion": "v1",
    "items": [
        {"kind":"Pod","metadata":{"name":"web-1","labels":{"app":"web","":""},"uid":null},"x":[]},
        {
            "kind": "Pod",
            "metadata": {
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "{\"kind\":\"Pod\",\"x\":\"a\\\\b\"}\n",
                    "note": "caf\u00e9 ☕ \/ \ud83d\ude00 a text that is longer than a few words"
                },
                "generation": 12,
                "deleted": false
            },
            "status": {"ready": true, "weights": [0, 7, -1, 1.5, 1e3, 18446744073709551615, 99999999999999999999]}
        }
    ],
    "kind": "List"
}
"#;

/// What the edits of a sample put in.
const PARTS: &[&str] = &[
    "",
    " ",
    "\n",
    "\t",
    "\r",
    "\u{b}",
    "\0",
    "\u{1f}",
    "\u{7f}",
    "é",
    "\"",
    "\"\"",
    "\\",
    "\\\"",
    "\\n",
    "\\u0041",
    "\\ud83d",
    "\\x",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    ",",
    ":",
    "\"a\":",
    "\"kind\": 1,",
    "null",
    "nul",
    "true",
    "false",
    "falsE",
    "0",
    "00",
    "1",
    "-",
    "-0",
    "-0.0",
    "+1",
    "1.",
    ".5",
    "1.5",
    "1e",
    "1e+5",
    "1E400",
    "-1E-400",
    "123456789012345678",
    "1234567890123456789",
    "9223372036854775808",
    "NaN",
    "/**/",
    "'",
    "<<",
    "\"<<\": {},",
];

/// Whether both readers take `text`; fails where they differ.
#[track_caller]
fn taken(text: &str) -> bool {
    let (quick, slow) = (Bump::new(), Bump::new());
    let Some(raw) = split(text).into_iter().next() else {
        return false;
    };
    let tree = read(raw.text, &Reading::new(&quick, raw.text, Format::Json));
    let expected = read_any_json(&slow, &raw).ok();
    assert_eq!(format!("{tree:?}"), format!("{expected:?}"), "{text}");
    tree.is_some()
}

#[track_caller]
fn check(text: &str, expected: bool) {
    assert_eq!(taken(text), expected, "{text}");
}

#[test]
fn takes_what_is_right() {
    check(SAMPLE, true);
    for text in [
        "{}",
        " [ ] ",
        r#"{"a":1,"a":2}"#,
        r#"["12345678","1234567","123456789"]"#,
        r#"["","\"","\\","1234567\"","12345678\\"]"#,
        "[-0,0,10,999999999999999999,1000000000000000000,-5]",
        "[true,false,null]",
        "[\"é\u{7f}\u{2028}\"]",
    ] {
        check(text, true);
    }
}

#[test]
fn declines_mistakes() {
    for text in [
        "{",
        "{]",
        "[1,]",
        "[,1]",
        "[1 2]",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        r#"{"a"}"#,
        "{1:2}",
        "[01]",
        "[1.]",
        "[-]",
        "[+1]",
        "[1e999]",
        "[tru]",
        "[nulll]",
        "[\"a\nb\"]",
        "[\"a\tb\"]",
        r#"["\x"]"#,
        r#"["\ud83d"]"#,
        r#"["a"#,
        r#"["a\"#,
        r#"["a\""#,
        "[1] x",
    ] {
        check(text, false);
    }
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(64), true);
    check(&nested(65), false);
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
    fn reads_any_parts_alike(parts in prop::collection::vec(prop::sample::select(PARTS), 1..12)) {
        taken(&["[", &parts.concat(), "]"].concat());
    }

    #[test]
    fn reads_any_text_alike(text in any::<String>()) {
        let quoted = serde_json::to_string(&text).expect("a text can be written");
        taken(&format!("[{quoted},\"{text}\"]"));
        let map = format!("{{{quoted}:{quoted}}}");
        prop_assert!(taken(&map));
    }
}
