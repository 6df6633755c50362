//! Why a document could not be read, in words for whoever wrote it.

use granit_parser::{ErrorKind, Parser, ScanError};

use super::{
    super::raw::RawDocument,
    MAX_DEPTH, Unreadable,
    seed::{BYTES_OF_MEMBER, MAX_MEMBERS, MAX_OPEN_MEMBERS, Refusal},
};
use crate::diagnostic::code;

/// How many brackets may be open before a document's nesting is looked at, strings and comments included.
const SUSPICIOUS_DEPTH: usize = 256;

/// How many brackets, commas, colons and hyphens a document may have that `serde_yaml` reads, strings and comments included.
const MAX_INDICATORS: usize = 2_000_000;

/// Says why `serde_json` did not take the text.
pub(super) fn of_json(
    raw: &RawDocument<'_>,
    refusal: Option<Refusal>,
    error: &serde_json::Error,
) -> Unreadable {
    // Columns are counted in bytes there.
    let row = row(raw, error.line());
    let column = row
        .bytes()
        .take(error.column())
        .filter(|byte| !(0x80..0xc0).contains(byte))
        .count();
    let place = (error.line(), column);
    if let Some(refusal) = refusal {
        return refused(raw, refusal, place);
    }
    let text = error.to_string();
    let end = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&end).unwrap_or(&text);
    syntax(raw, place, format!("not JSON: {reason}"))
}

/// Says why `serde_yaml` did not take the text: where neither a limit nor a character is to blame, in the words of the
/// other parser, which tells what is wrong and where as values.
pub(super) fn of_yaml(
    raw: &RawDocument<'_>,
    refusal: Option<Refusal>,
    error: &serde_yaml::Error,
) -> Unreadable {
    let place = error
        .location()
        .map_or((1, 1), |place| (place.line(), place.column()));
    if let Some(refusal) = refusal {
        return refused(raw, refusal, place);
    }
    if let Some((place, character)) = forbidden_character(raw.text) {
        let message = format!(
            "the character U+{:04X} can't stand here: take it out",
            u32::from(character)
        );
        return syntax(raw, place, message);
    }
    if is_indented_with_a_tab(row(raw, place.0)) {
        let message = "this line is indented with a tab, which YAML forbids: use spaces";
        return syntax(raw, place, message.to_owned());
    }
    if let Some(error) = first_error(raw) {
        return scan_error(raw, &error);
    }
    if raw.text.contains('&') && raw.text.contains('*') {
        // The one limit of serde_yaml's own that a text can meet that is YAML.
        return refused(raw, Refusal::AliasExpansion, place);
    }
    let message = "not YAML as Kubernetes has it: a value does not fit its tag".to_owned();
    syntax(raw, place, message)
}

/// What the quick reader found too much of; `None` where it declined for another reason.
pub(super) fn of_quick_reader(
    raw: &RawDocument<'_>,
    refusal: Option<Refusal>,
) -> Option<Unreadable> {
    refusal.map(|refusal| refused(raw, refusal, (1, 1)))
}

/// Refuses a text that `serde_yaml` would make more of than there is memory for: it holds all of a document in pieces before
/// it hands on the first, a hundred bytes for each. What our own readers take has no such limit.
pub(super) fn check_size(raw: &RawDocument<'_>) -> Result<(), Unreadable> {
    let is_indicator = |byte: &u8| matches!(byte, b'[' | b'{' | b']' | b'}' | b',' | b':' | b'-');
    if raw.text.len() <= MAX_INDICATORS
        || raw.text.bytes().filter(|byte| is_indicator(byte)).count() <= MAX_INDICATORS
    {
        return Ok(());
    }
    Err(Unreadable {
        position: raw.start(),
        code: code::FILE_TOO_LARGE,
        message: format!(
            "the document has more than {MAX_INDICATORS} brackets, commas, colons and hyphens: split it, or write it as JSON"
        ),
    })
}

/// Refuses a text whose nesting would keep libyaml busy: its time grows with the square of it.
///
/// Brackets in quotes and comments count too, so that many of them only call for a look with the other parser, which
/// has a limit.
pub(super) fn check_nesting(raw: &RawDocument<'_>) -> Result<(), Unreadable> {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in raw.text.bytes() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest <= SUSPICIOUS_DEPTH {
        return Ok(());
    }
    first_error(raw).map_or(Ok(()), |error| Err(scan_error(raw, &error)))
}

fn first_error(raw: &RawDocument<'_>) -> Option<ScanError> {
    Parser::new_from_str(raw.text).find_map(Result::err)
}

fn scan_error(raw: &RawDocument<'_>, error: &ScanError) -> Unreadable {
    let place = (error.marker().line(), error.marker().col() + 1);
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return refused(raw, Refusal::TooDeep, place);
    }
    if is_indented_with_a_tab(row(raw, place.0)) {
        let message = "this line is indented with a tab, which YAML forbids: use spaces";
        return syntax(raw, place, message.to_owned());
    }
    let words = error.info().replace(char::is_control, " ");
    syntax(raw, place, format!("not YAML: {words}"))
}

fn refused(raw: &RawDocument<'_>, refusal: Refusal, place: (usize, usize)) -> Unreadable {
    let (code, message) = match refusal {
        Refusal::TooDeep => {
            let message =
                format!("more than {MAX_DEPTH} mappings and lists are nested: flatten them");
            (code::TOO_DEEP, message)
        }
        Refusal::AliasExpansion => {
            let message =
                "the aliases unfold to far more than the document holds: write the values out";
            // Where the allowance ends says nothing about what uses it up.
            return Unreadable {
                position: raw.start(),
                code: code::ALIAS_EXPANSION,
                message: message.to_owned(),
            };
        }
        Refusal::TooManyMembers => {
            return Unreadable {
                position: raw.start(),
                code: code::FILE_TOO_LARGE,
                message: format!(
                    "the document has more keys and items than objects have: more than {MAX_MEMBERS}, or one for {BYTES_OF_MEMBER} bytes, or {MAX_OPEN_MEMBERS} in one list or mapping; split it"
                ),
            };
        }
        Refusal::Key => (code::SYNTAX, "a key is no text: write one".to_owned()),
    };
    Unreadable {
        code,
        ..syntax(raw, place, message)
    }
}

fn syntax(raw: &RawDocument<'_>, (line, column): (usize, usize), message: String) -> Unreadable {
    let number = |count: usize| u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    Unreadable {
        position: raw.place(number(line), number(column)),
        code: code::SYNTAX,
        message,
    }
}

fn row<'t>(raw: &RawDocument<'t>, line: usize) -> &'t str {
    let mut rows = raw.text.split('\n');
    rows.nth(line.saturating_sub(1)).unwrap_or_default()
}

fn is_indented_with_a_tab(row: &str) -> bool {
    row[..row.len() - row.trim_start().len()].contains('\t')
}

/// The place and character that YAML does not allow in a text, which libyaml's error does not tell.
fn forbidden_character(text: &str) -> Option<((usize, usize), char)> {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
            || c >= '\u{10000}'
    };
    text.split('\n').zip(1..).find_map(|(row, line)| {
        let (character, column) = row
            .chars()
            .zip(1..)
            .find(|(character, _)| !allowed(*character))?;
        Some(((line, column), character))
    })
}
