//! Much at once, and how fast.

use std::{
    collections::HashSet,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use crate::{
    harness::{Folder, Mesh, replace, service},
    program::PATIENCE,
};

const FILES: usize = 1_000;

/// What the metrics page says of them.
const FILES_PARSED: f64 = 1_000.0;

fn big_folder() -> Folder {
    let folder = Folder::new();
    for number in 1..=FILES {
        fs::write(
            folder.join(&format!("svc{number}.yaml")),
            service(number, "10.0.0.1"),
        )
        .unwrap();
    }
    folder
}

/// Everything that was asked for has come: the last reload is on the metrics page.
const PARSED: &str = "meshdns_documents_parsed_total";

#[test]
fn a_thousand_files_touched_at_once_change_nothing() {
    let folder = big_folder();
    let mesh = Mesh::start(folder.path());
    mesh.wait_for_metric(PARSED, FILES_PARSED);
    let generation = mesh.generation();
    for number in 1..=FILES {
        let path = folder.join(&format!("svc{number}.yaml"));
        let text = fs::read(&path).unwrap();
        fs::write(path, text).unwrap();
    }
    replace(&folder.join("svc1.yaml"), &service(1, "10.0.0.2"));
    mesh.wait_for("svc1.internal.com", &["10.0.0.2"]);
    mesh.wait_for_metric(PARSED, FILES_PARSED + 1.0);
    mesh.wait_for_metric("meshdns_generation", generation + 1.0);
}

#[test]
fn a_thousand_files_changed_at_once_are_served_and_no_query_is_lost() {
    let folder = big_folder();
    let mesh = Mesh::start(folder.path());
    for number in 1..=FILES {
        fs::write(
            folder.join(&format!("svc{number}.yaml")),
            service(number, "10.0.0.2"),
        )
        .unwrap();
        // Each of these has a reply, with the old address or the new one.
        assert_eq!(
            mesh.answers("svc1000.internal.com")
                .map(|answer| answer.len()),
            Some(1)
        );
    }
    for number in 1..=FILES {
        mesh.wait_for(&format!("svc{number}.internal.com"), &["10.0.0.2"]);
    }
    mesh.wait_for_metric("meshdns_files", FILES_PARSED);
    mesh.wait_for_metric("meshdns_objects_kept", 0.0);
    assert_eq!(
        mesh.log_lines(&["ERROR"]),
        0,
        "no file was read half written"
    );
}

/// How long it takes is measured by `make bench-scale`; here it is what it takes that counts.
#[test]
fn a_change_among_a_thousand_files_costs_one_file() {
    const ROUNDS: u8 = 20;
    let folder = big_folder();
    let mesh = Mesh::start(folder.path());
    mesh.wait_for_metric(PARSED, FILES_PARSED);
    for round in 1..=ROUNDS {
        let address = format!("10.0.1.{round}");
        let text = service(500, &address);
        let path = folder.join("svc500.yaml");
        if round % 2 == 0 {
            fs::write(&path, text).unwrap();
        } else {
            replace(&path, &text);
        }
        mesh.wait_for("svc500.internal.com", &[&address]);
    }
    mesh.wait_for_metric(PARSED, FILES_PARSED + f64::from(ROUNDS));
    // A file that was read right after it was written is read once more, for its times prove nothing.
    let most_read = FILES_PARSED + FILES_PARSED + 2.0 * f64::from(ROUNDS);
    assert!(mesh.metric("meshdns_files_read_total") <= most_read);
}

/// Nobody waits for a quiet moment that never comes.
#[test]
fn a_file_replaced_without_end_is_served_all_the_same() {
    let folder = big_folder();
    let mesh = Mesh::start(folder.path());
    let (start, done) = (Instant::now(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in (1..=250).cycle() {
                replace(
                    &folder.join("svc1.yaml"),
                    &service(1, &format!("10.0.1.{round}")),
                );
                if done.load(Ordering::Acquire) || start.elapsed() > 2 * PATIENCE {
                    break;
                }
            }
        });
        let seen = Mutex::new(HashSet::new());
        mesh.wait("five of the addresses", || {
            let answer = mesh
                .answers("svc1.internal.com")
                .expect("it is always there");
            assert_eq!(answer.len(), 1);
            let mut seen = seen.lock().unwrap();
            seen.extend(answer);
            seen.len() >= 5
        });
        done.store(true, Ordering::Release);
    });
}
