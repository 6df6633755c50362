//! Files that mean harm, and files that can't be what was meant: they cost what they touch and nothing else.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use crate::{
    harness::{Folder, Mesh, service},
    needs::{self, Need},
};

#[test]
fn what_is_wrong_in_a_file_beyond_what_anyone_reads_is_counted() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let part = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nspec: {address: 1}\n---\n{}\n";
    fs::write(folder.join("wrong.yaml"), part.repeat(500)).unwrap();
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"error\"}", 1_001.0);
    mesh.wait_for_log(&["ERROR", "MDNS014", "more errors"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
    fs::write(folder.join("wrong.yaml"), service(2, "10.0.0.2")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"error\"}", 0.0);
}

#[test]
fn a_file_that_turns_into_something_else_keeps_what_it_said() {
    let folder = Folder::with_one_service();
    let path = folder.join("svc1.yaml");
    let mesh = Mesh::start_unprivileged(folder.path());
    let kept = |reason: &str| {
        mesh.wait_for_log(&["ERROR", path.to_str().unwrap(), reason]);
        mesh.wait_for_metric("meshdns_objects_kept", 1.0);
        mesh.has("svc1.internal.com", "10.0.0.1");
        fs::remove_file(&path).unwrap();
        fs::write(&path, service(1, "10.0.0.1")).unwrap();
        mesh.wait_for_metric("meshdns_objects_kept", 0.0);
    };
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(65 << 20).unwrap();
    drop(file);
    kept("65 MiB");
    let beside = folder.above().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &beside,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    fs::rename(beside, &path).unwrap();
    kept("a named pipe");
}

/// The disk is a small one of the server's own, which the test reaches through it.
#[test]
fn a_file_that_a_full_disk_cuts_keeps_what_it_said() {
    if !needs::met(&[Need::MachineOfItsOwn]) {
        return;
    }
    let folder = Folder::new();
    let mesh = Mesh::start_on_a_disk_of_its_own(folder.path(), &service(1, "10.0.0.1"));
    let disk = PathBuf::from(format!("/proc/{}/root", mesh.pid().as_raw_nonzero()))
        .join(folder.path().strip_prefix("/").unwrap());
    let fill = |filler: &mut File| while filler.write_all(&[0; 4096]).is_ok() {};
    let mut filler = File::create(disk.join("filler")).unwrap();
    fill(&mut filler);
    let path = disk.join("svc1.yaml");
    let mut victim = File::create(&path).unwrap();
    fill(&mut filler);
    assert!(victim.write_all(service(1, "10.0.0.2").as_bytes()).is_err());
    drop(victim);
    mesh.wait_for_log(&["ERROR", "svc1.yaml", "may be cut"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
    // Room alone makes no whole file of it.
    filler.set_len(0).unwrap();
    fs::write(disk.join("svc2.yaml"), service(2, "10.0.0.1")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.1"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
    fs::write(path, service(1, "10.0.0.2")).unwrap();
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    mesh.wait_for_metric("meshdns_objects_kept", 0.0);
}
