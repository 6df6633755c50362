//! What moves from file to file, and what changes while it is read.

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::mesh::Mesh;

/// The patience of looks without events.
const STILL: Duration = Duration::from_millis(250);

#[test]
fn a_file_renamed_without_events_goes_in_the_look_in_which_it_comes() {
    for new_name in ["b.yaml", "nested/a.yaml"] {
        let mut place = Place::new(&["a.yaml", "z.yaml"]);
        place.load();
        fs::create_dir(place.path("nested")).expect("a new folder");
        fs::rename(place.path("a.yaml"), place.path(new_name)).expect("a rename");
        let now = Instant::now();
        let found = place.look(Trust::Stillness(STILL), now);
        assert_eq!(place.told(&found), [""; 0]);
        let found = place.look(Trust::Stillness(STILL), now + STILL);
        assert_eq!(place.told(&found), ["-a.yaml", &format!("+{new_name}")]);
    }
}

#[test]
fn a_file_whose_new_name_is_being_written_stays_until_that_is_read() {
    let mut place = Place::new(&["a.yaml"]);
    place.load();
    fs::rename(place.path("a.yaml"), place.path("b.yaml")).expect("a rename");
    let now = Instant::now();
    let mut evidence = Evidence {
        last_removal: Some(now),
        ..Evidence::default()
    };
    let real = fs::canonicalize(place.path("b.yaml")).expect("it is there");
    evidence.being_written.insert(real, now);
    let later = now + Duration::from_secs(1);
    let found = place.look(Trust::Events(evidence.clone()), later);
    assert_eq!(place.told(&found), [""; 0]);
    evidence.being_written.clear();
    let found = place.look(Trust::Events(evidence), later);
    assert_eq!(place.told(&found), ["-a.yaml", "+b.yaml"]);
}

#[test]
fn without_events_what_changes_in_two_steps_is_told_in_one() {
    let mut place = Place::new(&["a.yaml", "b.yaml"]);
    place.load();
    let now = Instant::now();
    // An object leaves one file …
    place.write("a.yaml", "10.0.0.22");
    let found = place.look(Trust::Stillness(STILL), now);
    assert_eq!(place.told(&found), [""; 0]);
    // … and comes into another when the first is nearly still.
    place.write("b.yaml", "10.0.0.33");
    let found = place.look(Trust::Stillness(STILL), now + STILL);
    assert_eq!(place.told(&found), [""; 0]);
    let found = place.look(Trust::Stillness(STILL), now + 2 * STILL);
    assert_eq!(place.told(&found), ["+a.yaml", "+b.yaml"]);
}

#[test]
fn without_events_a_file_that_never_rests_holds_others_up_for_a_while_only() {
    let mut place = Place::new(&["a.yaml", "log.yaml"]);
    place.load();
    place.write("a.yaml", "10.0.0.22");
    let now = Instant::now();
    let mut told_at = None;
    for step in 0..20_u32 {
        place.write("log.yaml", &format!("10.0.0.{}", 100 + step));
        let found = place.look(Trust::Stillness(STILL), now + step * STILL);
        if place.told(&found) == ["+a.yaml"] {
            told_at = Some(step * STILL);
            break;
        }
    }
    assert_eq!(told_at, Some(Duration::from_secs(2)));
}

#[test]
fn names_that_are_no_text_are_told_apart() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let mut place = Place::new(&[]);
    for (name, address) in [(&b"\xfe.yaml"[..], "10.0.0.1"), (b"\xff.yaml", "10.0.0.2")] {
        let path = place.path("").join(OsStr::from_bytes(name));
        fs::write(path, workload("vm", address)).expect("a file");
    }
    let found = place.load();
    assert_eq!(place.told(&found), [r"+\xfe.yaml", r"+\xff.yaml"]);
}

#[test]
fn at_the_start_a_file_that_changed_just_now_is_pending() {
    let mut place = Place::new(&["old.yaml", "young.yaml", "empty.yaml", "written.yaml"]);
    let age = Duration::from_hours(1);
    fs::write(place.path("empty.yaml"), "").expect("a file");
    let real = |file: &str| fs::canonicalize(place.path(file)).expect("it is there");
    let mut evidence = Evidence::default();
    // Whoever closed it was done.
    evidence.touched.insert(real("old.yaml"));
    evidence
        .being_written
        .insert(real("written.yaml"), Instant::now());
    let look = Look {
        first_age: Some(age),
        ..Look::begin(Trust::Events(evidence))
    };
    let listing = place.folder.list();
    let found = place.read(&listing, &look);
    assert_eq!(place.told(&found), ["+old.yaml"]);
    assert_eq!(place.folder.unread().len(), 3);
    assert!(place.folder.is_in_motion());
    let mut scan = Scan::default();
    let changes = place.folder.give_up(&mut scan);
    let found = Found { changes, scan };
    assert_eq!(
        place.told(&found),
        ["!empty.yaml", "!written.yaml", "!young.yaml"]
    );
    assert!(!place.folder.is_in_motion());
    let found = place.load();
    assert_eq!(
        place.told(&found),
        ["+empty.yaml", "+written.yaml", "+young.yaml"]
    );
    assert!(place.folder.unread().is_empty());
}

#[test]
fn at_the_start_what_says_nothing_is_unread_and_what_says_something_else_is_not() {
    let garbled: [(&str, &[u8]); 6] = [
        ("html.yaml", b"<!DOCTYPE html>\n<p>502 Bad Gateway\n"),
        ("style.yaml", b"<html><style>a {b: c}</style>\n<p>x: y: z\n"),
        ("half.json", b"{\"kind\": \"ServiceEntry\", \"metada"),
        ("half.yaml", b"kind: ServiceEntry\nmetadata: {name: a\n"),
        ("nul.yaml", &[0; 100]),
        ("latin.yaml", b"name: \xe4\n"),
    ];
    let strange: [(&str, &[u8]); 6] = [
        ("values.yaml", b"replicas: 2\n"),
        (
            "template.yaml",
            b"{{- if .Values.a }}\nkind: ServiceEntry\n{{ end }}\n",
        ),
        ("list.json", b"[1, 2]\n"),
        ("none.yaml", b"# nothing\n"),
        (
            "rejected.yaml",
            b"kind: WorkloadEntry\napiVersion: networking.istio.io/v1\nmetadata: {name: b}\n",
        ),
        (
            "service.yaml",
            b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
        ),
    ];
    let mut place = Place::new(&["a.yaml"]);
    for (name, bytes) in garbled.iter().chain(&strange) {
        fs::write(place.path(name), bytes).expect("a file");
    }
    place.load();
    let path = |(name, _): &(&str, _)| place.path(name).display().to_string();
    let mut expected: Vec<String> = garbled.iter().map(path).collect();
    expected.sort_unstable();
    let unread = place.folder.unread().iter().map(ToString::to_string);
    assert_eq!(unread.collect::<Vec<_>>(), expected);
    for (name, _) in garbled {
        place.write(name, "10.0.0.1");
    }
    place.load();
    assert!(place.folder.unread().is_empty());
}

#[test]
fn a_folder_without_a_manifest_is_told() {
    let mut place = Place::new(&[]);
    let found = place.load();
    assert_eq!(place.told(&found), [""; 0], "nothing is no mistake");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    fs::write(place.path("service.yaml"), service).expect("a file");
    fs::write(place.path("README.md"), "# Mesh\n").expect("a file");
    let found = place.load();
    assert_eq!(place.told(&found), ["?", "+service.yaml"]);
    assert_eq!(place.load().changes.len(), 0, "it is told once");
    place.write("vm.yaml", "10.0.0.1");
    let found = place.load();
    assert_eq!(place.told(&found), ["-", "+vm.yaml"]);
    fs::remove_file(place.path("vm.yaml")).expect("it is there");
    let found = place.load();
    assert_eq!(place.told(&found), ["?", "-vm.yaml"]);
    fs::write(place.path("template.yaml"), "a: {{ .Values.a }}\n").expect("a file");
    let found = place.load();
    assert_eq!(place.told(&found), ["-", "+template.yaml"]);
}

/// The workloads of a mesh, with the file and the address of each.
fn seen(mesh: &Mesh) -> Vec<String> {
    let mut seen: Vec<_> = mesh
        .workloads()
        .map(|vm| {
            let file = vm.read_from.file().map(|place| &place.file);
            format!(
                "{} {:?} {}",
                vm.key,
                vm.addresses,
                file.expect("it is of a file")
            )
        })
        .collect();
    seen.sort_unstable();
    seen
}

/// What happens to the files of a folder while it is read.
#[derive(Clone, Debug)]
enum Deed {
    Write(usize, u8),
    Remove(usize),
    Rename(usize, usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..4_usize, 1..250_u8).prop_map(|(file, last)| Deed::Write(file, last)),
        1 => (0..4_usize).prop_map(Deed::Remove),
        2 => (0..4_usize, 0..4_usize).prop_map(|(from, to)| Deed::Rename(from, to)),
    ]
}

impl Deed {
    fn happen(&self, folder: &Path) {
        let path = |file: usize| folder.join(["a.yaml", "b.yaml", "c.yaml", "d.yaml"][file]);
        // What is not there can't be moved, which is as well.
        let _ = match *self {
            Self::Write(file, last) => {
                let text = workload(&format!("vm{file}"), &format!("10.0.0.{last}"));
                fs::write(path(file), text)
            }
            Self::Remove(file) => fs::remove_file(path(file)),
            Self::Rename(from, to) => fs::rename(path(from), path(to)),
        };
    }
}

fn taken_in(folder: &Path, mut meanwhile: impl FnMut()) -> Mesh {
    let mut mesh = Mesh::default();
    let mut last = None;
    let loaded = crate::source::load(vec![folder.to_owned()], FollowLinks::default(), |batch| {
        let is_whole = batch.can_be_served();
        last = Some(is_whole);
        mesh.apply(batch.changes, SystemTime::UNIX_EPOCH);
        if !is_whole {
            meanwhile();
        }
    });
    loaded.expect("the folder is there");
    assert_eq!(last, Some(true));
    mesh
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_folder_that_changes_while_it_is_read_is_told_as_it_is_in_the_end(
        deeds in prop::collection::vec(prop::collection::vec(deed(), 0..3), 0..6),
    ) {
        let place = Place::new(&["a.yaml", "b.yaml", "c.yaml"]);
        let folder = place.path("");
        let mut steps = deeds.iter();
        let mesh = taken_in(&folder, || {
            for deed in steps.next().into_iter().flatten() {
                deed.happen(&folder);
            }
        });
        // What happened when all had been told is not looked for.
        prop_assume!(steps.next().is_none());
        let expected = taken_in(&folder, || {});
        prop_assert_eq!(seen(&mesh), seen(&expected));
    }
}
