//! Files that get other names: at no moment is an object without an answer that is there before and after.

use std::{fs, path::Path, time::Duration};

use crate::harness::{Folder, Mesh, replace, service};

/// How a server notices changes.
const WAYS: [&[&str]; 2] = [&[], &["--poll=50ms"]];

/// Does `deed` to a folder with `svc1` and `svc2` in files of their own and asks all the while; ends when both files are
/// as the deed left them.
#[track_caller]
fn check(deed: impl Fn(&Folder) + Sync, left: [&str; 2]) {
    for way in WAYS {
        let folder = Folder::with_one_service();
        fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.1")).unwrap();
        fs::create_dir(folder.join("nested")).unwrap();
        let mesh = Mesh::start_with(folder.path(), way);
        std::thread::scope(|scope| {
            let doing = scope.spawn(|| deed(&folder));
            while !doing.is_finished() {
                mesh.has("svc1.internal.com", "10.0.0.1");
                mesh.has("svc2.internal.com", "10.0.0.1");
            }
        });
        // A change to each file, by its new name, is served only when the new name was seen.
        for (number, file) in [1, 2].into_iter().zip(left) {
            let name = format!("svc{number}.internal.com");
            mesh.holds(&name, "10.0.0.1", Duration::from_millis(400));
            replace(&folder.join(file), &service(number, "10.0.0.2"));
            mesh.wait(&name, || {
                let answer = mesh.answers(&name).expect("it is always there");
                assert_eq!(answer.len(), 1, "{name}, {way:?}");
                answer
                    .into_iter()
                    .all(|address| address.to_string() == "10.0.0.2")
            });
        }
        mesh.wait_for_metric("meshdns_files", 2.0);
    }
}

fn rename(folder: &Folder, from: &str, to: &str) {
    fs::rename(folder.join(from), folder.join(to)).unwrap();
}

#[test]
fn a_renamed_file_is_served_all_the_while() {
    let deed = |folder: &Folder| rename(folder, "svc1.yaml", "other.yaml");
    check(deed, ["other.yaml", "svc2.yaml"]);
}

#[test]
fn a_file_renamed_into_another_folder_is_served_all_the_while() {
    let deed = |folder: &Folder| rename(folder, "svc1.yaml", "nested/svc1.yaml");
    check(deed, ["nested/svc1.yaml", "svc2.yaml"]);
}

#[test]
fn files_of_a_renamed_folder_are_served_all_the_while() {
    let deed = |folder: &Folder| {
        rename(folder, "svc1.yaml", "nested/svc1.yaml");
        std::thread::sleep(Duration::from_millis(600));
        rename(folder, "nested", "elsewhere");
    };
    check(deed, ["elsewhere/svc1.yaml", "svc2.yaml"]);
}

#[test]
fn files_that_exchange_their_names_are_served_all_the_while() {
    let deed = |folder: &Folder| {
        let path = |name: &str| folder.join(name);
        exchange(&path("svc1.yaml"), &path("svc2.yaml"));
    };
    check(deed, ["svc2.yaml", "svc1.yaml"]);
}

fn exchange(one: &Path, other: &Path) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[test]
fn an_object_that_moves_to_another_file_is_served_all_the_while() {
    let deed = |folder: &Folder| {
        let both = format!("{}---\n{}", service(2, "10.0.0.1"), service(1, "10.0.0.1"));
        replace(&folder.join("svc2.yaml"), &both);
        fs::remove_file(folder.join("svc1.yaml")).unwrap();
        std::thread::sleep(Duration::from_millis(600));
        replace(&folder.join("moved.yaml"), &service(1, "10.0.0.1"));
        replace(&folder.join("svc2.yaml"), &service(2, "10.0.0.1"));
    };
    check(deed, ["moved.yaml", "svc2.yaml"]);
}
