//! Timestamps as Kubernetes writes them ([RFC 3339]).
//!
//! [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Reads a timestamp into whole seconds since 1970, fractions dropped.
///
/// As Go's `time.Parse` it takes capital letters alone and no leap second, which the RFC would allow.
pub fn seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let fits = bytes.get(10) == Some(&b'T')
        && bytes.get(17..19) != Some(b"60")
        && bytes.last() != Some(&b'z');
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    fits.then(|| time.unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(seconds(text), expected);
    }

    #[test]
    fn reads_rfc_3339() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("1969-12-31T23:59:59Z", Some(-1));
        check("2000-02-29T12:00:00Z", Some(951_825_600));
        check("2024-03-01T00:00:00+02:00", Some(1_709_244_000));
        check("2024-02-29T22:00:00.123456-00:30", Some(1_709_245_800));
        check("9999-12-31T23:59:59Z", Some(253_402_300_799));
    }

    #[test]
    fn refuses_what_is_not() {
        for text in [
            "",
            "yesterday",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-1-01T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01_00:00:00Z",
            "2024-01-01T23:59:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0200",
            "2024-01-01T00:00:00Zx",
            "２024-01-01T00:00:00Z",
        ] {
            check(text, None);
        }
    }
}
