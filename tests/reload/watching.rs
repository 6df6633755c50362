//! How changes are noticed, and what happens where the operating system does not help.

use std::{fs, time::Duration};

use meshdns::source::Wish;

use crate::harness::{Folder, Mesh, replace, service};

#[test]
fn without_events_the_folder_is_polled() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start_with(folder.path(), Wish::Poll(Duration::from_millis(100)));
    assert_eq!(mesh.polling_because().as_deref(), Some("as asked for"));
    fs::write(folder.join("svc1.yaml"), service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.3")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
    fs::remove_file(folder.join("svc2.yaml")).unwrap();
    mesh.wait_for_none("svc2.internal.com");
    fs::remove_dir_all(folder.path()).unwrap();
    mesh.wait("the missing folder", || {
        !mesh.status().missing_folders.is_empty()
    });
    mesh.holds("svc1.internal.com", "10.0.0.2", Duration::from_millis(500));
}

#[test]
fn polling_waits_until_a_file_is_still() {
    use std::io::Write;
    let folder = Folder::new();
    let both = format!("{}---\n{}", service(1, "10.0.0.1"), service(2, "10.0.0.1"));
    fs::write(folder.join("mesh.yaml"), both).unwrap();
    let mesh = Mesh::start_with(folder.path(), Wish::Poll(Duration::from_millis(50)));
    let mut file = fs::File::create(folder.join("mesh.yaml")).unwrap();
    file.write_all(service(1, "10.0.0.2").as_bytes()).unwrap();
    mesh.holds("svc2.internal.com", "10.0.0.1", Duration::from_millis(150));
    file.write_all(format!("---\n{}", service(2, "10.0.0.2")).as_bytes())
        .unwrap();
    drop(file);
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    assert_eq!(
        mesh.answers("svc1.internal.com"),
        Some(vec!["10.0.0.2".parse().unwrap()])
    );
}

#[test]
fn a_queue_of_events_that_runs_over_is_made_up_for() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    mesh.overflow();
    mesh.wait("the count", || mesh.status().totals.event_overflows == 1);
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.2"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    mesh.wait_for_log(&["WARN", "fs.inotify.max_queued_events"]);
}

#[test]
fn without_watches_left_the_folder_is_polled() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    mesh.break_watch(notify::ErrorKind::MaxFilesWatch);
    mesh.wait("polling", || mesh.polling_because().is_some());
    mesh.wait_for_log(&["WARN", "fs.inotify.max_user_watches"]);
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.2"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

#[test]
fn sighup_reads_every_file_again() {
    let folder = Folder::with_one_service();
    fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    let mesh = Mesh::start_with(folder.path(), Wish::Poll(Duration::from_hours(1)));
    let before = mesh.status();
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.3"));
    mesh.reload();
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
    mesh.wait("the status", || {
        mesh.status().totals.files_read >= before.totals.files_read + 2
    });
}
