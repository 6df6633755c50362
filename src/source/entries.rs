//! Reads the entries of one folder.
//!
//! What is found is of one and the same folder, even where another one takes its place meanwhile: entries are looked at from the
//! open folder, never by their paths.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat},
    io::Errno,
};

use super::{
    naming::{is_hidden, is_manifest},
    stamp::{Identity, Stamp},
};

/// What is in a folder and could lead to mesh files.
#[derive(Debug)]
pub(super) struct Entries {
    /// Which folder it is, wherever it stands by now.
    pub(super) folder: Identity,
    /// In the order of their names.
    pub(super) found: Vec<(OsString, Entry)>,
    /// How many files there are, whatever their names, hidden ones left out.
    pub(super) files: usize,
    /// Whether there are more than one had room for.
    pub(super) is_cut: bool,
}

/// One entry that could be a mesh file or lead to one.
#[derive(Debug)]
pub(super) enum Entry {
    Folder,
    Link,
    File(Stamp),
    /// A pipe, socket or device.
    NoFile(&'static str),
    Unreadable(io::Error),
}

impl Entries {
    /// Reads the folder at `path`, behind all links, up to so many entries that could lead to mesh files.
    ///
    /// # Errors
    ///
    /// What the operating system says where the folder can't be listed or entered: without the right to enter it its names can
    /// be read, and nothing can be told of what they name.
    pub(super) fn read(path: &Path, room: usize) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = Dir::new(openat(CWD, path, flags, Mode::empty())?)?;
        let itself = folder.stat()?;
        statat(folder.fd()?, ".", AtFlags::SYMLINK_NOFOLLOW)?;
        let mut entries = Self {
            folder: identity_of(&itself),
            found: Vec::new(),
            files: 0,
            is_cut: false,
        };
        let mut named = Vec::new();
        while let Some(entry) = folder.read() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") || is_hidden(Path::new(name)) {
                continue;
            }
            let file_type = entry.file_type();
            entries.files += usize::from(file_type == FileType::RegularFile);
            let may_lead = is_manifest(Path::new(name))
                || matches!(
                    file_type,
                    FileType::Directory | FileType::Symlink | FileType::Unknown
                );
            if may_lead {
                if named.len() == room {
                    entries.is_cut = true;
                    break;
                }
                named.push((name.to_owned(), file_type));
            }
        }
        named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (name, file_type) in named {
            let entry = match file_type {
                FileType::Directory => Entry::Folder,
                FileType::Symlink => Entry::Link,
                _ => match statat(folder.fd()?, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => Entry::of(&stat),
                    // It went while we looked.
                    Err(Errno::NOENT) => continue,
                    Err(error) => Entry::Unreadable(error.into()),
                },
            };
            let is_unknown = file_type == FileType::Unknown;
            entries.files += usize::from(is_unknown && matches!(entry, Entry::File(_)));
            if !is_unknown
                || matches!(entry, Entry::Folder | Entry::Link)
                || is_manifest(Path::new(&name))
            {
                entries.found.push((name, entry));
            }
        }
        Ok(entries)
    }
}

impl Entry {
    pub(super) fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            FileType::RegularFile => Self::File(Stamp::of_stat(stat)),
            FileType::Fifo => Self::NoFile("a named pipe"),
            FileType::Socket => Self::NoFile("a socket"),
            _ => Self::NoFile("a device"),
        }
    }
}

/// What is at `path`, which is not followed where it is a link.
pub(super) fn entry_at(path: &Path) -> io::Result<Entry> {
    Ok(Entry::of(&statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// Which file or folder is at `path`; `None` where that can't be told.
pub(super) fn identity_at(path: &Path) -> Option<Identity> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(identity_of(&stat))
}

fn identity_of(stat: &Stat) -> Identity {
    Stamp::of_stat(stat).identity()
}
