//! What one walk found, and what becomes of it as events tell of single files.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    entries::{Entry, entry_at, identity_at},
    naming::{is_manifest, name_of, path_of},
    signals::Extent,
    stamp::{Identity, Stamp},
};

/// Everything that one walk found.
#[derive(Debug)]
pub(super) struct Listing {
    /// The mesh files by their names.
    pub(super) files: BTreeMap<Arc<str>, Listed>,
    /// The given paths that lead nowhere, by their place among them.
    pub(super) missing: BTreeMap<usize, io::Error>,
    /// Folders that are there and are not listed, by the names that their files begin with.
    pub(super) closed: BTreeMap<Arc<str>, Closed>,
    /// How many files are in each of the given paths that is a folder, whatever their names, as the last walk found them.
    pub(super) entries: Vec<usize>,
    /// All folders that were listed, by their real paths.
    pub(super) folders: BTreeMap<PathBuf, Visited>,
    /// Real paths of entries elsewhere that decide where a path leads: links and their targets, the given paths
    /// themselves, and names that are missing.
    pub(super) turns: BTreeSet<PathBuf>,
    /// Whether something was swapped during the walk, again and again.
    pub(super) is_torn: bool,
    /// When the walk was over: what it did not find was missing then at the latest.
    pub(super) seen: Instant,
}

/// One folder.
#[derive(Debug)]
pub(super) struct Visited {
    /// Which of the given paths led here.
    pub(super) root: usize,
    /// How its files' names begin.
    pub(super) shown: PathBuf,
    /// Which folder it was.
    pub(super) identity: Identity,
}

/// A folder that is there and is not listed.
#[derive(Debug)]
pub(super) struct Closed {
    /// Which of the given paths led there.
    pub(super) root: usize,
    pub(super) why: NotListed,
}

/// Why what is there is not listed.
#[derive(Debug)]
pub(super) enum NotListed {
    /// The operating system refuses it, or does at this moment.
    Error(io::Error),
    /// A rule of ours.
    Rule(String),
}

/// One mesh file.
#[derive(Debug)]
pub(super) struct Listed {
    /// Which of the given paths led here.
    pub(super) root: usize,
    /// The file itself, behind all links.
    pub(super) real: PathBuf,
    pub(super) kind: ListedKind,
}

/// What a listed entry is.
#[derive(Debug)]
pub(super) enum ListedKind {
    File(Stamp),
    /// A pipe, socket or device: opening it could block for ever.
    NoFile(&'static str),
    Unreadable(io::Error),
    /// A link that is not followed, for this reason.
    Refused(String),
}

/// Where each folder's files' names begin, and which folder that is: its real path and identity.
pub(super) type Places = HashMap<PathBuf, (PathBuf, Identity)>;

impl Listing {
    /// Looks again at the entries of `extent` and gives the names of the mesh files among them.
    ///
    /// `None` where only a walk can tell what an entry means: a folder, a link, or what one of those leads to. The listing
    /// is of no use then.
    pub(super) fn refresh(&mut self, extent: &Extent) -> Option<BTreeSet<Arc<str>>> {
        let Extent::Entries(entries) = extent else {
            return None;
        };
        // What the operating system refuses it may give at any time, and no event tells of that.
        let is_refused = |closed: &Closed| matches!(closed.why, NotListed::Error(_));
        if self.is_torn || !self.missing.is_empty() || self.closed.values().any(is_refused) {
            return None;
        }
        let mut names = BTreeSet::new();
        for real in entries {
            if self.folders.contains_key(real) || self.turns.contains(real) {
                return None;
            }
            let parent = real.parent()?;
            let folder = self.folders.get(parent)?;
            let kind = match entry_at(real) {
                Ok(Entry::File(stamp)) => Some(ListedKind::File(stamp)),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                _ => return None,
            };
            if identity_at(parent) != Some(folder.identity) {
                return None;
            }
            if !is_manifest(real) {
                continue;
            }
            let name = name_of(&folder.shown.join(real.file_name()?));
            match kind {
                Some(kind) => {
                    let listed = Listed {
                        root: folder.root,
                        real: real.clone(),
                        kind,
                    };
                    self.files.insert(name.clone(), listed);
                }
                None => {
                    self.files.remove(&name);
                }
            }
            names.insert(name);
        }
        self.seen = Instant::now();
        Some(names)
    }

    /// How many files each of so many given paths leads to.
    pub(super) fn files_of_root(&self, roots: usize) -> Vec<usize> {
        let mut counts = vec![0; roots];
        for listed in self.files.values() {
            counts[listed.root] += 1;
        }
        counts
    }

    /// Why the folder is not listed that holds, or held, the file `name`.
    pub(super) fn closing(&self, name: &str) -> Option<&NotListed> {
        let mut closed = self.closed.iter();
        closed
            .find(|(prefix, _)| name.starts_with(&***prefix))
            .map(|(_, closed)| &closed.why)
    }

    /// Which folder was listed that holds the file at `real`; `None` where the file was found otherwise.
    pub(super) fn folder_of(&self, real: &Path) -> Option<Identity> {
        Some(self.folders.get(real.parent()?)?.identity)
    }

    /// Where the listed folders are, by what the names of their files begin with.
    pub(super) fn places(&self) -> Places {
        let place = |(real, visited): (&PathBuf, &Visited)| {
            (visited.shown.clone(), (real.clone(), visited.identity))
        };
        self.folders.iter().map(place).collect()
    }
}

/// The listed folders that hold, or would hold, the file `name`, the innermost first, as `places` has them.
pub(super) fn folders_around<'p>(
    name: &str,
    places: &'p Places,
) -> impl Iterator<Item = (PathBuf, &'p (PathBuf, Identity))> {
    let path = path_of(name);
    let ancestors: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    ancestors
        .into_iter()
        .filter_map(move |folder| places.get(&folder).map(|place| (folder, place)))
}

impl fmt::Display for NotListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Rule(why) => f.write_str(why),
        }
    }
}
