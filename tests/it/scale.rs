//! A large mesh: one change touches only its hosts, however much is loaded.

use std::{fs, sync::Arc, time::SystemTime};

use meshdns::{
    manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy},
};

use crate::big_mesh::{Format, Mesh, Selects};
use crate::dns_client::{self, Question};
use crate::{program, serve};

/// 10,000 ServiceEntries, 20,000 Pods and 20,000 WorkloadEntries in 250 files.
const MESH: Mesh = Mesh {
    services: 10_000,
    pods: 2,
    vms: 2,
    namespaces: 100,
    objects_a_file: 200,
    selects: Selects::Own,
    format: Format::Yaml,
};

#[test]
fn one_pod_turning_unready_recompiles_only_its_hosts() {
    check(MESH, 8642, 1);
}

#[test]
fn of_a_large_file_only_the_changed_document_is_parsed() {
    let one_large_file = Mesh {
        services: 300,
        objects_a_file: 1_500,
        ..MESH
    };
    check(one_large_file, 123, 1);
}

#[test]
fn a_pod_that_several_services_select_recompiles_each_of_them_and_no_other() {
    let ten_a_namespace = Mesh {
        services: 50,
        namespaces: 5,
        selects: Selects::Everyone,
        format: Format::Json,
        ..MESH
    };
    check(ten_a_namespace, 42, 10);
}

/// Many hosts are compiled and put in their places on all cores, few on one.
#[test]
fn a_mesh_answers_the_same_whether_it_comes_at_once_or_bit_by_bit() {
    let mesh = Mesh {
        services: 1_000,
        objects_a_file: 100,
        ..MESH
    };
    let now = SystemTime::UNIX_EPOCH;
    let files = (0..mesh.files()).map(|number| {
        let file: Arc<str> = mesh.file_name(number).into();
        let contents = manifest::parse(&file, &mesh.text(number, |_| true));
        FileChange {
            file,
            reading: Reading::Read(contents),
        }
    });
    let files: Vec<_> = files.collect();
    let mut bit_by_bit = Pipeline::new(Policy::default());
    for file in &files {
        bit_by_bit.apply(vec![file.clone()], now);
    }
    let mut at_once = Pipeline::new(Policy::default());
    let report = at_once.apply(files, now);
    // The names above the hosts are not ours.
    assert_eq!(report.names_changed, mesh.services);
    assert_eq!(**at_once.snapshot(), **bit_by_bit.snapshot());
}

/// Serves `mesh`, turns one Pod unready, and checks that one file is read, one document of it parsed and so many hosts
/// recompiled, each of which changes.
#[track_caller]
fn check(mesh: Mesh, pod: usize, hosts: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    mesh.write(folder.path()).expect("files can be written");
    let server = serve(folder.path(), &["."]);
    assert_eq!(server.metric::<usize>("meshdns_hosts"), mesh.services);
    assert_eq!(server.metric::<usize>("meshdns_files"), mesh.files());
    assert_eq!(
        server.metric::<usize>("meshdns_endpoints{state=\"selected\"}"),
        mesh.services * (mesh.pods + mesh.vms)
    );

    let host = Mesh::host(mesh.service_of(pod));
    let question = Question::parse(&format!("{host} A"));
    let address = format!("A {}\n", Mesh::address_of(pod));
    let answers = || {
        let reply = program::ask(server.dns, &question.encode(7)).expect("a reply in time");
        dns_client::print_reply(&reply)
    };
    assert!(
        answers().contains(&address),
        "the Pod is ready: {}",
        answers()
    );

    let counters = [
        "meshdns_hosts_recompiled_total",
        "meshdns_names_changed_total",
        "meshdns_files_read_total",
        "meshdns_documents_parsed_total",
    ];
    let before = counters.map(|counter| server.metric::<usize>(counter));
    let file = mesh.file_of(pod);
    fs::write(
        folder.path().join(mesh.file_name(file)),
        mesh.text(file, |other| other != pod),
    )
    .expect("the file can be written");
    server.wait("the Pod to leave the answer", || {
        !answers().contains(&address)
    });
    // The counts follow the publish: queries don't wait for them.
    server.wait("the counts", || {
        server.metric::<usize>(counters[0]) > before[0]
    });
    let after = counters.map(|counter| server.metric::<usize>(counter));
    let changes: [usize; 4] = std::array::from_fn(|index| after[index] - before[index]);
    assert_eq!(changes, [hosts, hosts, 1, 1], "{counters:?}");
    assert_eq!(
        server.metric::<usize>("meshdns_endpoints{state=\"unready\"}"),
        1
    );
}
