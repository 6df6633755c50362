//! Many checks that have other results at once.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use meshdns::{
    control::{self, Control, HealthOptions, Options},
    diagnostic::Kind,
    health::{CheckPolicy, CheckRule, Out, Reach, Ruling, Target, TargetId},
    manifest::{LabelMap, Probe},
    pipeline::Policy,
    source::{FollowLinks, Wish},
};
use tempfile::TempDir;
use tokio::runtime;

use crate::fleet::PATIENCE;

const HOSTS: u32 = 500;

const VMS_A_HOST: u32 = 100;

const VMS: usize = 50_000;

/// Between two publishes at least.
const PACE_MS: u128 = 50;

/// Hosts with VMs of their own, 50 hosts in a file.
fn write_mesh(folder: &Path) {
    for file in 0..HOSTS / 50 {
        let mut text = String::new();
        for host in file * 50..(file + 1) * 50 {
            let _ = write!(
                text,
                "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{host}, namespace: shop}}
spec:
  hosts: [s{host}.mesh.example]
  resolution: STATIC
  workloadSelector: {{labels: {{app: s{host}}}}}
"
            );
            for vm in 0..VMS_A_HOST {
                let ip = std::net::Ipv4Addr::from(0x0a00_0000 + host * VMS_A_HOST + vm);
                let _ = write!(
                    text,
                    "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: s{host}-vm{vm}, namespace: shop, labels: {{app: s{host}}}}}
spec: {{address: {ip}}}
"
                );
            }
        }
        fs::write(folder.join(format!("{file}.yaml")), text).expect("a writable folder");
    }
}

/// The loop over the mesh, which is loaded, and what it wants to be probed.
struct Rig {
    control: Control,
    targets: HashMap<Target, TargetId>,
}

impl Rig {
    fn start(folder: &Path) -> Self {
        let probe = Probe::from_text("tcpSocket: {port: 80}").expect("a stanza");
        let rule = CheckRule {
            name: "all".into(),
            namespaces: Box::default(),
            labels: LabelMap::default(),
            kinds: [Kind::WorkloadEntry].into(),
            hosts: Box::default(),
            probe: Some(Arc::new(probe)),
        };
        let networks = vec!["10.0.0.0/8".parse().expect("a network")];
        let checks = CheckPolicy {
            rules: vec![rule],
            reach: Reach::new(networks, Vec::new()),
            ..CheckPolicy::default()
        };
        let options = Options {
            shown: None,
            folders: vec![folder.to_owned()],
            follow_links: FollowLinks::default(),
            policy: Policy {
                checks: Some(Arc::new(checks)),
                ..Policy::default()
            },
            wish: Wish::Events,
            start_patience: PATIENCE,
            state_dir: None,
            health: HealthOptions {
                start_within: Duration::ZERO,
                ..HealthOptions::default()
            },
        };
        let control = control::start(options, Vec::new(), Box::new(|_| {})).expect("a thread");
        let runtime = runtime::Builder::new_current_thread().build();
        let wanted = runtime
            .expect("a runtime")
            .block_on(control.health().changes());
        let targets = wanted.wanted.into_iter();
        Self {
            targets: targets.map(|wanted| (wanted.target, wanted.id)).collect(),
            control,
        }
    }

    fn generation(&self) -> u64 {
        self.control.snapshots().load().generation()
    }

    fn tell<'t>(&self, told: impl IntoIterator<Item = (&'t Target, Ruling)>) {
        let told = told.into_iter();
        let told = told.map(|(target, ruling)| (self.targets[target], ruling));
        self.control.health().tell(told);
    }
}

/// Waits until something is so.
fn wait(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < 2 * PATIENCE, "waited too long for {what}");
        thread::yield_now();
    }
}

fn ruling(fails: bool) -> Ruling {
    if !fails {
        return Ruling::Passing;
    }
    Ruling::Out(Out {
        is_pending: false,
        had_place: true,
        text: "check fails".into(),
    })
}

#[test]
fn fifty_thousand_flips_are_twenty_publishes_a_second_and_lead_where_a_fresh_start_does() {
    let folder = TempDir::new().expect("a folder");
    write_mesh(folder.path());
    let rig = Rig::start(folder.path());
    let mut targets: Vec<Target> = rig.targets.keys().cloned().collect();
    targets.sort();
    assert_eq!(targets.len(), VMS);
    // Two of three fail, and at some hosts all of them.
    let fails = |place: usize| !place.is_multiple_of(3) || place % 700 < 100;
    let (begun, before) = (Instant::now(), rig.generation());
    let mut flips = 0;
    // For a second at least, and as fast as this machine can.
    while flips < 2 * VMS || begun.elapsed() < Duration::from_secs(1) {
        let is_second = (flips / VMS) % 2 == 1;
        for (place, target) in targets.iter().enumerate() {
            rig.tell([(target, ruling(fails(place) == is_second))]);
        }
        flips += VMS;
    }
    // The last round says what holds.
    let last = || targets.iter().enumerate();
    rig.tell(last().map(|(place, target)| (target, ruling(fails(place)))));
    let fresh = Rig::start(folder.path());
    let first = fresh.generation();
    fresh.tell(last().map(|(place, target)| (target, ruling(fails(place)))));
    wait("a fresh start", || fresh.generation() > first);
    wait("the same answers", || {
        **rig.control.snapshots().load() == **fresh.control.snapshots().load()
    });
    let (publishes, elapsed) = (rig.generation() - before, begun.elapsed());
    assert!(
        u128::from(publishes) <= elapsed.as_millis() / PACE_MS + 1,
        "{publishes} publishes in {elapsed:?}"
    );
}
