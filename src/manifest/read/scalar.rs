//! What a plain text of YAML stands for: the rules of `serde_yaml`, for texts that begin with a letter or digit, or
//! with what no number begins with.

use crate::manifest::value::Value;

/// The value that `text` stands for; `None` where only `serde_yaml` itself knows.
pub(super) fn plain_value(text: &str) -> Option<Value<'_>> {
    Some(match text.as_bytes() {
        [b'0'..=b'9', ..] => return number_or_text(text),
        b"~" | b"null" | b"Null" | b"NULL" => Value::Null,
        b"true" | b"True" | b"TRUE" => Value::Bool(true),
        b"false" | b"False" | b"FALSE" => Value::Bool(false),
        _ => Value::Text(text),
    })
}

fn number_or_text(text: &str) -> Option<Value<'_>> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.as_bytes() {
        [b'0', b'x' | b'o' | b'b', ..] => None,
        [b'0', _, ..] if is_whole => Some(Value::Text(text)),
        _ if is_whole => text.parse().ok().map(Value::Int),
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(Value::Float(number)),
            _ => Some(Value::Text(text)),
        },
    }
}
