//! Which files are mesh files, and how they are named.
//!
//! Names are texts, paths are bytes: [`name_of`] gives each path a name of its own, and [`path_of`] the path again.

use std::{
    ffi::OsString,
    fmt::Write as _,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Whether a file of this name is read as a manifest.
pub(super) fn is_manifest(name: &Path) -> bool {
    name.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Whether a file or folder of this name is passed over.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// A file's name in diagnostics: its path, with each byte that is not UTF-8 as `\xff` and each backslash doubled.
pub(super) fn name_of(path: &Path) -> Arc<str> {
    match path.to_str() {
        Some(plain) if !plain.contains('\\') => plain.into(),
        _ => escaped(path).into(),
    }
}

/// What the names of all files below a folder begin with.
pub(super) fn prefix_of(folder: &Path) -> Arc<str> {
    name_of(&folder.join(""))
}

/// Whether the file of this name in diagnostics is below `path`, a folder, or is `path`.
pub fn is_below(file: &str, path: &Path) -> bool {
    *file == *name_of(path) || file.starts_with(&*prefix_of(path))
}

/// The path of the file with this name in diagnostics.
pub fn path_of(name: &str) -> PathBuf {
    if !name.contains('\\') {
        return PathBuf::from(name);
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let byte = escape
            .strip_prefix('x')
            .and_then(|digits| Some((digits.get(..2)?, digits.get(2..)?)))
            .and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest)));
        if let Some((byte, behind)) = byte {
            bytes.push(byte);
            rest = behind;
        } else {
            bytes.push(b'\\');
            rest = escape.strip_prefix('\\').unwrap_or(escape);
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    PathBuf::from(OsString::from_vec(bytes))
}

fn escaped(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        name.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            let _ = write!(name, r"\x{byte:02x}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[track_caller]
    fn check(path: &[u8], name: &str) {
        let path = Path::new(OsStr::from_bytes(path));
        assert_eq!(&*name_of(path), name);
        assert_eq!(path_of(name), path);
    }

    #[test]
    fn each_path_has_a_name_of_its_own() {
        check(b"zones/a.yaml", "zones/a.yaml");
        check("zones/ä.yaml".as_bytes(), "zones/ä.yaml");
        check(b"zones/\xff.yaml", r"zones/\xff.yaml");
        check(b"zones/\xfe\xe4x.yaml", r"zones/\xfe\xe4x.yaml");
        check(br"zones/\xff.yaml", r"zones/\\xff.yaml");
        check(br"zones/a\b.yaml", r"zones/a\\b.yaml");
        check(b"zones/\\\xff.yaml", r"zones/\\\xff.yaml");
    }
}
