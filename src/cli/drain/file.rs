//! Writes a line into the override file, and leaves everything else in it as people wrote it.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::health::{Overrides, OverridesError};

/// An override file that could not be changed. It is as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error("read the override file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the override file {} can't be used: mend it first", path.display())]
    Wrong {
        path: PathBuf,
        source: OverridesError,
    },
    #[error("the override file {} takes no further line at its end: write `{line}` into it", path.display())]
    Form { path: PathBuf, line: String },
    #[error("write the override file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Adds `line` at the end of the file, where what is said last counts; a last line that begins with `undoes` goes instead.
pub(super) fn say(path: &Path, line: &str, undoes: Option<&str>) -> Result<(), EditError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|source| EditError::Read {
            path: path.to_owned(),
            source,
        })?,
    };
    Overrides::parse("", &text).map_err(|source| EditError::Wrong {
        path: path.to_owned(),
        source,
    })?;
    let changed = changed(&text, line, undoes);
    if Overrides::parse("", &changed).is_err() {
        return Err(EditError::Form {
            path: path.to_owned(),
            line: line.to_owned(),
        });
    }
    replace(path, &changed).map_err(|source| EditError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The text with `line` at its end; without the last line where that begins with what `line` undoes.
fn changed(text: &str, line: &str, undoes: Option<&str>) -> String {
    let text = text.trim_end();
    let last = text.rfind('\n').map_or(0, |end| end + 1);
    if undoes.is_some_and(|undone| text[last..].starts_with(undone)) {
        return text[..last].to_owned();
    }
    let separator = if text.is_empty() { "" } else { "\n" };
    format!("{text}{separator}{line}\n")
}

/// Puts another file in the place of the one at `path`: whoever reads it sees the one or the other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or(path.as_os_str());
    let beside = folder.join(format!(
        ".{}.{}",
        name.to_string_lossy(),
        std::process::id()
    ));
    let written = (|| {
        let mut file = fs::File::create(&beside)?;
        if let Ok(metadata) = fs::metadata(path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // Nothing else can be done about it.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_added_or_undone() {
        let (drain, auto) = ("- {match: a, state: drain}", "- {match: a, state: auto}");
        let other = "# ours\n- {match: b, state: up}\n";
        assert_eq!(changed("", drain, None), format!("{drain}\n"));
        let drained = changed(other, drain, None);
        assert_eq!(drained, format!("{other}{drain}\n"));
        let begin = "- {match: a, state: drain";
        assert_eq!(changed(&drained, auto, Some(begin)), other);
        assert_eq!(changed(drain, auto, Some(begin)), "");
        let covered = format!("{drained}- {{match: c, state: up}}\n");
        assert_eq!(
            changed(&covered, auto, Some(begin)),
            format!("{covered}{auto}\n")
        );
    }

    #[test]
    fn what_can_not_be_written_leaves_the_file_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("overrides.yaml");
        for text in [
            "[{match: 10.0.0.1, state: up}]",
            "- {match: 10.0.0.1, state: off}",
        ] {
            fs::write(&file, text).expect("a file");
            say(&file, "- {match: 10.0.0.2, state: drain}", None).expect_err("a form of its own");
            assert_eq!(fs::read_to_string(&file).expect("a file"), text);
        }
        fs::remove_file(&file).expect("a file");
        say(&file, "- {match: 10.0.0.2, state: drain}", None).expect("a new file");
        assert!(file.exists());
    }
}
