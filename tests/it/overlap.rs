//! Selectors that overlap badly: what many hosts have in common is worked out once.

use std::{fmt::Write as _, sync::Arc, time::SystemTime};

use meshdns::{
    diagnostic::code,
    manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy, Report},
};

/// ServiceEntries that all select the same Pods.
const SERVICES: usize = 300;

/// Those Pods: too many for a DNS message of 64 KiB.
const PODS: usize = 4_500;

const LATER: SystemTime = SystemTime::UNIX_EPOCH;

fn read(file: &str, text: &str) -> FileChange {
    let file: Arc<str> = file.into();
    let contents = manifest::parse(&file, text);
    FileChange {
        reading: Reading::Read(contents),
        file,
    }
}

fn service(number: usize, selector: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: svc-{number}}}\nspec:\n  \
         hosts: [svc-{number}.test]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  resolution: STATIC\n  \
         workloadSelector: {{labels: {selector}}}\n"
    )
}

fn pod(number: usize, ready: bool) -> String {
    let ready = if ready { "True" } else { "False" };
    let ip = format!("10.0.{}.{}", number / 200, number % 200);
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{number}\n  labels: {{class: pod, number: n{number}}}\n\
         status: {{phase: Running, podIP: {ip}, conditions: [{{type: Ready, status: \"{ready}\"}}]}}\n"
    )
}

fn apply(pipeline: &mut Pipeline, file: &str, text: &str) -> Report {
    pipeline.apply(vec![read(file, text)], LATER)
}

/// How many hosts a report's change reached, and for how many selections that took.
fn work(report: &Report) -> (usize, usize) {
    (report.affected.hosts.len(), report.selections)
}

#[test]
fn hosts_that_select_alike_are_compiled_once_for_all() {
    let mut pipeline = Pipeline::new(Policy::default());
    let all = |count: usize, text: fn(usize) -> String| (0..count).map(text).collect::<String>();
    let pods = all(PODS, |number| pod(number, true));
    let services = all(SERVICES, |number| service(number, "{class: pod}"));
    pipeline.take_in(vec![read("pods.yaml", &pods)], LATER);
    let report = apply(&mut pipeline, "services.yaml", &services);
    assert_eq!(work(&report), (SERVICES, 1), "the first load");

    let report = apply(
        &mut pipeline,
        "more.yaml",
        &service(SERVICES, "{class: pod}"),
    );
    assert_eq!(work(&report), (1, 0), "another host that selects alike");

    let one = "{class: pod, number: n7}";
    let report = apply(&mut pipeline, "one.yaml", &service(SERVICES + 1, one));
    assert_eq!(work(&report), (1, 1), "a host that selects one of the Pods");

    let unready = pods.replace(&pod(7, true), &pod(7, false));
    let report = apply(&mut pipeline, "pods.yaml", &unready);
    assert_eq!(work(&report), (SERVICES + 2, 2), "one Pod turned unready");
    assert_eq!(report.names_changed, SERVICES + 2);

    let too_large: Vec<_> = pipeline
        .diagnostics()
        .iter()
        .map(|diagnostic| diagnostic.code)
        .filter(|code| *code == code::RRSET_TOO_LARGE)
        .collect();
    assert_eq!(too_large.len(), SERVICES + 1, "once for a host");
}

#[test]
fn a_name_in_the_place_of_an_address_is_remarked_on_once_for_all_hosts() {
    let mut pipeline = Pipeline::new(Policy::default());
    let mut text = String::new();
    for number in 0..20 {
        text += &service(number, "{class: vm}");
        write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm-{number}}}\nspec: \
             {{address: vm{number}.corp.example, labels: {{class: vm}}}}\n"
        )
        .expect("a string takes everything");
    }
    apply(&mut pipeline, "mesh.yaml", &text);
    let named = |pipeline: &Pipeline| {
        let all = pipeline.diagnostics();
        all.iter()
            .filter(|diagnostic| diagnostic.code == code::NAME_ENDPOINT)
            .count()
    };
    assert_eq!(named(&pipeline), 20);
    apply(
        &mut pipeline,
        "mesh.yaml",
        &text.replace(
            "corp.example, labels: {class: vm}",
            "corp.example, labels: {class: db}",
        ),
    );
    assert_eq!(named(&pipeline), 0, "nobody selects them any more");
}
