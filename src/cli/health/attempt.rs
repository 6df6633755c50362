//! Every check once, from here: whether a firewall lets it through is known before a server depends on it.

use std::{collections::HashMap, sync::Arc};

use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    health::{Described, Failure, Observation, Settings, Target},
    probe::Observer,
};

/// How many probes are under way at a time: a shell's descriptors are few.
const AT_A_TIME: usize = 256;

/// Probes each of `targets` once.
pub(super) fn try_all(
    runtime: &Runtime,
    settings: &Settings,
    targets: Vec<Target>,
) -> HashMap<Target, Observation> {
    let observer = Arc::new(Observer::new(
        settings.policy.reach.clone(),
        settings.source,
    ));
    let at_a_time = settings.max_in_flight.min(AT_A_TIME);
    runtime.block_on(async {
        let mut results = HashMap::new();
        let mut under_way = JoinSet::new();
        for target in targets {
            if under_way.len() >= at_a_time
                && let Some(ended) = under_way.join_next().await
            {
                note(&mut results, ended);
            }
            let observer = observer.clone();
            under_way.spawn(async move {
                let observation = observer.observe(&target).await;
                (target, observation)
            });
        }
        while let Some(ended) = under_way.join_next().await {
            note(&mut results, ended);
        }
        results
    })
}

fn note(
    results: &mut HashMap<Target, Observation>,
    ended: Result<(Target, Observation), tokio::task::JoinError>,
) {
    let (target, observation) =
        ended.unwrap_or_else(|bug| std::panic::resume_unwind(bug.into_panic()));
    results.insert(target, observation);
}

/// What came of it: a word, and a sentence.
pub(super) fn described(target: &Target, observation: Observation) -> (&'static str, String) {
    let what = Described(&target.probe);
    match observation {
        Observation::Pass(pass) => {
            let took = pass.latency.as_millis();
            let status = match pass.status {
                0 => String::new(),
                status => format!(" {status}"),
            };
            (
                "passing",
                format!("check passes: {what}{status} in {took} ms"),
            )
        }
        Observation::Fail(Failure::Timeout) => {
            let limit = target.probe.timeout_seconds;
            (
                "failing",
                format!("check fails: {what} timeout after {limit} s"),
            )
        }
        Observation::Fail(failure) => ("failing", format!("check fails: {what} {failure}")),
        Observation::Nothing(nothing) => ("pending", format!("nothing is known: {nothing}")),
    }
}
