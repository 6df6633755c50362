//! A large mesh: one change touches only its hosts, however much is loaded.

use std::fs;

use crate::big_mesh::{self, Size};
use crate::dns_client::{self, Question};
use crate::{program, serve};

/// 10,000 ServiceEntries, 20,000 Pods and 20,000 WorkloadEntries in 250 files.
const SIZE: Size = Size {
    services: 10_000,
    pods: 2,
    vms: 2,
    objects_a_file: 200,
};

#[test]
fn one_pod_turning_unready_recompiles_only_its_hosts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    big_mesh::write(folder.path(), SIZE).expect("files can be written");
    let server = serve(folder.path(), &["."]);
    assert_eq!(server.metric::<usize>("meshdns_hosts"), SIZE.services);
    assert_eq!(
        server.metric::<usize>("meshdns_endpoints{state=\"selected\"}"),
        SIZE.services * 4
    );

    let service = 4321;
    let address = big_mesh::pod_address(service, 1);
    let question = Question::parse(&format!("{} A", big_mesh::host(service)));
    let answers = || {
        let reply = program::ask(server.dns, &question.encode(7)).expect("a reply in time");
        dns_client::print_reply(&reply)
    };
    assert!(
        answers().contains(&address),
        "the Pod is ready: {}",
        answers()
    );

    let file = folder
        .path()
        .join(format!("part-{}.yaml", service * 5 / SIZE.objects_a_file));
    let text = fs::read_to_string(&file).expect("the file is there");
    let pod = |ready| big_mesh::pod(service, 1, ready);
    assert!(text.contains(&pod(true)), "the Pod is in this file");
    let counters = [
        "meshdns_hosts_recompiled_total",
        "meshdns_names_changed_total",
        "meshdns_files_read_total",
    ];
    let before = counters.map(|counter| server.metric::<usize>(counter));
    let parsed_before = server.metric::<usize>("meshdns_documents_parsed_total");
    fs::write(&file, text.replace(&pod(true), &pod(false))).expect("the file can be written");
    server.wait("the Pod to leave the answer", || {
        !answers().contains(&address)
    });
    // The counts follow the publish: queries don't wait for them.
    server.wait("the counts", || {
        server.metric::<usize>(counters[0]) > before[0]
    });
    let after = counters.map(|counter| server.metric::<usize>(counter));
    for (counter, (before, after)) in counters.iter().zip(before.into_iter().zip(after)) {
        assert_eq!(after - before, 1, "{counter}");
    }
    let parsed = server.metric::<usize>("meshdns_documents_parsed_total") - parsed_before;
    assert!(
        parsed <= SIZE.objects_a_file,
        "{parsed} documents were parsed for one file"
    );
    assert_eq!(
        server.metric::<usize>("meshdns_endpoints{state=\"unready\"}"),
        1
    );
}
