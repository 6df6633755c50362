use std::{fmt::Write as _, time::Duration};

use super::*;
use crate::{
    manifest,
    mesh::{FileChange, Reading},
    pipeline::Policy,
};

const NOON: u64 = 1_767_268_800;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + seconds)
}

/// A host `NAME.test` for each of `names`, which selects `app: NAME`; the host `a` has a Pod besides a VM.
fn file(is_ready: bool) -> FileChange {
    let mut text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {{app: a}}}}\nstatus: {{podIP: 10.0.0.1, conditions: [{{type: Ready, status: '{}'}}]}}\n",
        if is_ready { "True" } else { "False" }
    );
    for (name, address) in [("a", "192.0.2.1"), ("b", "192.0.2.2")] {
        write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\nspec: {{hosts: [{name}.test], resolution: STATIC, ports: [{{number: 80, name: http}}], workloadSelector: {{labels: {{app: {name}}}}}}}\n\
             ---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{address: {address}}}\n"
        )
        .expect("a string");
    }
    let file: Arc<str> = "a.yaml".into();
    let reading = Reading::Read(manifest::parse(&file, &text));
    FileChange { file, reading }
}

#[test]
fn an_order_is_told_to_have_taken_a_hosts_last_address_only_where_it_did() {
    let mut pipeline = Pipeline::new(Policy::default());
    pipeline.apply([file(true)], at(0));
    let emptied_by = |pipeline: &mut Pipeline, lines: &str, is_ready, seconds| {
        let overrides = Overrides::parse("overrides.yaml", lines).expect("lines");
        let before = pipeline.snapshot().clone();
        pipeline.set_overrides(Arc::new(overrides));
        let report = pipeline.apply([file(is_ready)], at(seconds));
        let emptied = pipeline.emptied_by(&report.orders, &report.affected.hosts, &before);
        emptied
            .map(|(host, order)| format!("{host} {order}"))
            .collect::<Vec<_>>()
    };
    let first = "- {match: WorkloadEntry default/a, state: drain}\n";
    let both = format!("{first}- {{match: WorkloadEntry default/b, state: down}}\n");
    assert_eq!(
        emptied_by(&mut pipeline, first, true, 1),
        [""; 0],
        "the Pod is left"
    );
    // The Pod of the one host fails while the VM of the other is taken out.
    assert_eq!(
        emptied_by(&mut pipeline, &both, false, 2),
        ["b.test. forced down by overrides.yaml:2"]
    );
}
