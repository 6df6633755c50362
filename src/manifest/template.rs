//! Tells templates from manifests: files that have to be rendered before anyone can read them.
//!
//! Knows the marks of Go (Helm) and Jinja, `{{ … }}` and `{% … %}`, of ERB, `<% … %>`, and the variables `${…}` that
//! Flux, `OpenShift` and `envsubst` fill in.

/// The marks around what a template fills in.
const ACTIONS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("<%", "%>")];

/// Whether `value` has something in it that is to be filled in.
pub(super) fn is_placeholder(value: &str) -> bool {
    let marks = ACTIONS.into_iter().chain([("${", "}")]);
    marks.into_iter().any(|(open, close)| {
        let inner = value.split_once(open);
        inner.is_some_and(|(_, inner)| inner.contains(close))
    })
}

/// Where the first action stands in a text that can't be read, as line and column from 1. What stands in quotes, comments
/// and block texts may be there in a manifest, too, and does not count.
pub(super) fn first_action(text: &str) -> Option<(u32, u32)> {
    let is_closed = |(open, close): &&(&str, &str)| text.contains(open) && text.contains(close);
    let opens: Vec<&str> = ACTIONS
        .iter()
        .filter(is_closed)
        .map(|(open, _)| *open)
        .collect();
    if opens.is_empty() {
        return None;
    }
    // How far the row is indented that a block text belongs to.
    let mut block = None;
    for (row, line) in text.lines().zip(1..) {
        let token = row.trim_start();
        let indent = row.len() - token.len();
        if token.is_empty() || token.starts_with('#') || block.is_some_and(|block| indent > block) {
            continue;
        }
        if let Some(column) = action_column(row, &opens) {
            return Some((line, column));
        }
        block = begins_block(token).then_some(indent);
    }
    None
}

fn action_column(row: &str, opens: &[&str]) -> Option<u32> {
    let mut quote = None;
    let mut before = ' ';
    for (column, (at, character)) in (1..).zip(row.char_indices()) {
        match quote {
            Some(open) if character == open && before != '\\' => quote = None,
            None if matches!(character, '"' | '\'') && " \t[{,(".contains(before) => {
                quote = Some(character);
            }
            None if character == '#' && before == ' ' => return None,
            None if opens.iter().any(|open| row[at..].starts_with(open)) => return Some(column),
            _ => {}
        }
        before = character;
    }
    None
}

/// Whether a row ends as those do that a block text follows: `key: |`, `- >-`.
fn begins_block(token: &str) -> bool {
    let last = token
        .trim_end()
        .rsplit([' ', '\t'])
        .next()
        .unwrap_or_default();
    last.starts_with(['|', '>'])
        && last[1..]
            .chars()
            .all(|c| matches!(c, '+' | '-' | '0'..='9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, u32)>) {
        assert_eq!(first_action(text), expected, "{text}");
    }

    #[test]
    fn finds_actions() {
        check("{{- if .Values.on }}\na: b\n{{- end }}\n", Some((1, 1)));
        check("a: {{ .x }}\n", Some((1, 4)));
        check("# {{ a }}\n\nb: 'it' {{ b }}\n", Some((3, 9)));
        check("{{/* a comment\n  of two rows */}}\n", Some((1, 1)));
        check("a:\n{% for b in c %}\n- {{ b }}\n", Some((2, 1)));
        check("a: <%= b %>\n", Some((1, 4)));
        check("a: |\n  {{ b }}\nc: {{ d }}\n", Some((3, 4)));
        check("a: don't {{ b }}\n", Some((1, 10)));
    }

    #[test]
    fn leaves_what_a_manifest_may_have() {
        check("a: b: c\n", None);
        check("a: \"{{ b }}\"\nc: 'x {{ d }}'\ne: [\"{{ f }}\"]\n", None);
        check("a: \"\\\"{{ b }}\"\n", None);
        check("# {{ a }}\nb: c # {{ d }}\n", None);
        check("a: |\n  {{ b }}\n\n  {{ c }}\nd: >-\n  {{ e }}\n", None);
        check("- |2+\n   {{ b }}\n", None);
        check("a: {b: {{\n", None);
        check("{\"a\": {\"b\": {}}}\n", None);
    }

    #[test]
    fn knows_placeholders() {
        for value in [
            "{{ .Values.host }}",
            "a.{{b}}.c",
            "${HOST}",
            "x.${domain}",
            "{% if a %}",
            "<%= a %>",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in [
            "", "a.test", "{{", "}}{{", "$HOST", "${HOST", "$(HOST)", "{a}",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
