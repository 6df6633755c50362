//! Keeps a mesh and finds it again, whatever became of the file.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use super::{BROKEN, Earlier, FILE, FORMER, Saver, StateError, StoredPart, open};
use crate::{
    diagnostic::{Cluster, Kind, ObjectKey},
    manifest::{self, ObjectContents, ObjectReader},
    mesh::{ClusterChange, ClusterEvent, FileChange, Mesh, Reading},
};

/// A mesh and what keeps it in a folder.
struct Kept {
    folder: tempfile::TempDir,
    mesh: Mesh,
    saver: Saver,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            mesh: Mesh::default(),
            saver: Saver::new(folder.path(), Vec::new(), HashMap::new()),
            folder,
        }
    }

    /// A file says that there are VMs at these addresses; none takes it away.
    fn set(&mut self, file: &str, addresses: &[&str]) {
        let file: Arc<str> = file.into();
        let texts = addresses.iter().enumerate().map(|(number, address)| {
            format!(
                "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n\
                 metadata: {{name: vm{number}, namespace: {}}}\nspec: {{address: {address}}}\n",
                file.trim_end_matches(".yaml")
            )
        });
        let reading = if addresses.is_empty() {
            Reading::Gone
        } else {
            Reading::Read(manifest::parse(&file, &texts.collect::<String>()))
        };
        let change = FileChange { file, reading };
        self.saver.note(&change);
        self.mesh.apply(vec![change], SystemTime::now());
    }

    /// Lets time pass until everything is on the disk.
    fn save(&mut self) {
        let (_, before) = self.saver.saved();
        let (nothing, begun) = (Earlier::default(), self.saver.begun());
        while self.saver.begun() == begun || self.saver.is_under_way() {
            let now = self.saver.next();
            self.saver.go_on(&self.mesh, &nothing, now);
            thread::yield_now();
        }
        assert_eq!(self.saver.saved().1, before, "nothing failed");
    }

    fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join(FILE)).expect("a file")
    }
}

type Found = BTreeMap<String, Vec<String>>;

/// What is found in `folder`: the addresses of each file.
fn found(folder: &Path) -> (Found, Vec<StateError>) {
    found_at(folder, SystemTime::now())
}

fn found_at(folder: &Path, now: SystemTime) -> (Found, Vec<StateError>) {
    let (stored, errors) = open(folder, now);
    let files = stored.into_parts().map(|part| {
        let StoredPart::File(stored) = part else {
            panic!("no cluster was followed");
        };
        assert!(stored.contents.diagnostics.is_empty());
        let mut mesh = Mesh::default();
        let change = FileChange {
            file: stored.file.clone(),
            reading: Reading::Read(stored.contents),
        };
        mesh.apply(vec![change], now);
        let workloads = mesh.workloads();
        let mut addresses: Vec<_> = workloads.map(|vm| vm.addresses[0].to_string()).collect();
        addresses.sort_unstable();
        (stored.file.to_string(), addresses)
    });
    (files.collect(), errors)
}

fn expected(files: &[(&str, &[&str])]) -> Found {
    let files = files.iter().map(|(file, addresses)| {
        let addresses = addresses.iter().map(ToString::to_string);
        ((*file).to_owned(), addresses.collect())
    });
    files.collect()
}

#[test]
fn what_was_kept_is_found_with_every_change() {
    let mut kept = Kept::new();
    kept.set("a.yaml", &["10.0.0.1", "10.0.0.2"]);
    kept.set("b.yaml", &["10.0.0.3"]);
    kept.save();
    let path = kept.folder.path().to_owned();
    let first = [
        ("a.yaml", &["10.0.0.1", "10.0.0.2"][..]),
        ("b.yaml", &["10.0.0.3"]),
    ];
    assert_eq!(found(&path).0, expected(&first));
    let lines = kept.text().lines().count();
    kept.set("a.yaml", &["10.0.0.4"]);
    kept.set("b.yaml", &[]);
    kept.set("c.yaml", &["10.0.0.5"]);
    kept.save();
    let second = [("a.yaml", &["10.0.0.4"][..]), ("c.yaml", &["10.0.0.5"])];
    assert_eq!(found(&path).0, expected(&second));
    assert_eq!(kept.text().lines().count(), lines + 4, "only what changed");
    kept.set("d.yaml", &["10.0.0.6"]);
    kept.saver.finish(&kept.mesh, &Earlier::default());
    assert_eq!(found(&path).0.len(), 3);
    assert!(found(&path).1.is_empty());
}

#[test]
fn all_is_written_anew_when_what_was_added_is_half_of_it() {
    let mut kept = Kept::new();
    let addresses: Vec<String> = (0..200).map(|last| format!("10.0.0.{last}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    for number in 0..3 {
        kept.set(&format!("f{number}.yaml"), &addresses);
    }
    kept.save();
    let whole = kept.text().len();
    for _ in 0..20 {
        kept.set("f0.yaml", &addresses);
        kept.save();
    }
    assert!(
        kept.text().len() < 3 * whole,
        "it does not grow without end"
    );
    assert!(kept.folder.path().join(FORMER).exists());
    assert_eq!(found(kept.folder.path()).0.len(), 3);
}

#[test]
fn a_file_that_was_cut_anywhere_says_what_it_said_up_to_there() {
    let mut kept = Kept::new();
    kept.set("a.yaml", &["10.0.0.1"]);
    kept.save();
    let base = kept.text().len();
    kept.set("a.yaml", &["10.0.0.2"]);
    kept.save();
    let text = kept.text();
    let path = kept.folder.path().join(FILE);
    for end in 0..=text.len() {
        fs::write(&path, &text[..end]).expect("a file");
        let (files, errors) = found(kept.folder.path());
        if end < base {
            assert_eq!((files.len(), errors.len()), (0, 1), "{end}");
            assert!(!path.exists(), "it is put aside");
        } else {
            let address = ["10.0.0.1", "10.0.0.2"][usize::from(end == text.len())];
            assert_eq!(files, expected(&[("a.yaml", &[address])]), "{end}");
            assert!(errors.is_empty());
        }
    }
}

#[test]
fn a_broken_file_is_put_aside_and_the_former_one_counts() {
    let mut kept = Kept::new();
    kept.set("a.yaml", &["10.0.0.1"]);
    kept.save();
    let path = kept.folder.path().to_owned();
    fs::rename(path.join(FILE), path.join(FORMER)).expect("a rename");
    for content in [&b""[..], &[0; 100], b"{\"apiVersion\":\"v1\"}\n"] {
        fs::write(path.join(FILE), content).expect("a file");
        let (files, errors) = found(&path);
        assert_eq!(files, expected(&[("a.yaml", &["10.0.0.1"])]));
        assert!(matches!(&*errors, [StateError::Broken { line: 1, .. }]));
        assert_eq!(fs::read(path.join(BROKEN)).expect("a file"), content);
    }
}

#[test]
fn what_is_older_than_a_week_is_not_used() {
    let mut kept = Kept::new();
    kept.set("a.yaml", &["10.0.0.1"]);
    kept.save();
    let days = |days: u64| SystemTime::now() + Duration::from_hours(24 * days);
    assert_eq!(found_at(kept.folder.path(), days(6)).0.len(), 1);
    assert_eq!(found_at(kept.folder.path(), days(8)).0.len(), 0);
    // A clock that was set back makes nothing old.
    let before = SystemTime::UNIX_EPOCH;
    assert_eq!(found_at(kept.folder.path(), before).0.len(), 1);
}

#[test]
fn a_disk_that_takes_nothing_is_counted_and_tried_again() {
    let mut kept = Kept::new();
    kept.set("a.yaml", &["10.0.0.1"]);
    let path = kept.folder.path().to_owned();
    // A folder stands where the file is to be.
    fs::create_dir_all(path.join(FILE).join("x")).expect("a folder");
    fs::create_dir_all(path.join(FORMER).join("x")).expect("a folder");
    let nothing = Earlier::default();
    while kept.saver.saved().1 < 2 {
        let now = kept.saver.next();
        kept.saver.go_on(&kept.mesh, &nothing, now);
        thread::yield_now();
    }
    assert_eq!(kept.saver.saved().0, None);
    for name in [FILE, FORMER] {
        fs::remove_dir_all(path.join(name)).expect("a folder");
    }
    while kept.saver.saved().0.is_none() {
        let now = kept.saver.next();
        kept.saver.go_on(&kept.mesh, &nothing, now);
        thread::yield_now();
    }
    assert_eq!(found(&path).0.len(), 1);
}

fn prod() -> Cluster {
    Cluster::only("prod")
}

/// A mesh that knows one cluster, and what keeps it.
fn of_cluster() -> Kept {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut mesh = Mesh::default();
    mesh.take_touched();
    Kept {
        saver: Saver::new(folder.path(), vec![prod()], HashMap::new()),
        folder,
        mesh,
    }
}

impl Kept {
    fn tell(&mut self, event: ClusterEvent) {
        let change = ClusterChange {
            cluster: prod(),
            event,
        };
        self.mesh.apply([change], SystemTime::now());
        self.saver.note_objects(self.mesh.take_touched());
    }

    /// The cluster says that these VMs are there.
    fn has(&mut self, numbers: impl IntoIterator<Item = usize>) {
        let mut reader = ObjectReader::new(prod());
        for number in numbers {
            let json = format!(
                r#"{{"metadata":{{"name":"vm{number}","namespace":"ns1"}},"spec":{{"address":"10.1.{}.{}"}}}}"#,
                number / 250,
                number % 250
            );
            let read = reader.read(
                "networking.istio.io/v1",
                Kind::WorkloadEntry,
                json.as_bytes(),
            );
            let read = read.expect("an object");
            self.tell(ClusterEvent::Object(read.key, read.contents));
        }
    }

    fn loses(&mut self, number: usize) {
        self.tell(ClusterEvent::Gone(ObjectKey {
            kind: Kind::WorkloadEntry,
            namespace: "ns1".into(),
            name: format!("vm{number}").into(),
        }));
    }

    /// The names of the VMs that another process would find, and when the cluster could last be read.
    fn found(&self) -> (Vec<String>, Option<SystemTime>) {
        let (stored, errors) = open(self.folder.path(), SystemTime::now());
        assert!(errors.is_empty());
        let (mut mesh, mut read) = (Mesh::default(), None);
        for part in stored.into_parts() {
            let StoredPart::Cluster(stored) = part else {
                panic!("no file was read");
            };
            assert_eq!(&*stored.cluster, "prod");
            read = Some(stored.read);
            let gone = stored.gone.into_iter().map(ClusterEvent::Gone);
            let objects = stored.objects.into_iter().map(|object| {
                let contents = ObjectContents {
                    object: Some(object),
                    diagnostics: Vec::new(),
                };
                let object = contents.object.as_ref().expect("it was just put there");
                ClusterEvent::Object(object.key(), contents)
            });
            let changes = gone.chain(objects).map(|event| ClusterChange {
                cluster: prod(),
                event,
            });
            mesh.apply(changes, SystemTime::now());
        }
        let mut names: Vec<_> = mesh
            .workloads()
            .map(|workload| workload.key.name.to_string())
            .collect();
        names.sort_unstable();
        (names, read)
    }
}

#[test]
fn what_a_cluster_said_is_found_object_by_object() {
    let mut kept = of_cluster();
    kept.has(0..4);
    kept.save();
    assert_eq!(kept.found().0, ["vm0", "vm1", "vm2", "vm3"]);
    let lines = kept.text().lines().count();
    kept.has([3, 4]);
    kept.loses(0);
    kept.save();
    assert_eq!(kept.found().0, ["vm1", "vm2", "vm3", "vm4"]);
    assert_eq!(kept.text().lines().count(), lines + 2, "only what changed");
    assert!(
        !kept
            .text()
            .lines()
            .nth(lines)
            .expect("a line")
            .contains("vm3")
    );
    kept.loses(1);
    kept.has([0]);
    kept.saver.finish(&kept.mesh, &Earlier::default());
    let (stored, _) = open(kept.folder.path(), SystemTime::now());
    assert!(!stored.is_empty());
}

#[test]
fn many_changed_objects_are_written_with_all_others() {
    let mut kept = of_cluster();
    kept.has(0..12_000);
    kept.save();
    assert_eq!(kept.found().0.len(), 12_000);
    kept.has([12_000]);
    kept.save();
    assert_eq!(kept.found().0.len(), 12_001);
}

#[test]
fn a_cluster_that_is_away_stays_as_old_as_it_is_until_it_is_read() {
    let mut kept = of_cluster();
    kept.has(0..2);
    let read = SystemTime::now() - Duration::from_hours(1);
    let earlier = Earlier {
        clusters: BTreeMap::from([(prod(), read)]),
        ..Earlier::default()
    };
    let save = |kept: &mut Kept, earlier: &Earlier<'_>| {
        let begun = kept.saver.begun();
        while kept.saver.begun() == begun || kept.saver.is_under_way() {
            let now = kept.saver.next();
            kept.saver.go_on(&kept.mesh, earlier, now);
            thread::yield_now();
        }
    };
    save(&mut kept, &earlier);
    let found = kept.found().1.expect("it is kept");
    let age = SystemTime::now().duration_since(found);
    assert!(age.expect("it is past") >= Duration::from_hours(1));
    // It is read, and nothing differs.
    save(&mut kept, &Earlier::default());
    let found = kept.found().1.expect("it is kept");
    let age = SystemTime::now().duration_since(found).unwrap_or_default();
    assert!(age < Duration::from_hours(1));
}
