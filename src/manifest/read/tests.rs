//! What the readers have in common: a text means the same in YAML with its tags, in plain YAML and in JSON.

use bumpalo::Bump;
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::{Format, Tree, plain, read_any_yaml, read_json, seed::Reading};
use crate::manifest::{
    raw::split,
    value::{Node, Value},
};

/// The node as JSON; `None` where JSON has no such number.
fn json_of(node: &Node<'_>) -> Option<Json> {
    Some(match node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => serde_json::Number::from_f64(value)?.into(),
        Value::Text(text) => text.into(),
        Value::List(items) => Json::Array(items.iter().map(json_of).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| Some((entry.key.text.to_owned(), json_of(&entry.value)?)));
            Json::Object(entries.collect::<Option<Map<_, _>>>()?)
        }
    })
}

/// What `text` means to the reader that takes all YAML.
#[track_caller]
fn meaning(text: &str) -> Json {
    let arena = Bump::new();
    let tree = read_any_yaml(&arena, &split(text).next().expect("a document")).expect("YAML");
    json_of(&tree.root).expect("finite numbers")
}

#[track_caller]
fn check(text: &str, expected: &Json) {
    assert_eq!(meaning(text), *expected, "{text}");
}

#[test]
fn quotes_and_tags_make_texts() {
    let text = serde_json::json!({"a": "yes"});
    for value in [
        "'yes'",
        "\"yes\"",
        "!!str yes",
        "! yes",
        "!x yes",
        "!!str &a yes",
        "&a !!str yes",
        "!<tag:yaml.org,2002:str> yes",
        "\"\\x79es\"",
        "|-\n  yes",
        ">-\n  yes",
        "!!str\tyes",
    ] {
        check(&format!("a: {value}\n"), &text);
        if !value.contains('\n') {
            check(&format!("{{a: {value}}}\n"), &text);
        }
    }
    let boolean = serde_json::json!({"a": true});
    for value in ["yes", "&a yes", "&a\tyes", " yes # !!str", "&a\n  yes"] {
        check(&format!("a: {value}\n"), &boolean);
    }
    // A tag belongs to what follows it, not to what is in that.
    check(
        "!x [yes, !!str yes, no]\n",
        &serde_json::json!([true, "yes", false]),
    );
    check("[!!str no,yes]\n", &serde_json::json!(["no", true]));
    check(
        "- &a on\n- *a\n- !!str on\n- 'it''s'\n",
        &serde_json::json!([true, true, "on", "it's"]),
    );
    check(
        "on: 1\n'on': 2\n!!str off: 3\n? yes\n: 4\n",
        &serde_json::json!({"true": 4, "on": 2, "off": 3}),
    );
}

const SCALARS: &[&str] = &[
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "n",
    "true",
    "False",
    "~",
    "null",
    "010",
    "08",
    "0o10",
    "0b1",
    "0x1F",
    "1_000",
    "1_",
    "_1",
    "1e3",
    "+1",
    "-1",
    "-010",
    ".5",
    "5.",
    "12:30",
    "2024-01-01",
    "1.2.3",
    "10.0.0.1",
    "a b",
    "yEs",
    "0X1f",
    "1_0.5",
    "00",
    "123456789012345678901",
    "-9223372036854775809",
    "a",
    "''",
    "'yes'",
    "\"010\"",
    "'~'",
];

proptest! {
    /// All readers mean the same by a scalar, in every place where one can stand.
    #[test]
    fn readers_agree(
        scalars in prop::collection::vec(prop::sample::select(SCALARS), 1..5),
        keys in prop::collection::vec(prop::sample::select(SCALARS), 5),
    ) {
        let rows = |pairs: &dyn Fn(&str, &str) -> String| -> String {
            scalars.iter().zip(&keys).enumerate().map(|(place, (value, key))| {
                // A number in front keeps keys apart, and one of them stands by itself.
                let key = if place == 0 { (*key).to_owned() } else { format!("k{place}") };
                pairs(&key, value)
            }).collect()
        };
        let list = scalars.iter().map(|value| format!("- {value}\n")).collect::<Vec<_>>().concat();
        let texts = [
            rows(&|key, value| format!("{key}: {value}\n")),
            rows(&|key, value| format!("{key}:\n  - {value}\n  - {{{key}: {value}}}\n")),
            format!("- x\n{list}"),
            format!("a: [{}]\n", scalars.join(", ")),
        ];
        for text in &texts {
            let expected = meaning(text);
            let arena = Bump::new();
            if let Some(tree) = plain::read(text, &Reading::new(&arena, text, Format::Yaml)) {
                prop_assert_eq!(json_of(&tree.root), Some(expected.clone()), "{}", text);
            }
            let written = expected.to_string();
            let raw = split(&written).next().expect("a document");
            let tree: Tree<'_> = read_json(&arena, &raw).expect("JSON");
            prop_assert_eq!(json_of(&tree.root), Some(expected), "{}", written);
        }
    }
}
