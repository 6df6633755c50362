//! What a scalar without quotes stands for, as Kubernetes reads it.
//!
//! That is YAML 1.1 as `sigs.k8s.io/yaml` has it (`goyaml.v2/resolve.go`): `yes`, `no`, `on`, `off`, `y` and `n` are
//! booleans, `010`, `0o10`, `0b1`, `0x1F` and `1_000` are numbers. Sexagesimals (`12:30`) and dates are texts.

use std::borrow::Cow;

use crate::manifest::value::Value;

/// The longest word that is no text: `false`.
const MAX_WORD_BYTES: usize = 5;

/// What the plain scalar `text` stands for.
pub(super) fn value(text: &str) -> Value<'_> {
    match text.as_bytes().first() {
        None => Value::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            word(text)
        }
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        Some(b'.') => fraction(text),
        Some(_) => Value::Text(text),
    }
}

/// The text that the plain scalar `text` is as a key: JSON has no others. `None` for a null, which has none.
pub(super) fn key(text: &str) -> Option<Cow<'_, str>> {
    Some(match value(text) {
        Value::Null => return None,
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Float(number) => Cow::Owned(shortest(number)),
        _ => Cow::Borrowed(text),
    })
}

fn word(text: &str) -> Value<'_> {
    if text.len() > MAX_WORD_BYTES {
        return Value::Text(text);
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Value::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => Value::Text(text),
    }
}

fn number(text: &str) -> Value<'_> {
    match text {
        "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = if text.contains('_') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    integer(&digits)
        .or_else(|| decimal(&digits))
        .unwrap_or(Value::Text(text))
}

/// A whole number of 64 bits; the radix is what the digits begin with, as Go's `strconv.ParseInt` has it.
fn integer(text: &str) -> Option<Value<'static>> {
    let (is_signed, is_negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, true, &text[1..]),
        [b'+', ..] => (true, false, &text[1..]),
        _ => (false, false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    match i64::try_from(size) {
        Ok(size) => Some(Value::Int(if is_negative { -size } else { size })),
        Err(_) if is_negative && size == i64::MIN.unsigned_abs() => Some(Value::Int(i64::MIN)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "shown in a message at most: no field takes a number so large"
        )]
        Err(_) => (!is_signed).then_some(Value::Float(size as f64)),
    }
}

/// A decimal number: `1.5`, `.5`, `1e3`.
fn decimal(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let after_digits = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = &digits[digits.len() - after_digits(digits)..];
    let has_whole = rest.len() < digits.len();
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let rest = &fraction[fraction.len() - after_digits(fraction)..];
            (has_whole || rest.len() < fraction.len()).then_some(rest)?
        }
        None => has_whole.then_some(rest)?,
    };
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || after_digits(exponent) > 0 {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(Value::Float(number))
}

/// What begins with a point. An underscore stands between two digits here, as in Go's `strconv.ParseFloat`.
fn fraction(text: &str) -> Value<'_> {
    match text {
        ".inf" | ".Inf" | ".INF" => return Value::Float(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let fits = |(at, byte): (usize, &u8)| *byte != b'_' || (is_digit(at - 1) && is_digit(at + 1));
    if !bytes.iter().enumerate().all(fits) {
        return Value::Text(text);
    }
    decimal(&text.replace('_', "")).unwrap_or(Value::Text(text))
}

/// A number as Go's `strconv.FormatFloat(number, 'g', -1, 32)` writes it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "keys have the precision of 32 bits in sigs.k8s.io/yaml"
)]
fn shortest(number: f64) -> String {
    let number = number as f32;
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    match exponent.parse::<i32>() {
        Ok(-4..=5) => number.to_string(),
        Ok(exponent) => format!(
            "{digits}e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.unsigned_abs()
        ),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&str], expected: Value<'_>) {
        for text in texts {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    /// Compares with what `sigs.k8s.io/yaml` 1.6.0 makes of each, which was run for this table.
    #[test]
    fn reads_as_kubernetes_does() {
        check(
            &[
                "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE",
            ],
            Value::Bool(true),
        );
        check(
            &[
                "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE",
            ],
            Value::Bool(false),
        );
        check(&["", "~", "null", "Null", "NULL"], Value::Null);
        check(
            &[
                "010", "0o10", "0O10", "0b1000", "0B1000", "0x8", "0X_8", "0_10", "8", "+8",
            ],
            Value::Int(8),
        );
        check(&["1_0", "1__0", "10_", "+10"], Value::Int(10));
        check(&["-8", "-010", "-0x8", "-0b1000"], Value::Int(-8));
        check(&["0", "00", "-0", "+0", "0x0"], Value::Int(0));
        check(&["9223372036854775807"], Value::Int(i64::MAX));
        check(&["-9223372036854775808"], Value::Int(i64::MIN));
        check(
            &["08", "0_8", "8.", "8.0", "8e0", "+8.0", "80e-1", "008"],
            Value::Float(8.0),
        );
        check(
            &["1e3", "1E3", "1e+3", "1_000.0", "1_0e2"],
            Value::Float(1_000.0),
        );
        check(
            &[".5", "+.5", "0.5", "0.5_0", ".5_0", "5e-1"],
            Value::Float(0.5),
        );
        check(&["0123e1"], Value::Float(1_230.0));
        check(
            &["18446744073709551615"],
            Value::Float(18_446_744_073_709_551_615.0),
        );
        check(
            &["-9223372036854775809"],
            Value::Float(-9_223_372_036_854_775_809.0),
        );
        check(&[".inf", ".Inf", "+.INF"], Value::Float(f64::INFINITY));
        check(&["-.inf"], Value::Float(f64::NEG_INFINITY));
        assert!(matches!(value(".nan"), Value::Float(number) if number.is_nan()));
        for text in [
            "yES",
            "yep",
            "nope",
            "onto",
            "offline",
            "truer",
            "nul",
            "_1",
            "0b2",
            "0o8",
            "0xg",
            "0x",
            "+",
            "-",
            "--1",
            "+-1",
            "0x-1",
            "1e",
            "1e+",
            "1.5.2",
            "10.0.0.1",
            "12:30:45",
            "2024-01-01",
            "1 000",
            "1e400",
            "0x1FFFFFFFFFFFFFFFF",
            "._5",
            ".5_",
            ".",
            "..",
            ".e1",
            "inf",
            "nan",
            "-inf",
            "1f",
            "=",
            "<<",
        ] {
            check(&[text], Value::Text(text));
        }
    }

    #[test]
    fn makes_texts_of_keys_as_kubernetes_does() {
        for (text, expected) in [
            ("app", "app"),
            ("on", "true"),
            ("No", "false"),
            ("010", "8"),
            ("1_000", "1000"),
            ("08", "8"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("1e6", "1e+06"),
            ("0.00001", "1e-05"),
            ("0.0001", "0.0001"),
            ("1e21", "1e+21"),
            ("123456.75", "123456.75"),
            ("123456789012345678901234567890", "1.2345679e+29"),
            ("-9223372036854775809", "-9.223372e+18"),
            (".inf", ".inf"),
            (".nan", ".nan"),
            ("2024-01-01", "2024-01-01"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(key("~"), None);
    }
}
