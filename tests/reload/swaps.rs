//! Links that are swapped, as Kubernetes and git-sync publish many files at once.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
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
    mesh.wait_for_metric("meshdns_files", 3.0);
    let generation = mesh.generation();
    map.publish(&files(3, "10.0.0.2"));
    for number in 1..=3 {
        mesh.wait_for(&format!("svc{number}.internal.com"), &["10.0.0.2"]);
    }
    // One swap is one publish.
    mesh.wait_for_metric("meshdns_generation", generation + 1.0);
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
    mesh.wait_for_metric("meshdns_files", 3.0);
    mesh.wait_for_metric("meshdns_folders_missing", 0.0);
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
    mesh.wait_for_metric("meshdns_files", 1.0);
    fs::write(elsewhere.join("one.txt"), service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

/// Every swap gives all names the next three addresses. An answer holds the three of one swap, and no name is ever behind
/// one that was asked before it: then a publish would have held two swaps.
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
        });
        let mut seen = BTreeSet::from([0]);
        for number in (1..=NAMES).cycle() {
            if writer.is_finished() {
                break;
            }
            let name = format!("svc{number}.internal.com");
            let answer = mesh.answers(&name).expect("every name is always there");
            assert_eq!(answer.len(), 3, "{name}: {answer:?}");
            let rounds: BTreeSet<u8> = answer.into_iter().map(round_of).collect();
            assert_eq!(rounds.len(), 1, "{name} mixes swaps: {rounds:?}");
            assert!(
                rounds.last() >= seen.last(),
                "{name} is behind: {rounds:?} after {seen:?}"
            );
            seen.extend(rounds);
        }
        writer.join().unwrap();
        seen
    });
    assert!(seen.len() > 10, "every third swap was served: {seen:?}");
}

fn round_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[2],
        IpAddr::V6(_) => panic!("no IPv6 address was written"),
    }
}
