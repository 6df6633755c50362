//! Whole folders that go and come, and rights that are taken away.

use std::{
    fs::{self, Permissions},
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    process::Signal,
};

use crate::harness::{Folder, Mesh, service};

/// How many folders are not there.
const MISSING: &str = "meshdns_folders_missing";

/// How long a folder that is back must be still before what did not come back counts as removed.
const RETURN_PATIENCE: Duration = Duration::from_secs(1);

const MEANWHILE: Duration = Duration::from_millis(300);

#[test]
fn a_folder_deleted_and_made_again_serves_its_last_good_state_meanwhile() {
    let folder = Folder::new();
    for number in 1..=300 {
        fs::write(
            folder.join(&format!("svc{number}.yaml")),
            service(number, "10.0.0.1"),
        )
        .unwrap();
    }
    let mesh = Mesh::start(folder.path());
    let generation = mesh.generation();
    // The server sees all of it at once, however long that takes on a busy machine.
    mesh.signal(Signal::STOP);
    fs::remove_dir_all(folder.path()).unwrap();
    mesh.signal(Signal::CONT);
    mesh.wait_for_metric(MISSING, 1.0);
    assert!(mesh.is_ready());
    let name = folder.path().to_str().unwrap();
    mesh.wait_for_log(&["WARN", name, "is not there"]);
    mesh.holds("svc300.internal.com", "10.0.0.1", MEANWHILE);
    assert_eq!(
        mesh.generation().to_bits(),
        generation.to_bits(),
        "nothing was taken away on the way"
    );
    fs::create_dir(folder.path()).unwrap();
    mesh.wait_for_metric(MISSING, 0.0);
    mesh.wait_for_log(&["INFO", name, "is back"]);
    // Empty as it is, it takes nothing away.
    mesh.holds(
        "svc300.internal.com",
        "10.0.0.1",
        Duration::from_millis(1500),
    );
    for number in 1..=299 {
        let since = Instant::now();
        fs::write(
            folder.join(&format!("svc{number}.yaml")),
            service(number, "10.0.0.2"),
        )
        .unwrap();
        if number == 150 {
            mesh.wait_for("svc150.internal.com", &["10.0.0.2"]);
            mesh.holds_meanwhile("svc299.internal.com", "10.0.0.1", since, RETURN_PATIENCE);
        }
    }
    mesh.wait_for("svc299.internal.com", &["10.0.0.2"]);
    // What did not come back counts as removed some time after the last file came.
    mesh.wait_for_none("svc300.internal.com");
    fs::write(folder.join("svc1.yaml"), service(1, "10.0.0.3")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
    assert_eq!(mesh.log_lines(&["WARN", name, "is not there"]), 1);
}

#[test]
fn a_folder_renamed_away_and_replaced_is_served_again() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let aside = folder.above().join("aside");
    fs::rename(folder.path(), &aside).unwrap();
    mesh.wait_for_metric(MISSING, 1.0);
    mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
    let next = folder.above().join("next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("svc1.yaml"), service(1, "10.0.0.2")).unwrap();
    fs::rename(&next, folder.path()).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    // The folder that moved away is no longer watched, the other one is.
    fs::write(aside.join("svc1.yaml"), service(1, "10.0.0.3")).unwrap();
    fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.4")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.4"]);
    mesh.has("svc1.internal.com", "10.0.0.2");
}

#[test]
fn nested_folders_come_change_and_go() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let nested = folder.join("a/b/c");
    fs::create_dir_all(&nested).unwrap();
    fs::write(nested.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    fs::write(nested.join("svc2.yaml"), service(2, "10.0.0.3")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
    fs::rename(folder.join("a"), folder.join("z")).unwrap();
    mesh.wait_for_log(&["mesh reloaded", "files_removed=1"]);
    fs::write(folder.join("z/b/c/svc2.yaml"), service(2, "10.0.0.4")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.4"]);
    fs::remove_dir_all(folder.join("z")).unwrap();
    mesh.wait_for_none("svc2.internal.com");
    assert!(mesh.answers("svc1.internal.com").is_some());
}

#[test]
fn a_folder_without_permission_keeps_its_last_good_state() {
    let folder = Folder::with_one_service();
    let nested = folder.join("nested");
    fs::create_dir(&nested).unwrap();
    fs::write(nested.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    let mesh = Mesh::start_unprivileged(folder.path());
    // None of the rights, the right to enter alone, the right to list alone.
    for mode in [0o000, 0o711, 0o644] {
        for (path, kept) in [(nested.as_path(), 1.0), (folder.path(), 2.0)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            mesh.wait_for_metric("meshdns_objects_kept", kept);
            mesh.holds("svc1.internal.com", "10.0.0.1", MEANWHILE);
            mesh.has("svc2.internal.com", "10.0.0.2");
            assert!(mesh.is_ready());
            assert!(mesh.metric("meshdns_diagnostics{severity=\"error\"}") > 0.0);
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            mesh.wait_for_metric("meshdns_objects_kept", 0.0);
        }
    }
    fs::write(nested.join("svc2.yaml"), service(2, "10.0.0.3")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
}

/// How many names the folders below hold, each in a file of its own.
const NAMES: usize = 20;

/// Fills `folder`, which is made where it is not there, with names that all have the address of `round`.
fn fill(folder: &Path, round: usize) {
    fs::create_dir_all(folder).unwrap();
    for number in 1..=NAMES {
        let text = service(number, &format!("10.0.{round}.1"));
        fs::write(folder.join(format!("svc{number}.yaml")), text).unwrap();
    }
}

/// Does `deed` for rounds 1 to 30, which makes the files of its round take the place of those before, and asks all the while.
/// Each name always has the address of one round, and no name is ever behind one that was asked before it.
#[track_caller]
fn check_rounds(mesh: &Mesh, deed: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..=30 {
                deed(round);
                // Two follow at once, the third when this one is served.
                if round % 3 == 0 {
                    mesh.wait_for("svc1.internal.com", &[&format!("10.0.{round}.1")]);
                }
            }
        });
        let mut last = 0;
        for number in (1..=NAMES).cycle() {
            if writer.is_finished() {
                break;
            }
            let name = format!("svc{number}.internal.com");
            let answer = mesh.answers(&name).expect("every name is always there");
            let rounds: Vec<u8> = answer.into_iter().map(round_of).collect();
            let [round] = rounds[..] else {
                panic!("{name}: {rounds:?}");
            };
            assert!(round >= last, "{name} is at {round}, others at {last}");
            last = round;
        }
        writer.join().unwrap();
    });
}

fn round_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[2],
        IpAddr::V6(_) => panic!("no IPv6 address was written"),
    }
}

/// The mesh folder itself, or a folder in it, and what takes its place.
fn places(folder: &Folder, is_root: bool) -> [PathBuf; 2] {
    if is_root {
        [folder.path().to_owned(), folder.above().join("next")]
    } else {
        [folder.join("live"), folder.join(".next")]
    }
}

#[test]
fn folders_that_are_exchanged_are_served_as_one_state() {
    for is_root in [true, false] {
        let folder = Folder::new();
        let [live, next] = places(&folder, is_root);
        fill(&live, 0);
        let mesh = Mesh::start(folder.path());
        check_rounds(&mesh, |round| {
            fill(&next, round);
            renameat_with(CWD, &live, CWD, &next, RenameFlags::EXCHANGE).unwrap();
        });
    }
}

#[test]
fn a_folder_replaced_by_two_renames_is_served_as_one_state() {
    for is_root in [true, false] {
        let folder = Folder::new();
        let [live, next] = places(&folder, is_root);
        let old = next.with_extension("old");
        fill(&live, 0);
        let mesh = Mesh::start(folder.path());
        check_rounds(&mesh, |round| {
            fill(&next, round);
            fs::rename(&live, &old).unwrap();
            // Whoever looks now sees nothing there.
            std::thread::sleep(Duration::from_millis(if round % 3 == 0 { 100 } else { 0 }));
            fs::rename(&next, &live).unwrap();
            fs::remove_dir_all(&old).unwrap();
        });
    }
}

#[test]
fn what_a_folder_does_not_hold_that_took_another_ones_place_is_gone_with_it() {
    for is_root in [true, false] {
        let folder = Folder::new();
        let [live, next] = places(&folder, is_root);
        fill(&live, 1);
        fs::write(live.join("zz.yaml"), service(99, "10.0.1.1")).unwrap();
        let mesh = Mesh::start(folder.path());
        mesh.has("svc99.internal.com", "10.0.1.1");
        fill(&next, 2);
        renameat_with(CWD, &live, CWD, &next, RenameFlags::EXCHANGE).unwrap();
        // With one publish: where the one is there the other is gone.
        mesh.wait_for("svc1.internal.com", &["10.0.2.1"]);
        assert_eq!(mesh.answers("svc99.internal.com"), None);
    }
}
