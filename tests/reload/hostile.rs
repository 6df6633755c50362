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

/// How much such a file may add to the server at most, in kibibytes, while it is read too.
const MOST_ADDED_KIB: u64 = 32 << 10;

/// What 1 MiB of it takes is well below a second of one core; a build for debugging takes 20 times as much.
const MOST_TICKS: u64 = 2_000;

/// How much memory the server had at most so far, in kibibytes.
fn peak_kib(mesh: &Mesh) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", mesh.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// How many hundredths of a second it computed so far.
fn ticks(mesh: &Mesh) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", mesh.pid().as_raw_nonzero())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let tick = |at: usize| fields[at].parse::<u64>().unwrap();
    tick(11) + tick(12)
}

/// `part` again and again, 1 MiB of it.
fn mebibyte(part: &str) -> String {
    part.repeat((1 << 20) / part.len())
}

#[test]
fn a_mebibyte_of_documents_that_are_nothing_of_ours_costs_little() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let parts = [
        ("documents.yaml", "---\n{}\n"),
        ("texts.yaml", "---\na\n"),
        ("values.yaml", "{}"),
        ("values.json", "{\"a\":1} [2]\n"),
        ("kinds.yaml", "---\nkind: A\napiVersion: b\n"),
        ("keys.yaml", "a: 1\n"),
        ("broken.yaml", "---\n]\n"),
    ];
    let (peak, spent) = (peak_kib(&mesh), ticks(&mesh));
    for (number, (file, part)) in (2..).zip(parts) {
        fs::write(folder.join(file), mebibyte(part)).unwrap();
        mesh.wait_for_metric("meshdns_files", f64::from(number));
        let added = peak_kib(&mesh) - peak;
        assert!(added <= MOST_ADDED_KIB, "{file}: {added} KiB");
    }
    let spent = ticks(&mesh) - spent;
    assert!(spent < MOST_TICKS, "{spent} hundredths of a second");
    mesh.has("svc1.internal.com", "10.0.0.1");
    // None of them is a manifest, and that is all there is to say.
    assert!(mesh.metric("meshdns_diagnostics{severity=\"info\"}") <= 7.0);
}

#[test]
fn what_is_wrong_in_a_file_beyond_what_anyone_reads_is_counted() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let part = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nspec: {address: 1}\n---\n{}\n";
    let peak = peak_kib(&mesh);
    fs::write(folder.join("wrong.yaml"), mebibyte(part)).unwrap();
    mesh.wait_for_log(&["WARN", "more problems"]);
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"error\"}", 1_001.0);
    let added = peak_kib(&mesh) - peak;
    assert!(added <= MOST_ADDED_KIB, "{added} KiB");
    fs::write(folder.join("wrong.yaml"), service(2, "10.0.0.2")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"error\"}", 0.0);
}

#[test]
fn more_documents_than_a_file_may_hold_are_told_and_change_nothing() {
    let folder = Folder::with_one_service();
    let mesh = Mesh::start(folder.path());
    let text = service(1, "10.0.0.2") + &"---\n{}\n".repeat(600_000);
    fs::write(folder.join("svc1.yaml"), text).unwrap();
    mesh.wait_for_log(&["ERROR", "MDNS002", "more than 600000 documents"]);
    mesh.has("svc1.internal.com", "10.0.0.1");
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
    let mut file = File::create(&path).unwrap();
    fill(&mut filler);
    assert!(file.write_all(service(1, "10.0.0.2").as_bytes()).is_err());
    drop(file);
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
