//! How soon a Pod that is patched at a real API server is in the answer, or out of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    report::{Report, milliseconds},
    rig::{
        cluster::Cluster,
        objects::{namespace, pod, pod_status, selecting},
    },
    scale::server::{Client, Meshdns},
};

const HOST: &str = "latency.big.example";
const ADDRESS: [u8; 4] = [10, 0, 0, 1];

/// How often the Pod is patched.
const TRIES: usize = 200;

pub(super) fn measure(report: &mut Report) -> Result<()> {
    const GOAL_MEDIAN: Duration = Duration::from_millis(20);
    const GOAL_MOST: Duration = Duration::from_millis(60);
    let Some(cluster) = Cluster::own() else {
        report.tell(
            "latency at a real API server",
            "not measured: this machine has no kube-apiserver or no etcd",
        );
        return Ok(());
    };
    cluster.define_all();
    let labels = json!({"app": "latency"});
    let patched = pod("latency", "pod", &labels, "10.0.0.1", true);
    cluster.api.create_all(&[
        namespace("latency"),
        selecting("latency", "svc", HOST, &labels),
        pod("latency", "stays", &labels, "10.0.0.2", true),
        patched.clone(),
    ]);
    let kubeconfig = cluster.admin();
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let path = kubeconfig.path();
    let arguments = [
        "--kubernetes".as_ref(),
        "--kubeconfig".as_ref(),
        path.as_os_str(),
    ];
    let (meshdns, _) = Meshdns::start_ready(&arguments, 1, folder.path())?;
    let client = Client::of(&meshdns)?;
    let mut times = Vec::new();
    for number in 0..TRIES {
        let is_ready = number % 2 == 1;
        let begin = Instant::now();
        // The server has done it when it answers; what comes after that is ours and its watch's.
        cluster
            .api
            .set_status(&patched, &pod_status("10.0.0.1", is_ready));
        let done = Instant::now();
        while !client.ask(HOST, |reply| reply.has_address(ADDRESS) == is_ready)? {
            ensure!(begin.elapsed() < Duration::from_secs(30), "not served");
        }
        times.push(milliseconds(done.elapsed()));
        meshdns.rest()?;
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(TRIES * percent / 100).min(TRIES - 1)];
    let what = "a Pod patched at a real API server: from the server's answer to the DNS answer, 10 ms of debounce in it";
    report.hold(
        &format!("{what}: median of {TRIES}"),
        at(50),
        milliseconds(GOAL_MEDIAN),
        "ms",
        "",
    );
    report.hold(
        "the same: 99th percentile",
        at(99),
        milliseconds(GOAL_MOST),
        "ms",
        "",
    );
    Ok(())
}
