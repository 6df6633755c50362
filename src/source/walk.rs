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
    path::{Component, Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    entries::{Entries, Entry, entry_at, identity_at},
    links::FollowLinks,
    listing::{Closed, Listed, ListedKind, Listing, NotListed, Visited},
    mounts::kernel_file_system,
    naming::{is_hidden, is_manifest, name_of, prefix_of},
    stamp::Identity,
};

/// How many links one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// How many folders deep a mesh folder may be.
const MAX_DEPTH: usize = 32;

/// How many folders are told one by one that can't be listed.
const MAX_CLOSED: usize = 100;

/// How often a walk begins again because something was swapped under it.
const MAX_ATTEMPTS: usize = 10;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many files, folders and links it may find in all mesh folders; files of other names don't count.
    pub(super) entries: usize,
    /// How long it may take. One system call may take longer, and nobody can end it.
    pub(super) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 250_000,
            time: Duration::from_mins(2),
        }
    }
}

/// Lists the mesh files at `roots`: files as they are, folders with everything below them.
///
/// A real file is listed once: under its own name where it has one below a root, else under the first link to it.
pub(super) fn walk(roots: &[PathBuf], follow_links: FollowLinks, limits: Limits) -> Listing {
    let mut attempt = 1;
    loop {
        let mut walk = Walk::new(roots, follow_links, limits);
        walk.everything();
        let holds = walk.still_holds();
        if holds || attempt == MAX_ATTEMPTS {
            walk.listing.is_torn = !holds;
            walk.listing.seen = Instant::now();
            return walk.listing;
        }
        attempt += 1;
    }
}

struct Walk<'p> {
    listing: Listing,
    given: &'p [PathBuf],
    follow_links: FollowLinks,
    limits: Limits,
    begun: Instant,
    /// How many more entries may be found, and whether a limit was reached.
    room: usize,
    is_over: bool,
    /// What each link said when it was first read; `None` for what is no link.
    links: HashMap<PathBuf, Option<PathBuf>>,
    /// Where folders are that were looked up.
    resolved: HashMap<PathBuf, PathBuf>,
    /// The given paths behind all links, and their identities, which a rename could exchange.
    roots: Vec<PathBuf>,
    identities: Vec<Option<Identity>>,
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

impl<'p> Walk<'p> {
    fn new(given: &'p [PathBuf], follow_links: FollowLinks, limits: Limits) -> Self {
        let begun = Instant::now();
        Self {
            listing: Listing {
                files: BTreeMap::new(),
                missing: BTreeMap::new(),
                closed: BTreeMap::new(),
                entries: vec![0; given.len()],
                folders: BTreeMap::new(),
                turns: BTreeSet::new(),
                is_torn: false,
                seen: begun,
            },
            given,
            follow_links,
            limits,
            begun,
            room: limits.entries,
            is_over: false,
            links: HashMap::new(),
            resolved: HashMap::new(),
            roots: Vec::new(),
            identities: Vec::new(),
            single: HashSet::new(),
            waiting: VecDeque::new(),
        }
    }

    fn everything(&mut self) {
        for (root, path) in self.given.iter().enumerate() {
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
        let entry = entry_at(&real)?;
        self.identities.push(identity_at(&real));
        self.roots.push(real.clone());
        self.listing.turns.insert(real.clone());
        if matches!(entry, Entry::Folder) {
            self.folder(root, path, &real, 0);
        } else if self.note_single(&real) {
            self.file(root, path, real, entry);
        }
        Ok(())
    }

    fn folder(&mut self, root: usize, shown: &Path, real: &Path, depth: usize) {
        if self.listing.folders.contains_key(real) {
            return;
        }
        if depth > MAX_DEPTH {
            let why = format!("it is more than {MAX_DEPTH} folders deep");
            return self.close(root, shown, NotListed::Rule(why));
        }
        if self.is_over {
            return;
        }
        let Limits {
            entries: most,
            time,
        } = self.limits;
        if self.begun.elapsed() > time {
            let seconds = time.as_secs();
            return self.end(root, &format!("can't be looked at within {seconds} s"));
        }
        let entries = match Entries::read(real, self.room) {
            Ok(entries) => entries,
            // It went while we walked: the folder above changed too.
            Err(error) if depth > 0 && is_gone_or_link(&error) => return,
            Err(error) => {
                // When that changes an event tells, of it or of the folder above.
                self.listing.turns.insert(real.to_owned());
                return self.close(root, shown, NotListed::Error(error));
            }
        };
        let Entries {
            folder: identity,
            found,
            files,
            is_cut,
        } = entries;
        let is_mounted = |above: &Visited| above.identity.0 != identity.0;
        let above = real
            .parent()
            .and_then(|above| self.listing.folders.get(above));
        if above.is_some_and(is_mounted)
            && let Some(file_system) = kernel_file_system(real)
        {
            let why = format!("it is on the kernel's file system {file_system}");
            return self.close(root, shown, NotListed::Rule(why));
        }
        let visited = Visited {
            root,
            shown: shown.to_owned(),
            identity,
        };
        self.listing.folders.insert(real.to_owned(), visited);
        self.listing.entries[root] += files;
        if is_cut {
            let why = format!("hold more than {most} manifests, folders and links");
            return self.end(root, &why);
        }
        self.room -= found.len();
        for (name, entry) in found {
            let (shown, path) = (shown.join(&name), real.join(&name));
            match entry {
                Entry::Folder => self.folder(root, &shown, &path, depth + 1),
                Entry::Link => self.waiting.push_back(Link {
                    root,
                    shown,
                    path,
                    depth,
                }),
                file => self.file(root, &shown, path, file),
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
            .and_then(|real| Ok((entry_at(&real)?, real)));
        let (entry, real) = match found {
            Ok(found) => found,
            // A link that leads nowhere is no file, as after a ConfigMap has lost a key.
            Err(error) if is_gone(&error) => return,
            Err(error) if is_manifest(&shown) => {
                self.listing.entries[root] += 1;
                return self.file(root, &shown, path, Entry::Unreadable(error));
            }
            // A folder may be behind it.
            Err(error) => return self.close(root, &shown, NotListed::Error(error)),
        };
        let is_folder = matches!(entry, Entry::Folder);
        self.listing.entries[root] += usize::from(!is_folder);
        if !is_folder && !is_manifest(&shown) || self.listing.folders.contains_key(&real) {
            return;
        }
        let refused = self.follow_links.refuses(&real, &self.roots);
        match refused {
            Some(why) if is_folder => self.close(root, &shown, NotListed::Rule(why)),
            Some(why) => self.list(root, &shown, path, ListedKind::Refused(why)),
            None if is_folder => self.folder(root, &shown, &real, depth + 1),
            None => {
                self.listing.turns.insert(real.clone());
                if self.note_single(&real) {
                    self.file(root, &shown, real, entry);
                }
            }
        }
    }

    fn close(&mut self, root: usize, shown: &Path, why: NotListed) {
        if self.listing.closed.len() >= MAX_CLOSED {
            return self.end(
                root,
                &format!("hold more than {MAX_CLOSED} folders that can't be listed"),
            );
        }
        let closed = Closed { root, why };
        self.listing.closed.insert(prefix_of(shown), closed);
    }

    /// Lists no more: what else there is below the given path is not known.
    fn end(&mut self, root: usize, why: &str) {
        self.is_over = true;
        let given = prefix_of(&self.given[root]);
        let why = format!("the mesh folders {why}: what is beyond that is not looked at");
        let why = NotListed::Rule(why);
        self.listing.closed.insert(given, Closed { root, why });
    }

    /// Notes a file that was found by its path or a link; tells whether it is in no folder that was listed, and is found so
    /// for the first time.
    fn note_single(&mut self, real: &Path) -> bool {
        let is_listed = real
            .parent()
            .is_some_and(|parent| self.listing.folders.contains_key(parent));
        let is_found = is_listed && is_manifest(real) && !is_hidden(real);
        !is_found && self.single.insert(real.to_owned())
    }

    fn file(&mut self, root: usize, shown: &Path, real: PathBuf, entry: Entry) {
        let kind = match entry {
            Entry::File(stamp) => ListedKind::File(stamp),
            Entry::NoFile(what) => ListedKind::NoFile(what),
            Entry::Unreadable(error) => ListedKind::Unreadable(error),
            // Another entry has its name by now.
            Entry::Folder | Entry::Link => return,
        };
        self.list(root, shown, real, kind);
    }

    fn list(&mut self, root: usize, shown: &Path, real: PathBuf, kind: ListedKind) {
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

    /// Whether links, roots and folders are still what they were when the walk came by. A folder that is gone is one that
    /// goes, as many do in `rm -r`; one that another folder took the place of was in two states.
    fn still_holds(&self) -> bool {
        let same_link = |(path, target): (&PathBuf, &Option<PathBuf>)| {
            target.is_none() || fs::read_link(path).ok() == *target
        };
        let mut roots = self.roots.iter().zip(&self.identities);
        let mut folders = self.listing.folders.iter();
        self.links.iter().all(same_link)
            && roots.all(|(path, before)| identity_at(path) == *before)
            && folders.all(|(path, visited)| {
                identity_at(path).is_none_or(|identity| identity == visited.identity)
            })
    }
}

/// Whether what a path names is not there.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

/// The same of a folder that is to be opened and may have become a link.
fn is_gone_or_link(error: &io::Error) -> bool {
    is_gone(error) || error.raw_os_error() == Some(libc::ELOOP)
}

fn parts_of(path: &Path) -> VecDeque<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}
