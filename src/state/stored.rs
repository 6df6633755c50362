//! Finds what an earlier process kept.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    str,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{BROKEN, FILE, FORMER, StateError, line::Line};
use crate::manifest::{self, Contents};

/// How old what is kept may be to stand in for what can't be read.
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// What an earlier process kept: where each mesh file's objects stand.
#[derive(Debug, Default)]
pub struct Stored {
    files: HashMap<Arc<str>, Place>,
    source: Option<BufReader<File>>,
}

/// What was kept of one mesh file.
#[derive(Debug)]
pub struct StoredFile {
    /// Its name.
    pub file: Arc<str>,
    /// When it could last be read.
    pub read: SystemTime,
    /// What it said. Places in it are those of the kept lines.
    pub contents: Contents,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    bytes: usize,
    /// When the mesh file could last be read.
    read: SystemTime,
}

/// Finds what is kept in `folder`, as far as it is not too old at `now`, and what there is to say of what can't be used. A file
/// that is broken is put aside, so that nobody overwrites it, and the one before it is used; of one that ends in a broken line
/// what stands before counts.
pub fn open(folder: &Path, now: SystemTime) -> (Stored, Vec<StateError>) {
    let mut errors = Vec::new();
    for name in [FILE, FORMER] {
        let path = folder.join(name);
        match Stored::read(&path, now) {
            Ok(stored) => return (stored, errors),
            Err(StateError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                if name == FILE && matches!(error, StateError::Broken { .. }) {
                    // Where that fails the file is not overwritten either: it becomes the former one.
                    let _ = fs::rename(&path, folder.join(BROKEN));
                }
                errors.push(error);
            }
        }
    }
    (Stored::default(), errors)
}

impl Stored {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The mesh files of which something is kept, in no order.
    pub fn files(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.keys()
    }

    /// Leaves all but those that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Arc<str>) -> bool) {
        self.files.retain(|file, _| keep(file));
    }

    /// Reads what is kept of each file, in the order in which it stands; what can't be read any more is left out.
    pub fn into_files(self) -> impl Iterator<Item = StoredFile> {
        let Self { files, source } = self;
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_unstable_by_key(|(_, place)| place.offset);
        let mut source = source;
        files.into_iter().filter_map(move |(file, place)| {
            let source = source.as_mut()?;
            source.seek(SeekFrom::Start(place.offset)).ok()?;
            let mut line = Vec::with_capacity(place.bytes);
            source
                .take(u64::try_from(place.bytes).ok()?)
                .read_to_end(&mut line)
                .ok()?;
            let line = String::from_utf8(line).ok()?;
            Line::read(&line)?;
            let contents = manifest::parse(&file, &line);
            Some(StoredFile {
                file,
                read: place.read,
                contents,
            })
        })
    }

    fn read(path: &Path, now: SystemTime) -> Result<Self, StateError> {
        let error = |source| StateError::Read {
            path: path.to_owned(),
            source,
        };
        let mut source = BufReader::new(File::open(path).map_err(error)?);
        let index = Index::read(&mut source).map_err(error)?;
        let Some(saved) = index.saved else {
            return Err(StateError::Broken {
                path: PathBuf::from(path),
                line: index.lines + 1,
            });
        };
        let place = |(file, found): (Arc<str>, Found)| {
            let place = Place {
                offset: found.offset,
                bytes: found.bytes,
                // Whoever saved something later still knew what the file says.
                read: found.read.unwrap_or(saved),
            };
            let age = now.duration_since(place.read).unwrap_or_default();
            (age <= MAX_AGE).then_some((file, place))
        };
        Ok(Self {
            files: index.files.into_iter().filter_map(place).collect(),
            source: Some(source),
        })
    }
}

/// What stands where.
#[derive(Default)]
struct Index {
    files: HashMap<Arc<str>, Found>,
    /// How many lines could be read.
    lines: usize,
    /// When something was last saved; `None` where nothing was as a whole.
    saved: Option<SystemTime>,
}

/// The last line about a mesh file.
struct Found {
    offset: u64,
    bytes: usize,
    read: Option<SystemTime>,
}

impl Index {
    /// Reads up to the first line that is not as it was written.
    fn read(source: &mut impl BufRead) -> io::Result<Self> {
        let mut index = Self::default();
        let mut unsaved: Vec<(Arc<str>, Option<Found>)> = Vec::new();
        let mut offset = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = source.read_until(b'\n', &mut line)?;
            let text = line.strip_suffix(b"\n").unwrap_or_default();
            let Some(read) = str::from_utf8(text).ok().and_then(Line::read) else {
                return Ok(index);
            };
            match read {
                Line::Head if index.lines == 0 => {}
                _ if index.lines == 0 => return Ok(index),
                Line::Objects {
                    file,
                    read,
                    is_empty,
                } => {
                    let found = Found {
                        offset,
                        bytes: text.len(),
                        read,
                    };
                    unsaved.push((file.into(), (!is_empty).then_some(found)));
                }
                Line::Saved { lines, time } if lines == unsaved.len() => {
                    for (file, found) in unsaved.drain(..) {
                        match found {
                            Some(found) => index.files.insert(file, found),
                            None => index.files.remove(&file),
                        };
                    }
                    index.saved = Some(time);
                }
                Line::Head | Line::Saved { .. } => return Ok(index),
            }
            index.lines += 1;
            offset += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
    }
}
