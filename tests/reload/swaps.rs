//! Links that are swapped, as Kubernetes and git-sync publish many files at once.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::harness::{Folder, Mesh, service};

/// A ConfigMap volume as kubelet's `AtomicWriter` keeps it.
struct ConfigMap {
    path: PathBuf,
    version: usize,
}

impl ConfigMap {
    /// Publishes the files' new content in one swap, as kubelet does.
    fn publish(&mut self, files: &[(String, String)]) {
        let old = self.path.join(format!("..2026_{}", self.version));
        self.version += 1;
        let name = format!("..2026_{}", self.version);
        let new = self.path.join(&name);
        fs::create_dir(&new).unwrap();
        for (file, text) in files {
            fs::write(new.join(file), text).unwrap();
        }
        swap(&self.path.join("..data"), Path::new(&name));
        for (file, _) in files {
            let link = self.path.join(file);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(file), link).unwrap();
            }
        }
        let _ = fs::remove_dir_all(old);
    }
}

/// Makes `link` lead to `target` in one step.
fn swap(link: &Path, target: &Path) {
    let beside = link.with_file_name("..data_tmp");
    symlink(target, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}

fn files(count: usize, address: &str) -> Vec<(String, String)> {
    (1..=count)
        .map(|number| (format!("svc{number}.yaml"), service(number, address)))
        .collect()
}

#[test]
fn a_config_map_swap_is_served_as_one() {
    let folder = Folder::new();
    let mut map = ConfigMap {
        path: folder.path().to_owned(),
        version: 0,
    };
    map.publish(&files(3, "10.0.0.1"));
    let mesh = Mesh::start(folder.path());
    assert_eq!(mesh.status().files, 3, "each file counts once");
    let generation = mesh.generation();
    map.publish(&files(3, "10.0.0.2"));
    for number in 1..=3 {
        mesh.wait_for(&format!("svc{number}.internal.com"), &["10.0.0.2"]);
    }
    assert_eq!(mesh.generation(), generation + 1, "one swap is one publish");
    // A key goes, another comes.
    let mut other = files(4, "10.0.0.3");
    other.remove(0);
    map.publish(&other);
    mesh.wait_for("svc4.internal.com", &["10.0.0.3"]);
    mesh.wait_for_none("svc1.internal.com");
}

#[test]
fn a_git_sync_swap_is_served() {
    let folder = Folder::new();
    let worktree = |commit: &str, address: &str| {
        let path = folder.above().join(".worktrees").join(commit).join("mesh");
        fs::create_dir_all(&path).unwrap();
        for (file, text) in files(3, address) {
            fs::write(path.join(file), text).unwrap();
        }
    };
    worktree("abc", "10.0.0.1");
    let link = folder.above().join("current");
    symlink(".worktrees/abc", &link).unwrap();
    let mesh = Mesh::start(&link.join("mesh"));
    for (round, commit) in ["def", "123", "456"].into_iter().enumerate() {
        let address = format!("10.0.1.{round}");
        let old = fs::canonicalize(&link).unwrap();
        worktree(commit, &address);
        swap(&link, &Path::new(".worktrees").join(commit));
        fs::remove_dir_all(old).unwrap();
        for number in 1..=3 {
            mesh.wait_for(&format!("svc{number}.internal.com"), &[&address]);
        }
    }
    let name = link.join("mesh/svc1.yaml");
    let status = mesh.status();
    assert_eq!(status.files, 3);
    assert!(status.missing_folders.is_empty());
    assert!(
        mesh.log_lines(&[name.to_str().unwrap()]) == 0,
        "nothing was wrong at any time"
    );
}

#[test]
fn a_link_to_a_file_elsewhere_is_followed() {
    let folder = Folder::new();
    let elsewhere = folder.above().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("one.txt"), service(1, "10.0.0.1")).unwrap();
    symlink("../elsewhere/one.txt", folder.join("svc1.yaml")).unwrap();
    symlink(".", folder.join("loop")).unwrap();
    let mesh = Mesh::start(folder.path());
    mesh.wait_for("svc1.internal.com", &["10.0.0.1"]);
    assert_eq!(mesh.status().files, 1);
    fs::write(elsewhere.join("one.txt"), service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

/// Every swap gives all names the next address. Whenever one looks, all of a host's addresses are of one swap, and one
/// snapshot never holds two.
#[test]
fn no_answer_ever_mixes_two_sides_of_a_swap() {
    const NAMES: usize = 20;
    let entry = |number: usize, round: usize| {
        let one = service(number, &format!("10.0.{round}.1"));
        format!("{one}  - address: 10.0.{round}.2\n  - address: 10.0.{round}.3\n")
    };
    let version = |round: usize| -> Vec<(String, String)> {
        (1..=NAMES)
            .map(|number| (format!("svc{number}.yaml"), entry(number, round)))
            .collect()
    };
    let folder = Folder::new();
    let mut map = ConfigMap {
        path: folder.path().to_owned(),
        version: 0,
    };
    map.publish(&version(0));
    let mesh = Mesh::start(folder.path());
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..=60 {
                map.publish(&version(round));
                // Two swaps follow at once, the third when this one is served.
                if round % 3 == 0 {
                    let [a, b, c] = [1, 2, 3].map(|host| format!("10.0.{round}.{host}"));
                    mesh.wait_for("svc1.internal.com", &[&a, &b, &c]);
                }
            }
            done.store(true, Ordering::Release);
        });
        let names: Vec<String> = (1..=NAMES)
            .map(|number| format!("svc{number}.internal.com"))
            .collect();
        let mut seen = BTreeSet::new();
        while !done.load(Ordering::Acquire) {
            let answers = mesh.answers_together(&names);
            let rounds: BTreeSet<u8> = answers
                .iter()
                .flatten()
                .map(|address| round_of(*address))
                .collect();
            assert!(
                answers.iter().all(|addresses| addresses.len() == 3),
                "{answers:?}"
            );
            assert_eq!(rounds.len(), 1, "{answers:?}");
            seen.extend(rounds);
        }
        writer.join().unwrap();
        seen
    });
    assert!(
        seen.len() > 5,
        "changes without end are served all the same: {seen:?}"
    );
}

fn round_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[2],
        IpAddr::V6(_) => panic!("no IPv6 address was written"),
    }
}
