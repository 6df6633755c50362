//! The law of the quick reader, for any text that a fuzz target thinks of.

use bumpalo::Bump;

use super::{Format, plain, read_any_yaml, read_json, seed::Reading};
use crate::manifest::raw::split;

/// Reads each document of `text` by every reader.
///
/// # Panics
///
/// Where the quick reader reads something else than `serde_yaml`.
pub fn check_readers(text: &str) {
    for raw in split(text) {
        let (quick, slow) = (Bump::new(), Bump::new());
        if raw.looks_like_json() {
            let _ = read_json(&slow, &raw);
        } else if let Some(tree) =
            plain::read(raw.text, &Reading::new(&quick, raw.text, Format::Yaml))
        {
            let expected = read_any_yaml(&slow, &raw);
            let expected = expected.unwrap_or_else(|error| panic!("{}", error.message));
            assert_eq!(format!("{tree:?}"), format!("{expected:?}"));
        }
    }
}
