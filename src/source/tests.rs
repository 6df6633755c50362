//! Looks at real folders, without events: what a look finds, and what it leaves alone.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind,
    event::{
        AccessKind, AccessMode, CreateKind, DataChange, Flag, ModifyKind, RemoveKind, RenameMode,
    },
};

use super::{
    folder::Folder,
    listing::Listing,
    look::{Look, Scan, Trust},
    signals::{Evidence, Extent, Scope, Signals},
    walk::{Limits, walk},
    *,
};
use crate::mesh::{FileChange, Reading};

mod changes;

fn workload(name: &str, address: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}}}\n\
         spec: {{address: {address}}}\n"
    )
}

/// What one look found.
struct Found {
    changes: Vec<FileChange>,
    scan: Scan,
}

/// A temporary folder with one mesh folder `zones` in it.
struct Place {
    above: tempfile::TempDir,
    folder: Folder,
}

impl Place {
    fn new(files: &[&str]) -> Self {
        let above = tempfile::tempdir().expect("a temporary folder");
        let zones = above.path().join("zones");
        fs::create_dir(&zones).expect("a new folder");
        let place = Self {
            above,
            folder: Folder::new(vec![zones], FollowLinks::default()),
        };
        for file in files {
            place.write(file, "10.0.0.1");
        }
        place
    }

    fn path(&self, file: &str) -> PathBuf {
        self.above.path().join("zones").join(file)
    }

    fn write(&self, file: &str, address: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, workload("vm", address)).expect("a file");
    }

    fn load(&mut self) -> Found {
        self.look(Trust::Everything, Instant::now())
    }

    fn look(&mut self, trust: Trust, now: Instant) -> Found {
        let look = Look {
            now,
            ..Look::begin(trust)
        };
        let listing = self.folder.list();
        self.read(&listing, &look)
    }

    fn read(&mut self, listing: &Listing, look: &Look) -> Found {
        let mut changes = Vec::new();
        let scan = self
            .folder
            .read(listing, look, |change, _| changes.push(change));
        assert!(!scan.is_torn, "nobody else writes here");
        Found { changes, scan }
    }

    /// The changes as `+file` for read, `!file` for unreadable and `-file` for gone, names below the folder.
    fn told(&self, found: &Found) -> Vec<String> {
        let prefix = self.path("");
        let tell = |change: &FileChange| {
            let sign = match change.reading {
                Reading::Read(_) | Reading::Amended { .. } => '+',
                Reading::Unreadable(_) => '!',
                Reading::Remark(_) => '?',
                Reading::Gone => '-',
            };
            let name = Path::new(&*change.file);
            let name = name.strip_prefix(&prefix).unwrap_or(name);
            format!("{sign}{}", name.display())
        };
        let mut told: Vec<_> = found.changes.iter().map(tell).collect();
        told.sort_unstable_by(|a, b| a[1..].cmp(&b[1..]));
        told
    }
}

#[test]
fn manifests_are_found_by_their_names_in_order() {
    let files = [
        "b.yaml",
        "a/z.yml",
        "c.JSON",
        "notes.txt",
        ".hidden.yaml",
        ".git/x.yaml",
        "d.yaml~",
    ];
    let mut place = Place::new(&files);
    let found = place.load();
    assert_eq!(place.told(&found), ["+a/z.yml", "+b.yaml", "+c.JSON"]);
    assert_eq!((found.scan.files, found.scan.work.added), (3, 3));
}

#[test]
fn only_what_changed_is_read_and_parsed() {
    let mut place = Place::new(&["a.yaml", "b.yaml"]);
    place.load();
    // What was read right after it was written is read once more, for its times prove nothing.
    let settled = || std::thread::sleep(Duration::from_millis(25));
    settled();
    assert_eq!(place.load().changes.len(), 0);
    let found = place.load();
    assert_eq!(
        (found.scan.work.files_read, found.scan.work.documents_parsed),
        (0, 0)
    );
    place.write("a.yaml", "10.0.0.1");
    let found = place.load();
    assert_eq!(
        (
            found.scan.work.files_read,
            found.scan.work.documents_parsed,
            found.scan.work.changed
        ),
        (1, 0, 0)
    );
    place.write("b.yaml", "10.0.0.2");
    settled();
    let found = place.load();
    assert_eq!(place.told(&found), ["+b.yaml"]);
    assert_eq!(
        (found.scan.work.documents_parsed, found.scan.work.changed),
        (1, 1)
    );
}

#[test]
fn a_renamed_file_goes_and_comes_in_one_look() {
    let mut place = Place::new(&["a.yaml"]);
    place.load();
    fs::rename(place.path("a.yaml"), place.path("b.yaml")).expect("a rename");
    let now = Instant::now();
    let evidence = Evidence {
        last_removal: Some(now),
        ..Evidence::default()
    };
    let found = place.look(Trust::Events(evidence), now);
    assert_eq!(place.told(&found), ["-a.yaml", "+b.yaml"]);
}

#[test]
fn a_removed_file_goes_when_removing_is_over() {
    let mut place = Place::new(&["a.yaml", "b.yaml"]);
    place.load();
    fs::remove_file(place.path("a.yaml")).expect("it is there");
    let now = Instant::now();
    let evidence = Evidence {
        last_removal: Some(now),
        ..Evidence::default()
    };
    let found = place.look(Trust::Events(evidence.clone()), now);
    assert_eq!(place.told(&found), [""; 0]);
    let again = found.scan.again_at.expect("it is worth another look");
    assert!(again - now < Duration::from_millis(100));
    let found = place.look(Trust::Events(evidence), again);
    assert_eq!(place.told(&found), ["-a.yaml"]);
}

#[test]
fn a_real_file_counts_once_however_many_links_lead_to_it() {
    let mut place = Place::new(&["real/a.yaml"]);
    symlink("real", place.path("alias")).expect("a link");
    symlink("..", place.path("real/up")).expect("a link");
    symlink("real/a.yaml", place.path("b.yaml")).expect("a link");
    symlink("nowhere.yaml", place.path("dangling.yaml")).expect("a link");
    symlink("around.yaml", place.path("around.yaml")).expect("a link");
    let found = place.load();
    assert_eq!(place.told(&found), ["!around.yaml", "+real/a.yaml"]);
}

#[test]
fn a_file_too_large_is_not_read() {
    let mut place = Place::new(&["a.yaml"]);
    place.load();
    let file = fs::File::options()
        .write(true)
        .open(place.path("a.yaml"))
        .expect("it is there");
    file.set_len(1 << 40).expect("a sparse file");
    let found = place.load();
    assert_eq!(place.told(&found), ["!a.yaml"]);
    assert_eq!(found.scan.work.files_read, 0);
    assert_eq!(place.load().changes.len(), 0, "it is told once");
    place.write("a.yaml", "10.0.0.1");
    let found = place.load();
    assert_eq!(place.told(&found), ["+a.yaml"], "what it says counts again");
}

#[test]
fn a_path_that_leads_nowhere_is_an_error_that_says_so() {
    let nowhere = vec![PathBuf::from("/nowhere/zones")];
    let error =
        super::load(nowhere, FollowLinks::default(), |_| {}).expect_err("there is no such folder");
    assert!(
        error
            .to_string()
            .starts_with("open mesh folder /nowhere/zones"),
        "{error}"
    );
    assert!(probe(&[PathBuf::from("/nowhere/zones")]).is_err());
}

#[test]
fn a_single_file_is_read_whatever_its_name() {
    let place = Place::new(&["notes.txt"]);
    let mut names = Vec::new();
    let loaded = super::load(
        vec![place.path("notes.txt")],
        FollowLinks::default(),
        |batch| {
            names.extend(batch.changes.into_iter().map(|change| change.file));
        },
    );
    loaded.expect("the file is there");
    assert_eq!(names.len(), 1);
    assert!(names[0].ends_with("/notes.txt"));
}

#[test]
fn without_events_a_change_is_taken_when_it_was_still() {
    let mut place = Place::new(&["a.yaml"]);
    place.load();
    place.write("a.yaml", "10.0.0.2");
    let patience = Duration::from_millis(250);
    let now = Instant::now();
    let found = place.look(Trust::Stillness(patience), now);
    assert_eq!(place.told(&found), [""; 0]);
    assert_eq!(found.scan.again_at, Some(now + patience));
    place.write("a.yaml", "10.0.0.33");
    let found = place.look(Trust::Stillness(patience), now + patience);
    assert_eq!(place.told(&found), [""; 0], "it changed in between");
    let found = place.look(Trust::Stillness(patience), now + 2 * patience);
    assert_eq!(place.told(&found), ["+a.yaml"]);
}

#[test]
fn what_is_read_beside_a_file_in_motion_is_half_of_a_change() {
    let mut place = Place::new(&["a.yaml", "b.yaml"]);
    place.load();
    let patience = Duration::from_millis(250);
    let now = Instant::now();
    place.write("b.yaml", "10.0.0.22");
    fs::remove_file(place.path("a.yaml")).expect("it is there");
    let found = place.look(Trust::Stillness(patience), now);
    assert_eq!(place.told(&found), [""; 0]);
    let at = |now| Look {
        now,
        ..Look::begin(Trust::Stillness(patience))
    };
    let listing = place.folder.list();
    place.write("c.yaml", "10.0.0.1");
    place.write("b.yaml", "10.0.0.333");
    let found = place.read(&listing, &at(now + 2 * patience));
    assert_eq!(place.told(&found), ["-a.yaml"]);
    assert!(found.scan.is_half, "b.yaml changed since it was listed");
    let found = place.look(Trust::Stillness(patience), now + 3 * patience);
    assert_eq!(place.told(&found), [""; 0]);
    assert!(found.scan.is_half, "what goes with b.yaml is still to come");
    let found = place.look(Trust::Stillness(patience), now + 4 * patience);
    assert_eq!(place.told(&found), ["+b.yaml", "+c.yaml"]);
    assert!(!found.scan.is_half);
}

#[test]
fn a_file_of_the_kernel_is_read_whatever_size_it_seems_to_have() {
    let mut readings = Vec::new();
    let path = PathBuf::from("/proc/sys/kernel/ostype");
    let loaded = super::load(vec![path], FollowLinks::default(), |batch| {
        readings.extend(batch.changes.into_iter().map(|change| change.reading));
    });
    loaded.expect("every Linux has it");
    let [Reading::Read(contents)] = &*readings else {
        panic!("{readings:?}");
    };
    assert_eq!(
        contents.documents.len(),
        1,
        "a text is no manifest, and is a document"
    );
}

#[test]
fn what_is_beyond_a_limit_is_told_and_stays() {
    let mut place = Place::new(&["a.yaml", "b.yaml", "nested/c.yaml", "nested/d.yaml"]);
    fs::write(place.path("notes.txt"), "nothing").expect("a new file");
    place.load();
    let few = Limits {
        entries: 4,
        ..Limits::default()
    };
    let slow = Limits {
        time: Duration::ZERO,
        ..Limits::default()
    };
    for (limits, files, reason) in [(few, 2, "more than 4"), (slow, 0, "within 0 s")] {
        let listing = walk(&[place.path("")], FollowLinks::default(), limits);
        assert_eq!(listing.files.len(), files);
        let closed: Vec<_> = listing.closed.values().collect();
        let [closed] = &*closed else {
            panic!("{closed:?}");
        };
        assert!(closed.why.to_string().contains(reason), "{closed:?}");
        let found = place.read(&listing, &Look::begin(Trust::Everything));
        let told = place.told(&found);
        assert!(told.iter().all(|told| told.starts_with('!')), "{told:?}");
        place.write("a.yaml", "10.0.0.2");
        let found = place.load();
        assert!(place.told(&found).contains(&"+a.yaml".to_owned()));
    }
}

#[test]
fn patience_with_a_missing_file_begins_when_a_walk_saw_that() {
    let mut place = Place::new(&["a.yaml", "b.yaml"]);
    place.load();
    let begun = Instant::now();
    let evidence = Evidence {
        last_removal: Some(begun),
        ..Evidence::default()
    };
    fs::remove_file(place.path("a.yaml")).expect("it is there");
    let look = Look {
        now: begun,
        ..Look::begin(Trust::Events(evidence.clone()))
    };
    // A slow disk: the walk that began long ago is over just now.
    std::thread::sleep(Duration::from_millis(60));
    let listing = place.folder.list();
    let found = place.read(&listing, &look);
    assert_eq!(place.told(&found), [""; 0]);
    let again = found.scan.again_at.expect("it is worth another look");
    assert!(again >= listing.seen + Duration::from_millis(20));
    let found = place.look(Trust::Events(evidence), again);
    assert_eq!(place.told(&found), ["-a.yaml"]);
}

#[test]
fn a_folder_that_is_away_for_a_moment_takes_nothing_with_it() {
    let mut place = Place::new(&["a.yaml", "nested/b.yaml", "nested/c.yaml"]);
    place.load();
    let aside = place.path(".nested");
    fs::rename(place.path("nested"), &aside).expect("a rename");
    let now = Instant::now();
    let evidence = Evidence {
        last_removal: Some(now),
        ..Evidence::default()
    };
    let found = place.look(Trust::Events(evidence.clone()), now);
    assert_eq!(place.told(&found), [""; 0]);
    let later = now + Duration::from_millis(500);
    let found = place.look(Trust::Events(evidence.clone()), later);
    assert_eq!(place.told(&found), [""; 0]);
    // Another folder took its place, as a whole.
    fs::remove_file(aside.join("b.yaml")).expect("it is there");
    place.write(".nested/c.yaml", "10.0.0.2");
    fs::rename(&aside, place.path("nested")).expect("a rename");
    let evidence = Evidence {
        arrived: [place.path("nested")].into(),
        ..evidence
    };
    let found = place.look(Trust::Events(evidence), Instant::now());
    assert_eq!(place.told(&found), ["-nested/b.yaml", "+nested/c.yaml"]);
}

#[test]
fn what_is_read_in_another_folder_than_was_listed_is_torn() {
    let mut place = Place::new(&["nested/a.yaml", "nested/b.yaml", ".next/a.yaml"]);
    place.load();
    place.write("nested/a.yaml", "10.0.0.20");
    let listing = place.folder.list();
    fs::rename(place.path("nested"), place.path(".old")).expect("a rename");
    fs::rename(place.path(".next"), place.path("nested")).expect("a rename");
    let look = Look::begin(Trust::Everything);
    let scan = place.folder.read(&listing, &look, |change, _| {
        panic!("{change:?}");
    });
    assert!(scan.is_torn);
}

/// Looks where `entries` are, and nowhere else; `None` where that is not enough.
fn look_at(place: &mut Place, listing: &mut Listing, entries: &[&str]) -> Option<Vec<String>> {
    let entries = entries.iter().map(|entry| place.path(entry)).collect();
    let only = listing.refresh(&Extent::Entries(entries))?;
    let look = Look {
        only: Some(only),
        ..Look::begin(Trust::Events(Evidence::default()))
    };
    let found = place.read(listing, &look);
    Some(place.told(&found))
}

#[test]
fn only_what_events_name_is_looked_at() {
    let mut place = Place::new(&["a.yaml", "b.yaml", "nested/c.yaml"]);
    place.load();
    let mut listing = place.folder.list();
    for file in ["a.yaml", "b.yaml", "nested/c.yaml", "nested/d.yaml"] {
        place.write(file, "10.0.0.20");
    }
    let entries = ["b.yaml", "nested/d.yaml", "notes.txt", "nowhere.yaml"];
    let told = look_at(&mut place, &mut listing, &entries);
    assert_eq!(told.expect("single files"), ["+b.yaml", "+nested/d.yaml"]);
    fs::remove_file(place.path("b.yaml")).expect("it is there");
    let told = look_at(&mut place, &mut listing, &["a.yaml", "b.yaml"]);
    assert_eq!(told.expect("single files"), ["+a.yaml"]);
    let told = look_at(&mut place, &mut listing, &[]);
    assert_eq!(told.expect("nothing"), [""; 0]);
    let found = place.look(Trust::Everything, Instant::now());
    assert_eq!(place.told(&found), ["-b.yaml", "+nested/c.yaml"]);
}

#[test]
fn a_folder_or_a_link_takes_a_look_at_everything() {
    let mut place = Place::new(&["a.yaml", "nested/c.yaml", "target/d.txt"]);
    symlink("target/d.txt", place.path("d.yaml")).expect("a link");
    place.load();
    fs::create_dir(place.path("folder.yaml")).expect("a new folder");
    symlink("a.yaml", place.path("link.yaml")).expect("a link");
    for entry in [
        "nested",
        "folder.yaml",
        "link.yaml",
        "d.yaml",
        "target/d.txt",
        "",
        "../zones",
    ] {
        let mut listing = place.folder.list();
        let told = look_at(&mut place, &mut listing, &[entry]);
        assert_eq!(told, None, "{entry}");
    }
    let mut listing = place.folder.list();
    assert_eq!(listing.refresh(&Extent::Everywhere), None);
}

#[test]
fn events_say_where_something_may_have_changed() {
    let signals = Signals::new(Arc::default());
    signals.set_scope(Scope {
        folders: [PathBuf::from("/zones")].into(),
        watched: [PathBuf::from("/zones")].into(),
        ..Scope::default()
    });
    let note = |kind, path: &str| signals.note(Ok(Event::new(kind).add_path(path.into())));
    let entries = |paths: &[&str]| Extent::Entries(paths.iter().map(PathBuf::from).collect());
    note(
        EventKind::Access(AccessKind::Close(AccessMode::Write)),
        "/zones/a.yaml",
    );
    note(EventKind::Create(CreateKind::Folder), "/zones/b");
    note(
        EventKind::Modify(ModifyKind::Data(DataChange::Any)),
        "/zones/c.yaml",
    );
    note(EventKind::Create(CreateKind::File), "/elsewhere/d.yaml");
    assert_eq!(
        signals.take_extent(),
        entries(&["/zones/a.yaml", "/zones/b"])
    );
    assert_eq!(signals.take_extent(), entries(&[]));
    note(EventKind::Remove(RemoveKind::Folder), "/zones");
    note(
        EventKind::Access(AccessKind::Close(AccessMode::Write)),
        "/zones/a.yaml",
    );
    assert_eq!(signals.take_extent(), Extent::Everywhere);
    signals.note(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    assert_eq!(signals.take_extent(), Extent::Everywhere);
}

/// Feeds one event about each path and tells whether it wakes.
fn wakes(kind: EventKind, paths: &[&str]) -> Vec<bool> {
    let wakes = |path: &&str| {
        let waker = Arc::<Waker>::default();
        let signals = Signals::new(waker.clone());
        signals.set_scope(Scope {
            folders: [PathBuf::from("/zones")].into(),
            turns: [PathBuf::from("/zones/..data"), PathBuf::from("/top/zones")].into(),
            watched: [PathBuf::from("/zones"), PathBuf::from("/top")].into(),
        });
        signals.note(Ok(Event::new(kind).add_path(PathBuf::from(path))));
        waker.take().is_some()
    };
    paths.iter().map(wakes).collect()
}

#[test]
fn only_what_can_matter_wakes() {
    let paths = [
        "/zones/a.yaml",
        "/zones/a.txt",
        "/zones/.a.yaml.swp",
        "/zones/..data",
        "/top/zones",
        "/top/other",
        "/top",
    ];
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    assert_eq!(
        wakes(written, &paths),
        [true, false, false, true, true, false, false]
    );
    // Anything could be a folder.
    let made = EventKind::Create(CreateKind::Any);
    assert_eq!(
        wakes(made, &paths),
        [true, true, false, true, true, false, false]
    );
    let moved = EventKind::Modify(ModifyKind::Name(RenameMode::From));
    assert_eq!(
        wakes(moved, &paths),
        [true, true, false, true, true, false, true]
    );
    let removed = EventKind::Remove(RemoveKind::Any);
    assert_eq!(
        wakes(removed, &paths),
        [true, true, false, true, true, false, true]
    );
    for quiet in [
        EventKind::Access(AccessKind::Open(AccessMode::Any)),
        EventKind::Modify(ModifyKind::Data(DataChange::Any)),
    ] {
        assert_eq!(wakes(quiet, &paths), [false; 7]);
    }
}

#[test]
fn who_writes_and_does_not_close_is_remembered() {
    let signals = Signals::new(Arc::default());
    signals.set_scope(Scope {
        folders: [PathBuf::from("/zones")].into(),
        ..Scope::default()
    });
    let path = PathBuf::from("/zones/a.yaml");
    let note = |kind| signals.note(Ok(Event::new(kind).add_path(path.clone())));
    let writers = || {
        let mut evidence = Evidence::default();
        signals.add_to(&mut evidence);
        evidence.being_written.len()
    };
    note(EventKind::Modify(ModifyKind::Data(DataChange::Any)));
    assert_eq!(writers(), 1);
    note(EventKind::Access(AccessKind::Close(AccessMode::Write)));
    assert_eq!(writers(), 0);
    note(EventKind::Modify(ModifyKind::Data(DataChange::Any)));
    note(EventKind::Modify(ModifyKind::Name(RenameMode::To)));
    assert_eq!(writers(), 0, "another file took the place");
}
