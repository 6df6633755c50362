//! How changes are noticed, and what happens where the operating system does not help.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    harness::{Folder, Mesh, replace, service},
    needs::{self, Need},
    program::PATIENCE,
};

#[test]
fn without_events_the_folder_is_polled() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start_with(folder.path(), &["--poll=100ms"]);
    mesh.wait_for_metric("meshdns_watch_polling", 1.0);
    fs::write(folder.join("svc1.yaml"), service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.3")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
    fs::remove_file(folder.join("svc2.yaml")).unwrap();
    mesh.wait_for_none("svc2.internal.com");
    fs::remove_dir_all(folder.path()).unwrap();
    mesh.wait_for_metric("meshdns_folders_missing", 1.0);
    mesh.holds("svc1.internal.com", "10.0.0.2", Duration::from_millis(500));
}

#[test]
fn polling_every_two_seconds_serves_changes() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start_with(folder.path(), &["--poll=2s"]);
    mesh.wait_for_log(&["every 2s"]);
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.2"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
}

#[test]
fn polling_waits_until_a_file_is_still() {
    let folder = Folder::new();
    let path = folder.join("mesh.yaml");
    fs::write(&path, both("10.0.0.1")).unwrap();
    let mesh = Mesh::start_with(folder.path(), &["--poll=50ms"]);
    // Where this machine is so busy that the file was still for long enough, that round proves nothing.
    let tried = Instant::now();
    while !is_whole_when_served(&mesh, &path) {
        assert!(tried.elapsed() < PATIENCE, "no round was quick enough");
    }
}

fn both(address: &str) -> String {
    format!("{}---\n{}", service(1, address), service(2, address))
}

/// Writes a file in two halves that would both parse, and checks that only the whole one is served; `false` where that took
/// so long that the first half may count as a whole file.
fn is_whole_when_served(mesh: &Mesh, path: &Path) -> bool {
    const STILLNESS: Duration = Duration::from_millis(250);
    fs::write(path, both("10.0.0.1")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.1"]);
    mesh.wait_for("svc2.internal.com", &["10.0.0.1"]);
    let start = Instant::now();
    let mut file = File::create(path).unwrap();
    file.write_all(service(1, "10.0.0.2").as_bytes()).unwrap();
    let mut was_there = true;
    while start.elapsed() < STILLNESS * 2 / 5 {
        was_there &= mesh.answers("svc2.internal.com").is_some();
    }
    file.write_all(format!("---\n{}", service(2, "10.0.0.2")).as_bytes())
        .unwrap();
    let is_in_time = start.elapsed() < STILLNESS;
    drop(file);
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    mesh.has("svc1.internal.com", "10.0.0.2");
    assert!(was_there || !is_in_time, "half a file was served");
    is_in_time
}

#[test]
fn a_queue_of_events_that_runs_over_is_made_up_for() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    mesh.signal(Signal::STOP);
    // Each write is at least two events, and taking turns keeps the kernel from merging them.
    for round in 0..=limit / 4 {
        for number in [2, 3] {
            fs::write(folder.join(&format!("svc{number}.yaml")), round.to_string()).unwrap();
        }
    }
    // This comes too late for the queue.
    for number in [1, 2, 3] {
        replace(
            &folder.join(&format!("svc{number}.yaml")),
            &service(number, "10.0.0.2"),
        );
    }
    mesh.signal(Signal::CONT);
    for number in [1, 2, 3] {
        mesh.wait_for(&format!("svc{number}.internal.com"), &["10.0.0.2"]);
    }
    mesh.wait("the count", || {
        mesh.metric("meshdns_watch_overflows_total") > 0.0
    });
    mesh.wait_for_log(&["WARN", "fs.inotify.max_queued_events"]);
    // Events work as before.
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.3"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
}

/// Serves a folder where inotify's `limit` is `value`, which must be too little.
#[track_caller]
fn falls_back_to_polling(limit: &str, value: u32, sysctl: &str) {
    if !needs::met(&[Need::UserNamespace]) {
        return;
    }
    let folder = Folder::with_one_service();
    let nested = folder.join("a/b/c");
    fs::create_dir_all(&nested).unwrap();
    let mesh = Mesh::start_with_limit(folder.path(), limit, value);
    mesh.wait_for_log(&["WARN", "every 2s", sysctl]);
    mesh.wait_for_metric("meshdns_watch_polling", 1.0);
    replace(&nested.join("svc2.yaml"), &service(2, "10.0.0.2"));
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    assert_eq!(mesh.log_lines(&["WARN", sysctl]), 1);
}

#[test]
fn without_an_inotify_instance_the_folder_is_polled() {
    falls_back_to_polling("max_inotify_instances", 0, "fs.inotify.max_user_instances");
}

#[test]
fn without_enough_inotify_watches_the_folder_is_polled() {
    falls_back_to_polling("max_inotify_watches", 3, "fs.inotify.max_user_watches");
}

#[test]
fn a_folder_made_when_no_watch_is_left_is_found_by_polling() {
    if !needs::met(&[Need::UserNamespace]) {
        return;
    }
    let folder = Folder::with_one_service();
    // One for the folder, one for the folder above it.
    let mesh = Mesh::start_with_limit(folder.path(), "max_inotify_watches", 2);
    mesh.wait_for_metric("meshdns_watch_polling", 0.0);
    fs::create_dir(folder.join("nested")).unwrap();
    mesh.wait_for_log(&["WARN", "every 2s", "fs.inotify.max_user_watches"]);
    fs::write(folder.join("nested/svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
}

#[test]
fn sighup_reads_every_file_again() {
    let folder = Folder::with_one_service();
    fs::write(folder.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    let mesh = Mesh::start_with(folder.path(), &["--poll=1h"]);
    let before = mesh.metric("meshdns_files_read_total");
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.3"));
    mesh.signal(Signal::HUP);
    mesh.wait_for("svc1.internal.com", &["10.0.0.3"]);
    mesh.wait_for_metric("meshdns_files_read_total", before + 2.0);
    mesh.wait_for_log(&["mesh reloaded", "files_changed=1"]);
}
