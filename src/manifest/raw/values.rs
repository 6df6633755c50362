//! Finds where JSON values end that stand one behind the other.

use memchr::memchr2_iter;

use super::BYTE_ORDER_MARK;

/// The end of the JSON value that `text` begins with, and the beginning of the next one, where there are both.
///
/// Looks at the value and at what is between the two, and no further.
pub(super) fn first_of_several(text: &str) -> Option<(usize, usize)> {
    let begin = text.len() - text.trim_start().len();
    let bytes = text.as_bytes();
    if !matches!(bytes.get(begin), Some(b'{' | b'[')) {
        return None;
    }
    let (mut depth, mut at) = (0_usize, begin);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => at = string_end(bytes, at)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            let next = without_blanks(&text[at..]);
            return next
                .starts_with(['{', '['])
                .then(|| (at, text.len() - next.len()));
        }
    }
    None
}

/// Whether a bracket that closes stands before one that opens, with nothing between: that is quickly seen, and rare.
///
/// Looks at all of `text`: to be asked once of a text, not once a value.
pub(super) fn may_hold_several(text: &str) -> bool {
    let bytes = text.as_bytes();
    may_end_a_value_within(bytes)
        && memchr2_iter(b'}', b']', bytes).any(|at| match bytes.get(at + 1) {
            None | Some(b',' | b'}' | b']') => false,
            Some(_) => without_blanks(&text[at + 1..]).starts_with(['{', '[']),
        })
}

/// Whether a bracket that opens, or what may be a blank, follows one that closes. In JSON without blanks nowhere: one look
/// at all pairs is much quicker than a look at each bracket.
fn may_end_a_value_within(bytes: &[u8]) -> bool {
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    pairs.fold(false, |any, (before, after)| {
        any | (matches!(before, b'}' | b']') & matches!(after, b'{' | b'[' | ..=b' ' | 0x80..))
    })
}

fn without_blanks(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK)
}

/// The closing quote of the JSON string that opens at `open`.
pub(in super::super) fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
