#![no_main]
//! Any file is read, and told about in places that are there; the quick reader reads as `serde_yaml` does.

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use meshdns::manifest;

fuzz_target!(|bytes: &[u8]| {
    for file in ["a.yaml", "a.json"] {
        let contents = manifest::parse_bytes(&Arc::from(file), bytes);
        for found in &contents.diagnostics {
            let place = found.origin.in_file().expect("it is of a file");
            let position = place.position;
            assert!(position.line >= 1 && position.column >= 1);
            assert!(!found.message.is_empty() && !found.message.contains('\n'));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        manifest::check_readers(text);
    }
});
