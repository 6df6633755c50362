//! What `deploy/` ships is well-formed, fits together and fits the binary.

mod kubernetes;
mod systemd;

use std::path::PathBuf;

/// A file below `deploy/`.
fn shipped(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "deploy", name]
        .iter()
        .collect()
}
