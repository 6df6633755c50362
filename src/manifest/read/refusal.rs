//! Why a document could not be read, in words for whoever wrote it.

use super::{super::raw::RawDocument, Format, MAX_DEPTH, Unreadable};
use crate::diagnostic::{Code, code};

/// How many brackets may be open before a document's nesting is looked at, strings and comments included.
const SUSPICIOUS_DEPTH: usize = 256;

/// Turns a reader's error at `place` (line and column of the text, from 1) into ours.
pub(super) fn refuse(
    raw: &RawDocument<'_>,
    format: Format,
    broken_limit: Option<Code>,
    place: (usize, usize),
    error: &str,
) -> Unreadable {
    let limit = broken_limit.or_else(|| match error {
        _ if error.contains("recursion limit exceeded") => Some(code::TOO_DEEP),
        _ if error.contains("repetition limit exceeded") => Some(code::ALIAS_EXPANSION),
        _ => None,
    });
    let forbidden = forbidden_character(raw.text).filter(|_| error.contains("control characters"));
    let (line, column) = forbidden.map_or(place, |(place, _)| place);
    let number = |count: usize| u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let position = match limit {
        // Where the allowance ends says nothing about what uses it up.
        Some(code::ALIAS_EXPANSION) => raw.start(),
        _ => raw.place(number(line), number(column)),
    };
    let message = match limit {
        Some(code::TOO_DEEP) => too_deep_message(),
        Some(_) => "the aliases unfold to far more than the document holds: write the values out"
            .to_owned(),
        None => match forbidden {
            Some((_, character)) => {
                format!(
                    "the character U+{:04X} can't stand here: take it out",
                    u32::from(character)
                )
            }
            None => explain(
                format,
                error,
                raw.text
                    .split('\n')
                    .nth(line.saturating_sub(1))
                    .unwrap_or_default(),
            ),
        },
    };
    Unreadable {
        position,
        code: limit.unwrap_or(code::SYNTAX),
        message,
    }
}

fn explain(format: Format, error: &str, row: &str) -> String {
    let indent = &row[..row.len() - row.trim_start().len()];
    if format == Format::Yaml && indent.contains('\t') {
        return "this line is indented with a tab, which YAML forbids: use spaces".to_owned();
    }
    let name = if format == Format::Json {
        "JSON"
    } else {
        "YAML"
    };
    format!("not {name}: {}", without_places(error))
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
    let error = granit_parser::Parser::new_from_str(raw.text).find_map(Result::err);
    error.map_or(Ok(()), |error| {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let marker = error.marker();
        let position = raw.place(
            number(marker.line()),
            number(marker.col()).saturating_add(1),
        );
        let too_deep = matches!(
            error.kind(),
            granit_parser::ErrorKind::RecursionLimitExceeded
        );
        let code = if too_deep {
            code::TOO_DEEP
        } else {
            code::SYNTAX
        };
        let message = if too_deep {
            too_deep_message()
        } else {
            format!("not YAML: {}", error.info())
        };
        Err(Unreadable {
            position,
            code,
            message,
        })
    })
}

fn too_deep_message() -> String {
    format!("more than {MAX_DEPTH} mappings and lists are nested: flatten them")
}

/// The reader's words without its line numbers, which count from the document's start.
fn without_places(error: &str) -> String {
    let mut out = String::with_capacity(error.len());
    let mut rest = error;
    while let Some(at) = rest.find(" at line ") {
        out.push_str(&rest[..at]);
        let tail = &rest[at + " at line ".len()..];
        rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = rest.strip_prefix(" column ").map_or(rest, |tail| {
            tail.trim_start_matches(|c: char| c.is_ascii_digit())
        });
    }
    out.push_str(rest);
    out.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
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
