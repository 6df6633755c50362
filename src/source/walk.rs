//! Finds the mesh files below the given paths.
//!
//! Owns how symbolic links are followed, and which file is listed under which of its names. Every link is read once a
//! walk, and the walk begins again where a link, or a folder given by the user, leads elsewhere at its end: what is listed
//! never mixes the two sides of a swapped link, as Kubernetes and git-sync swap them.
//!
//! Never opens a file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    naming::{is_hidden, is_manifest, name_of, prefix_of},
    signals::Extent,
    stamp::Stamp,
};

/// How many links one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// How many folders deep a mesh folder may be.
const MAX_DEPTH: usize = 32;

/// How often a walk begins again because something was swapped under it.
const MAX_ATTEMPTS: usize = 10;

/// Everything that one walk found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The mesh files by their names.
    pub(super) files: BTreeMap<Arc<str>, Listed>,
    /// The given paths that lead nowhere, by their place among them.
    pub(super) missing: BTreeMap<usize, io::Error>,
    /// Folders that are there and can't be listed, by the names that their files begin with, with the given path that led
    /// there.
    pub(super) closed: BTreeMap<Arc<str>, (usize, io::Error)>,
    /// How many files are in each of the given paths that is a folder, whatever their names, as the last walk found them.
    pub(super) entries: Vec<usize>,
    /// All folders that were listed, by their real paths.
    pub(super) folders: BTreeMap<PathBuf, Visited>,
    /// Real paths of entries elsewhere that decide where a path leads: links and their targets, the given paths
    /// themselves, and names that are missing.
    pub(super) turns: BTreeSet<PathBuf>,
    /// Whether something was swapped during the walk, again and again.
    pub(super) is_torn: bool,
}

/// One folder.
#[derive(Debug)]
pub(super) struct Visited {
    /// Which of the given paths led here.
    root: usize,
    /// How its files' names begin.
    shown: PathBuf,
}

/// One mesh file.
#[derive(Debug)]
pub(super) struct Listed {
    /// Which of the given paths led here.
    pub(super) root: usize,
    /// The file itself, behind all links.
    pub(super) real: PathBuf,
    pub(super) kind: EntryKind,
}

/// What a listed entry is.
#[derive(Debug)]
pub(super) enum EntryKind {
    File(Stamp),
    /// A pipe, socket or device: opening it could block for ever.
    NoFile(&'static str),
    Unreadable(io::Error),
}

/// Lists the mesh files at `roots`: files as they are, folders with everything below them.
///
/// A real file is listed once: under its own name where it has one below a root, else under the first link to it.
pub(super) fn walk(roots: &[PathBuf]) -> Listing {
    let mut attempt = 1;
    loop {
        let mut walk = Walk::default();
        walk.everything(roots);
        if walk.still_holds() {
            return walk.listing;
        }
        if attempt == MAX_ATTEMPTS {
            walk.listing.is_torn = true;
            return walk.listing;
        }
        attempt += 1;
    }
}

impl Listing {
    /// Looks again at the entries of `extent` and gives the names of the mesh files among them.
    ///
    /// `None` where only a walk can tell what an entry means: a folder, a link, or what one of those leads to. The listing
    /// is of no use then.
    pub(super) fn refresh(&mut self, extent: &Extent) -> Option<BTreeSet<Arc<str>>> {
        let Extent::Entries(entries) = extent else {
            return None;
        };
        if self.is_torn || !self.missing.is_empty() || !self.closed.is_empty() {
            return None;
        }
        let mut names = BTreeSet::new();
        for real in entries {
            if self.folders.contains_key(real) || self.turns.contains(real) {
                return None;
            }
            let folder = self.folders.get(real.parent()?)?;
            let kind = match fs::symlink_metadata(real) {
                Ok(metadata) if metadata.is_file() => Some(EntryKind::File(Stamp::of(&metadata))),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                _ => return None,
            };
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

    /// Why the folder can't be listed that holds, or held, the file `name`.
    pub(super) fn closing(&self, name: &str) -> Option<&io::Error> {
        let mut closed = self.closed.iter();
        closed
            .find(|(prefix, _)| name.starts_with(&***prefix))
            .map(|(_, (_, error))| error)
    }
}

#[derive(Default)]
struct Walk {
    listing: Listing,
    /// What each link said when it was first read; `None` for what is no link.
    links: HashMap<PathBuf, Option<PathBuf>>,
    /// Where folders are that were looked up.
    resolved: HashMap<PathBuf, PathBuf>,
    /// The identities of the roots, which a rename could exchange.
    identities: Vec<(PathBuf, Option<(u64, u64)>)>,
    /// Files that were found otherwise than in a folder that is listed.
    single: HashSet<PathBuf>,
    /// Links wait until everything real was seen.
    waiting: VecDeque<Link>,
}

struct Link {
    root: usize,
    shown: PathBuf,
    path: PathBuf,
    depth: usize,
}

impl Walk {
    fn everything(&mut self, roots: &[PathBuf]) {
        self.listing.entries = vec![0; roots.len()];
        for (root, path) in roots.iter().enumerate() {
            if let Err(error) = self.root(root, path) {
                self.listing.missing.insert(root, error);
            }
        }
        while let Some(link) = self.waiting.pop_front() {
            self.link(link);
        }
    }

    fn root(&mut self, root: usize, path: &Path) -> io::Result<()> {
        let absolute = std::path::absolute(path)?;
        let real = self.resolve(&absolute)?;
        let metadata = fs::symlink_metadata(&real)?;
        self.identities.push((real.clone(), identity(&real)));
        self.listing.turns.insert(real.clone());
        if metadata.is_dir() {
            self.folder(root, path, &real, 0);
        } else if self.is_first(&real) {
            self.file(root, path, real, &metadata);
        }
        Ok(())
    }

    fn folder(&mut self, root: usize, shown: &Path, real: &Path, depth: usize) {
        if depth > MAX_DEPTH || self.listing.folders.contains_key(real) {
            return;
        }
        let visited = Visited {
            root,
            shown: shown.to_owned(),
        };
        self.listing.folders.insert(real.to_owned(), visited);
        let entries = match entries_of(real) {
            Ok(entries) => entries,
            // It went while we walked: the folder above changed too.
            Err(error) if depth > 0 && error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                self.listing.closed.insert(prefix_of(shown), (root, error));
                return;
            }
        };
        for (name, file_type) in entries {
            let (shown, path) = (shown.join(&name), real.join(&name));
            self.listing.entries[root] += usize::from(file_type.is_file());
            if file_type.is_dir() {
                self.folder(root, &shown, &path, depth + 1);
            } else if file_type.is_symlink() {
                self.waiting.push_back(Link {
                    root,
                    shown,
                    path,
                    depth,
                });
            } else if is_manifest(&path)
                && let Ok(metadata) = fs::symlink_metadata(&path)
            {
                self.file(root, &shown, path, &metadata);
            }
        }
    }

    fn link(&mut self, link: Link) {
        let Link {
            root,
            shown,
            path,
            depth,
        } = link;
        let found = self
            .resolve(&path)
            .and_then(|real| Ok((fs::symlink_metadata(&real)?, real)));
        let is_entry = found.as_ref().is_ok_and(|(metadata, _)| !metadata.is_dir());
        self.listing.entries[root] += usize::from(is_entry);
        match found {
            Ok((metadata, real)) if metadata.is_dir() => {
                self.folder(root, &shown, &real, depth + 1);
            }
            Ok((metadata, real)) if is_manifest(&shown) => {
                self.listing.turns.insert(real.clone());
                if self.is_first(&real) {
                    self.file(root, &shown, real, &metadata);
                }
            }
            // A link that leads nowhere is no file, as after a ConfigMap has lost a key.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if is_manifest(&shown) => {
                let listed = Listed {
                    root,
                    real: path,
                    kind: EntryKind::Unreadable(error),
                };
                self.listing.files.insert(name_of(&shown), listed);
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Whether a file that was found by its path or a link is in no folder that was listed, and is found so for the
    /// first time.
    fn is_first(&mut self, real: &Path) -> bool {
        let is_listed = real
            .parent()
            .is_some_and(|parent| self.listing.folders.contains_key(parent));
        let is_found = is_listed && is_manifest(real) && !is_hidden(real);
        !is_found && self.single.insert(real.to_owned())
    }

    fn file(&mut self, root: usize, shown: &Path, real: PathBuf, metadata: &fs::Metadata) {
        let file_type = metadata.file_type();
        let kind = if file_type.is_file() {
            EntryKind::File(Stamp::of(metadata))
        } else if file_type.is_fifo() {
            EntryKind::NoFile("a named pipe")
        } else if file_type.is_socket() {
            EntryKind::NoFile("a socket")
        } else {
            EntryKind::NoFile("a device")
        };
        let listed = Listed { root, real, kind };
        self.listing.files.insert(name_of(shown), listed);
    }

    /// The path behind all links in an absolute path; notes every entry that has a say in it.
    fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else {
            return Ok(PathBuf::from("/"));
        };
        let parent = if let Some(known) = self.resolved.get(parent) {
            known.clone()
        } else {
            let real = self.follow(Path::new("/").to_owned(), parts_of(parent))?;
            self.resolved.insert(parent.to_owned(), real.clone());
            real
        };
        self.follow(parent, VecDeque::from([name.to_owned()]))
    }

    fn follow(&mut self, mut at: PathBuf, mut parts: VecDeque<OsString>) -> io::Result<PathBuf> {
        let mut links_left = MAX_LINKS;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            let target = match self.read_link(&next) {
                Ok(target) => target,
                Err(error) => {
                    self.listing.turns.insert(next);
                    return Err(error);
                }
            };
            let Some(target) = target else {
                at = next;
                continue;
            };
            self.listing.turns.insert(next);
            links_left = links_left
                .checked_sub(1)
                .ok_or_else(|| io::Error::from_raw_os_error(libc::ELOOP))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for part in parts_of(&target).into_iter().rev() {
                parts.push_front(part);
            }
        }
        Ok(at)
    }

    /// What the link at `path` says; `None` for anything that is no link.
    fn read_link(&mut self, path: &Path) -> io::Result<Option<PathBuf>> {
        if let Some(known) = self.links.get(path) {
            return Ok(known.clone());
        }
        let target = match fs::read_link(path) {
            Ok(target) => Some(target),
            Err(error) if error.kind() == ErrorKind::InvalidInput => None,
            Err(error) => return Err(error),
        };
        self.links.insert(path.to_owned(), target.clone());
        Ok(target)
    }

    /// Whether links and roots are still what they were when the walk came by.
    fn still_holds(&self) -> bool {
        let same_link = |(path, target): (&PathBuf, &Option<PathBuf>)| {
            target.is_none() || fs::read_link(path).ok() == *target
        };
        self.links.iter().all(same_link)
            && self
                .identities
                .iter()
                .all(|(path, before)| identity(path) == *before)
    }
}

/// A folder's entries in the order of their names, hidden ones left out.
fn entries_of(folder: &Path) -> io::Result<Vec<(OsString, fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_hidden(Path::new(&name)) {
            continue;
        }
        // Where the file system does not tell types, this looks at the entry, which may have gone.
        if let Ok(file_type) = entry.file_type() {
            entries.push((name, file_type));
        }
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn parts_of(path: &Path) -> VecDeque<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}
