//! Starts at which the API server does not answer, with a last good state and without one.

use std::{fs, path::Path, time::Duration};

use hickory_proto::op::ResponseCode;
use rustix::process::Signal;

use crate::{
    mesh,
    place::{ALL, POD_1, POD_2, Place, VM},
    rig::proxy::Fault,
};

/// Starts once with a state folder, and stops when the state says what is there.
fn leave_behind(place: &Place<'_>, flags: &[&str]) {
    let mut mesh = place.follow_with(flags);
    mesh.has(&place.host, &ALL);
    mesh.signal(Signal::TERM);
    assert!(mesh.wait_for_end().success());
}

/// Nothing is known, so nothing is denied; what comes late is taken in.
#[test]
fn nobody_answers_and_nothing_is_known() {
    let Some(place) = Place::shared("start-blind") else {
        return;
    };
    place.proxy.close();
    let mesh = place.listen_with(&["--zone=internal.com", "--start-patience=1h"]);
    mesh.wait_for_log(&["WARN", "prod"]);
    mesh.wait("it names the cluster", || {
        let ready = mesh.get("/ready");
        ready.status == 503 && ready.body.contains("prod")
    });
    assert_eq!(mesh.ask(&place.host).0, ResponseCode::ServFail);
    place.proxy.mend();
    mesh.wait("it is ready", || mesh.is_ready());
    mesh.has(&place.host, &ALL);
    place.follows(&mesh);
}

/// One kind does not come: the others answer, and nothing is denied.
#[test]
fn one_kind_does_not_answer() {
    let Some(place) = Place::shared("start-one-kind") else {
        return;
    };
    place
        .proxy
        .fail(&["/workloadentries"], Fault::Answer(500, None), usize::MAX);
    let mesh = place.listen_with(&["--zone=internal.com", "--start-patience=1h"]);
    mesh.wait("it names the kind", || {
        let ready = mesh.get("/ready");
        ready.status == 503 && ready.body.contains("WorkloadEntry")
    });
    // Pods are known, VMs are not: what is known is answered, and nothing else is denied.
    mesh.has(&place.host, &[POD_1, POD_2]);
    assert_eq!(mesh.ask("nobody.internal.com").0, ResponseCode::ServFail);
    place.proxy.mend();
    mesh.wait("it is ready", || mesh.is_ready());
    mesh.has(&place.host, &ALL);
}

/// The patience ends: what can't be had counts as absent, and the server says what is missing.
#[test]
fn nobody_answers_for_longer_than_the_patience() {
    let Some(place) = Place::shared("start-patience") else {
        return;
    };
    place.proxy.close();
    let mesh = place.listen_with(&["--zone=internal.com", "--start-patience=2s"]);
    mesh.wait("it is ready", || mesh.is_ready());
    assert!(mesh.get("/ready").body.contains("prod"));
    assert_eq!(mesh.ask(&place.host).0, ResponseCode::NXDomain);
    place.proxy.mend();
    mesh.wait_for_late(&place.host, &ALL);
}

/// The last good state answers until the cluster does, and is replaced in one batch.
#[test]
fn nobody_answers_and_the_last_good_state_does() {
    let Some(place) = Place::shared("start-state") else {
        return;
    };
    let state = tempfile::tempdir().expect("a temporary folder");
    let flag = mesh::state_flag(state.path());
    let flags = [&flag, "--zone=internal.com", "--start-patience=1h"];
    leave_behind(&place, &flags);
    for fault in ["closed", "frozen"] {
        match fault {
            "closed" => place.proxy.close(),
            _ => place.proxy.freeze(),
        }
        let mesh = place.follow_with(&flags);
        mesh.has(&place.host, &ALL);
        assert_eq!(mesh.ask("nobody.internal.com").0, ResponseCode::NXDomain);
        let ready = mesh.get("/ready").body;
        assert!(
            ready.contains("prod") && ready.contains("last good state"),
            "{ready}"
        );
        mesh.wait_for_metric("meshdns_state_in_use", &[], |value| value > 0.5);
        mesh.wait_for_log(&["WARN", "last good state", "prod"]);
        // One leaves while nobody looks; all else stays throughout.
        place.turn(1, false);
        mesh.throughout(&place.host, &[&ALL, &[POD_2, VM]], || {
            place.proxy.mend();
            mesh.wait_for_late(&place.host, &[POD_2, VM]);
        });
        mesh.wait_for_metric("meshdns_state_in_use", &[], |value| value < 0.5);
        mesh.wait("no note", || mesh.get("/ready").body == "OK\n");
        place.turn(1, true);
        mesh.wait_for(&place.host, &ALL);
    }
}

/// A cluster that is empty is empty, whatever the state says.
#[test]
fn a_state_does_not_answer_for_what_is_gone() {
    let Some(place) = Place::shared("start-gone") else {
        return;
    };
    let state = tempfile::tempdir().expect("a temporary folder");
    let flag = mesh::state_flag(state.path());
    let flags = [&flag, "--zone=internal.com"];
    leave_behind(&place, &flags);
    place.cluster.api.delete_namespace(&place.namespace);
    let mesh = place.follow_with(&flags);
    assert_eq!(mesh.ask(&place.host).0, ResponseCode::NXDomain);
    assert_eq!(mesh.get("/ready").body, "OK\n");
}

/// What happens to a file.
type Break = fn(&[u8]) -> Vec<u8>;

/// Cut, foreign or empty: a warning, and a start like one without a state.
#[test]
fn a_state_that_is_broken() {
    let Some(place) = Place::shared("start-broken") else {
        return;
    };
    let state = tempfile::tempdir().expect("a temporary folder");
    let flag = mesh::state_flag(state.path());
    let flags = [&flag, "--zone=internal.com"];
    leave_behind(&place, &flags);
    let breaks: [Break; 4] = [
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |_| b"<html></html>\n".to_vec(),
        |_| Vec::new(),
        |bytes| bytes.iter().map(|byte| byte ^ 1).collect(),
    ];
    for broken in breaks {
        let mut files = 0;
        for file in files_below(state.path()) {
            let bytes = fs::read(&file).expect("our own file");
            fs::write(&file, broken(&bytes)).expect("our own file");
            files += 1;
        }
        assert!(files > 0, "a state is there");
        let mut mesh = place.follow_with(&flags);
        mesh.has(&place.host, &ALL);
        mesh.signal(Signal::TERM);
        assert!(mesh.wait_for_end().success());
    }
}

/// Killed whenever: a start without the cluster finds a state that was good, and never fails.
#[test]
fn a_server_that_is_killed_while_it_writes() {
    let Some(place) = Place::shared("start-killed") else {
        return;
    };
    let state = tempfile::tempdir().expect("a temporary folder");
    let flag = mesh::state_flag(state.path());
    let flags = [&flag, "--zone=internal.com", "--start-patience=1h"];
    leave_behind(&place, &flags);
    for round in 0..6_u64 {
        let mut mesh = place.follow_with(&flags);
        // What changes is written: the first time at once, then every few seconds at most.
        place.turn(1, false);
        mesh.wait_for(&place.host, &[POD_2, VM]);
        std::thread::sleep(Duration::from_millis(round * 7));
        mesh.signal(Signal::KILL);
        mesh.wait_for_end();
        place.proxy.close();
        let mesh = place.follow_with(&flags);
        let told = mesh.addresses(&place.host);
        let sets: [&[&str]; 2] = [&ALL, &[POD_2, VM]];
        let sets = sets.map(mesh::set_of);
        assert!(sets.contains(&told), "{told:?}");
        place.proxy.mend();
        drop(mesh);
        place.turn(1, true);
    }
}

/// All files of a folder and of those below it.
fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, mut files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| files_below(folder)));
    files
}
