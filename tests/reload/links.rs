//! Where links and folders may lead, and names that are no text: each file is answered, or told.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use crate::harness::{Folder, Mesh, service};

#[test]
fn links_to_the_kernel_and_to_folders_above_are_told_and_not_followed() {
    let folder = Folder::with_one_service();
    symlink("/proc/self/status", folder.join("status.yaml")).unwrap();
    symlink("/proc", folder.join("kernel")).unwrap();
    symlink("/", folder.join("everything")).unwrap();
    symlink("..", folder.join("above")).unwrap();
    let elsewhere = folder.above().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    symlink(&elsewhere, folder.join("elsewhere")).unwrap();
    let mesh = Mesh::start(folder.path());
    mesh.has("svc1.internal.com", "10.0.0.1");
    mesh.has("svc2.internal.com", "10.0.0.2");
    for (name, reason) in [
        ("status.yaml", "file system proc"),
        ("kernel/", "file system proc"),
        ("everything/", "which a mesh folder is in"),
        ("above/", "which a mesh folder is in"),
    ] {
        let path = folder.join(name);
        mesh.wait_for_log(&["ERROR", "MDNS022", path.to_str().unwrap(), reason]);
    }
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"error\"}", 4.0);
    // Changes are followed as ever, and a link that leads elsewhere is looked at again.
    fs::write(elsewhere.join("svc2.yaml"), service(2, "10.0.0.3")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.3"]);
    for name in ["status.yaml", "kernel", "everything", "above"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    mesh.wait_for_metric("meshdns_diagnostics{severity=\"error\"}", 0.0);
}

#[test]
fn links_out_of_the_mesh_folders_are_not_followed_where_that_is_asked_for() {
    let folder = Folder::with_one_service();
    let elsewhere = folder.above().join("elsewhere.txt");
    fs::write(&elsewhere, service(2, "10.0.0.2")).unwrap();
    symlink(&elsewhere, folder.join("svc2.yaml")).unwrap();
    // As a ConfigMap has it.
    fs::create_dir(folder.join("..2026_1")).unwrap();
    fs::write(folder.join("..2026_1/svc3.yaml"), service(3, "10.0.0.3")).unwrap();
    symlink("..2026_1", folder.join("..data")).unwrap();
    symlink("..data/svc3.yaml", folder.join("svc3.yaml")).unwrap();
    let config = folder.above().join("meshdns.yaml");
    fs::write(&config, "followLinks: inside\n").unwrap();
    let config = format!("--config={}", config.display());
    let mesh = Mesh::start_with(folder.path(), &[&config]);
    mesh.has("svc3.internal.com", "10.0.0.3");
    assert_eq!(mesh.answers("svc2.internal.com"), None);
    let told = ["ERROR", "MDNS022", "svc2.yaml", "out of the mesh folders"];
    mesh.wait_for_log(&told);
}

#[test]
fn names_that_are_no_text_are_served() {
    let folder = Folder::with_one_service();
    let odd = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    let mesh = Mesh::start(folder.path());
    fs::write(odd(b"svc2-\xff.yaml"), service(2, "10.0.0.2")).unwrap();
    fs::create_dir(odd(b"\xfe\\x")).unwrap();
    fs::write(odd(b"\xfe\\x/\xe4.yaml"), service(3, "10.0.0.3")).unwrap();
    mesh.wait_for("svc2.internal.com", &["10.0.0.2"]);
    mesh.wait_for("svc3.internal.com", &["10.0.0.3"]);
    fs::write(odd(b"\xfe\\x/\xe4.yaml"), service(3, "10.0.0.4")).unwrap();
    mesh.wait_for("svc3.internal.com", &["10.0.0.4"]);
    fs::write(odd(b"\xfe\\x/\xe5.yaml"), "kind: ServiceEntry\n").unwrap();
    mesh.wait_for_log(&["ERROR", r"\xfe\\x/\xe5.yaml"]);
    fs::rename(odd(b"\xfe\\x"), odd(b"\xfd")).unwrap();
    fs::remove_file(odd(b"svc2-\xff.yaml")).unwrap();
    mesh.wait_for_none("svc2.internal.com");
    mesh.wait_for("svc3.internal.com", &["10.0.0.4"]);
}

#[test]
fn folders_deeper_than_the_limit_are_told() {
    let folder = Folder::with_one_service();
    let deep = |depth: usize| folder.join(&"d/".repeat(depth));
    fs::create_dir_all(deep(33)).unwrap();
    fs::write(deep(32).join("svc2.yaml"), service(2, "10.0.0.2")).unwrap();
    fs::write(deep(33).join("svc3.yaml"), service(3, "10.0.0.3")).unwrap();
    let mesh = Mesh::start(folder.path());
    mesh.has("svc2.internal.com", "10.0.0.2");
    let path = deep(33);
    mesh.wait_for_log(&[
        "ERROR",
        "MDNS022",
        path.to_str().unwrap(),
        "32 folders deep",
    ]);
}
