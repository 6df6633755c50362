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
use crate::{
    diagnostic::ObjectKey,
    manifest::{self, Contents, DocumentOutcome, Object},
};

/// How old what is kept may be to stand in for what can't be read.
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// What an earlier process kept: where each mesh file's objects stand.
#[derive(Debug, Default)]
pub struct Stored {
    files: HashMap<Arc<str>, Place>,
    clusters: HashMap<Arc<str>, Vec<Place>>,
    source: Option<BufReader<File>>,
}

/// A part of what was kept.
#[derive(Debug)]
pub enum StoredPart {
    /// All that was kept of a mesh file.
    File(StoredFile),
    /// Objects of a cluster: each takes the place of what earlier parts say of it.
    Cluster(StoredObjects),
}

/// What was kept of some objects of a cluster.
#[derive(Debug)]
pub struct StoredObjects {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// When it could last be read.
    pub read: SystemTime,
    /// Objects that are gone.
    pub gone: Vec<ObjectKey>,
    /// The others.
    pub objects: Vec<Object>,
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
        self.files.is_empty() && self.clusters.is_empty()
    }

    /// The mesh files of which something is kept, in no order.
    pub fn files(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.keys()
    }

    /// Leaves all but the files that `keep` says.
    pub fn retain_files(&mut self, mut keep: impl FnMut(&Arc<str>) -> bool) {
        self.files.retain(|file, _| keep(file));
    }

    /// Leaves all but the clusters that `keep` says.
    pub fn retain_clusters(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.clusters.retain(|cluster, _| keep(cluster));
    }

    /// Reads what is kept, in the order in which it stands; what can't be read any more is left out.
    pub fn into_parts(self) -> impl Iterator<Item = StoredPart> {
        let Self {
            files,
            clusters,
            source,
        } = self;
        let of_clusters = clusters.into_iter().flat_map(|(cluster, places)| {
            let places = places.into_iter();
            places.map(move |place| (cluster.clone(), place))
        });
        let mut places: Vec<_> = files.into_iter().chain(of_clusters).collect();
        places.sort_unstable_by_key(|(_, place)| place.offset);
        let mut source = source;
        places.into_iter().filter_map(move |(file, place)| {
            let source = source.as_mut()?;
            source.seek(SeekFrom::Start(place.offset)).ok()?;
            let mut line = Vec::with_capacity(place.bytes);
            source
                .take(u64::try_from(place.bytes).ok()?)
                .read_to_end(&mut line)
                .ok()?;
            let line = String::from_utf8(line).ok()?;
            let read = Line::read(&line)?;
            let contents = manifest::parse(&file, &line);
            Some(match read {
                Line::ClusterObjects { gone, .. } => StoredPart::Cluster(StoredObjects {
                    cluster: file,
                    read: place.read,
                    gone,
                    objects: objects(contents),
                }),
                _ => StoredPart::File(StoredFile {
                    file,
                    read: place.read,
                    contents,
                }),
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
        // Whoever saved something later still knew what the source says.
        let read = |found: &Found| found.read.unwrap_or(saved);
        let is_young = |read: SystemTime| {
            let age = now.duration_since(read).unwrap_or_default();
            age <= MAX_AGE
        };
        let place = |found: &Found, read| Place {
            offset: found.offset,
            bytes: found.bytes,
            read,
        };
        let files = index.files.into_iter().map(|(file, found)| {
            let read = read(&found);
            (file, place(&found, read))
        });
        let clusters = index.clusters.into_iter().map(|(cluster, found)| {
            // The last line tells when the cluster could be read: the others are still true then.
            let read = found.last().map_or(saved, read);
            let places = found.iter().map(|found| place(found, read));
            (cluster, places.collect::<Vec<_>>())
        });
        Ok(Self {
            files: files.filter(|(_, place)| is_young(place.read)).collect(),
            clusters: clusters
                .filter(|(_, places)| places.first().is_some_and(|place| is_young(place.read)))
                .collect(),
            source: Some(source),
        })
    }
}

/// The objects of a line that this program wrote.
fn objects(contents: Contents) -> Vec<Object> {
    let outcomes = contents.documents.into_iter();
    let objects = outcomes.filter_map(|document| match document.outcome {
        DocumentOutcome::Object(object) => Some(object),
        DocumentOutcome::Rejected(_) | DocumentOutcome::Ignored(_) => None,
    });
    objects.collect()
}

/// What stands where.
#[derive(Default)]
struct Index {
    files: HashMap<Arc<str>, Found>,
    /// The lines of each cluster, in order.
    clusters: HashMap<Arc<str>, Vec<Found>>,
    /// How many lines could be read.
    lines: usize,
    /// When something was last saved; `None` where nothing was as a whole.
    saved: Option<SystemTime>,
}

/// A line: of a mesh file the last one.
struct Found {
    offset: u64,
    bytes: usize,
    read: Option<SystemTime>,
}

/// A line that counts once it is known that those around it are there too.
enum Unsaved {
    /// Of a mesh file, or that it has no object.
    File(Arc<str>, Option<Found>),
    Cluster(Arc<str>, Found),
}

impl Index {
    fn take(&mut self, line: Unsaved) {
        match line {
            Unsaved::File(file, Some(found)) => {
                self.files.insert(file, found);
            }
            Unsaved::File(file, None) => {
                self.files.remove(&file);
            }
            Unsaved::Cluster(cluster, found) => {
                self.clusters.entry(cluster).or_default().push(found);
            }
        }
    }

    /// Reads up to the first line that is not as it was written.
    fn read(source: &mut impl BufRead) -> io::Result<Self> {
        let mut index = Self::default();
        let mut unsaved: Vec<Unsaved> = Vec::new();
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
                    unsaved.push(Unsaved::File(file.into(), (!is_empty).then_some(found)));
                }
                Line::ClusterObjects { cluster, read, .. } => {
                    let found = Found {
                        offset,
                        bytes: text.len(),
                        read,
                    };
                    unsaved.push(Unsaved::Cluster(cluster.into(), found));
                }
                Line::Saved { lines, time } if lines == unsaved.len() => {
                    unsaved.drain(..).for_each(|line| index.take(line));
                    index.saved = Some(time);
                }
                Line::Head | Line::Saved { .. } => return Ok(index),
            }
            index.lines += 1;
            offset += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
    }
}
