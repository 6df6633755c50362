//! The same law with everything that decides who is healthy: orders, reports that get old, checks and their targets.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use meshdns::{
    diagnostic::Kind,
    dns::Name,
    health::{
        CheckPolicy, CheckRule, GroupProbes, HeldFor, Out, Overrides, Reach, Ruling, Target,
        TargetId, WhenAllFail,
    },
    manifest::{
        DocumentOutcome, LabelMap, Notes, Object, Order, OrderedState, Probe, ProbeMethod,
        ProbeNote, WorkloadGroup,
    },
    mesh::{FileChange, Reading},
    pipeline::{EndpointPlace, Pipeline, Policy, Report},
    select::{Candidate, Gathering, Source},
};
use proptest::prelude::*;

use super::{at, change, metadata, settings};

/// `at(0)` in seconds since 1970.
const NOW: i64 = 1_790_000_000;

const LINES: [&str; 6] = [
    "{match: WorkloadEntry ns1/*, state: drain}",
    "{match: WorkloadEntry */one, state: auto}",
    "{match: Pod ns2/*, state: down, until: '2026-09-21T14:13:24Z'}",
    "{match: 10.0.0.?, state: up}",
    "{match: ServiceEntry */*/10.0.0.*, state: drain, until: '2026-09-21T14:13:22Z'}",
    "{match: ServiceEntry ns1/one/*, state: up, reason: why not}",
];

fn probe(port: u16) -> Arc<Probe> {
    Arc::new(Probe {
        method: ProbeMethod::Tcp { port },
        initial_delay_seconds: 0,
        timeout_seconds: 1,
        period_seconds: 10,
        success_threshold: 1,
        failure_threshold: 3,
    })
}

fn notes() -> impl Strategy<Value = Option<Box<Notes>>> {
    let order = prop::option::of((
        prop::sample::select(&OrderedState::ALL[..]),
        prop::option::of(NOW..NOW + 8),
    ));
    let probe = prop::sample::select(vec![
        None,
        None,
        Some(ProbeNote::Never),
        Some(ProbeNote::Probe(probe(1))),
        Some(ProbeNote::Probe(probe(2))),
    ]);
    let group = || prop::sample::select(vec![None, Some("one"), Some("two")]);
    let heartbeat = prop::sample::select(vec![None, NonZeroU32::new(1), NonZeroU32::new(4)]);
    let notes = (order, probe, group(), group(), heartbeat).prop_map(
        |(order, probe, workload_group, registration_group, heartbeat_seconds)| {
            Box::new(Notes {
                order: order.map(|(state, until)| Order {
                    state,
                    until,
                    reason: None,
                }),
                probe,
                workload_group: workload_group.map(Into::into),
                registration_group: registration_group.map(Into::into),
                heartbeat_seconds,
            })
        },
    );
    prop::option::of(notes)
}

fn group() -> impl Strategy<Value = Object> {
    let port = prop::option::of(1..4_u16);
    (metadata(), port).prop_map(|(metadata, port)| {
        Object::WorkloadGroup(Box::new(WorkloadGroup {
            metadata,
            labels: LabelMap::default(),
            probe: port.map(probe),
        }))
    })
}

/// A change of which objects are noted on, with a WorkloadGroup in the place of an object now and then.
fn noted_change() -> impl Strategy<Value = FileChange> {
    let said = || {
        let reported = prop::option::of(NOW - 4..NOW + 6);
        let group = prop_oneof![2 => Just(None), 1 => group().prop_map(Some)];
        (notes(), reported, group)
    };
    (change(), prop::collection::vec(said(), 5)).prop_map(|(mut change, said)| {
        let Reading::Read(contents) = &mut change.reading else {
            return change;
        };
        for (document, (notes, reported, group)) in contents.documents.iter_mut().zip(said) {
            let DocumentOutcome::Object(object) = &mut document.outcome else {
                continue;
            };
            match object {
                Object::ServiceEntry(entry) => entry.notes = notes,
                Object::WorkloadEntry(entry) => {
                    entry.notes = notes;
                    entry.reported = reported.filter(|_| entry.healthy.is_some());
                }
                Object::Pod(pod) => pod.notes = notes,
                Object::WorkloadGroup(_) | Object::Node(_) => {}
            }
            if let Some(group) = group {
                *object = group;
            }
        }
        change
    })
}

fn checks() -> impl Strategy<Value = Option<Arc<CheckPolicy>>> {
    let kinds = prop::sample::subsequence(vec![Kind::WorkloadEntry, Kind::ServiceEntry], 1..3);
    let rule = (kinds, prop::option::of(1..4_u16)).prop_map(|(kinds, port)| CheckRule {
        name: "rule".into(),
        namespaces: Box::default(),
        labels: LabelMap::default(),
        kinds: kinds.into(),
        hosts: Box::default(),
        probe: port.map(probe),
    });
    let groups = prop::sample::select(vec![
        GroupProbes::Off,
        GroupProbes::Unreported,
        GroupProbes::All,
    ]);
    let when_all_fail = prop::sample::select(vec![WhenAllFail::All, WhenAllFail::None]);
    let report_max_age = prop::sample::select(vec![None, Some(3)]);
    let policy = (
        prop::option::of(rule),
        groups,
        when_all_fail,
        report_max_age,
    )
        .prop_map(|(rule, workload_groups, when_all_fail, report_max_age)| {
            let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("one"));
            Arc::new(CheckPolicy {
                workload_groups,
                rules: rule.into_iter().collect(),
                when_all_fail,
                report_max_age,
                reach: Reach::new(everywhere.into(), Vec::new()),
            })
        });
    prop_oneof![1 => Just(None), 4 => policy.prop_map(Some)]
}

fn overrides() -> impl Strategy<Value = Arc<Overrides>> {
    let lines = prop::sample::subsequence(&LINES[..], 0..4).prop_shuffle();
    lines.prop_map(|lines| {
        let lines = lines.iter().flat_map(|line| ["- ", line, "\n"]);
        let text: String = lines.collect();
        Arc::new(Overrides::parse("overrides.yaml", &text).expect("lines"))
    })
}

/// What holds of a target whose address and port come to this number.
fn ruling(number: usize) -> Ruling {
    let out = |is_pending, had_place| {
        Ruling::Out(Out {
            is_pending,
            had_place,
            text: "fails".into(),
        })
    };
    match number % 6 {
        0 => Ruling::Passing,
        1 => Ruling::Pending,
        2 => Ruling::Held(HeldFor::Frozen, "held".into()),
        3 => out(true, false),
        4 => out(false, true),
        _ => out(false, false),
    }
}

/// Keeps the targets that are wanted, as who probes does.
fn follow(live: &mut BTreeMap<TargetId, Target>, report: &Report) -> Result<(), TestCaseError> {
    for id in &report.targets.unwanted {
        prop_assert!(live.remove(id).is_some(), "{:?} was wanted", id);
    }
    for wanted in &report.targets.wanted {
        let before = live.insert(wanted.id, wanted.target.clone());
        prop_assert!(before.is_none(), "{:?} is given out twice", wanted.id);
    }
    Ok(())
}

/// Tells what holds of every target, by numbers that `salt` makes other ones.
fn tell(pipeline: &mut Pipeline, live: &BTreeMap<TargetId, Target>, salt: usize) {
    let told = live.iter().map(|(id, target)| {
        let text = format!("{target:?}");
        let number: usize = text.bytes().map(usize::from).sum();
        (*id, ruling(number + salt))
    });
    pipeline.take_in_rulings(told.collect::<Vec<_>>());
}

/// What `explain` tells of a host's endpoints; in no order, as they are selected in none.
fn told_of(pipeline: &Pipeline, host: &Name) -> (Gathering, Vec<String>) {
    let selection = pipeline.select(host).expect("a host");
    let told = selection.candidates.iter().map(|candidate| {
        let Candidate {
            addresses,
            excluded,
            kept,
            note,
            ..
        } = candidate;
        format!("{addresses:?} {excluded:?} {kept} {note:?}")
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    // Labels have numbers that tell when they were met.
    let gathering = Gathering {
        idle: Vec::new(),
        ..selection.gathering
    };
    (gathering, told)
}

/// What `/api/health` tells of endpoints; targets have other numbers in another pipeline.
fn judged(pipeline: &Pipeline) -> Vec<String> {
    let judged = pipeline.judged_endpoints().into_iter();
    let told = judged.map(|judged| {
        let (name, place, why) = (judged.endpoint.name(), judged.place, judged.why);
        format!("{name} {:?} {place:?} {why:?}", judged.hosts)
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

/// Whether endpoints that have an address answer, by their names, for each host that looked at them.
fn answers(pipeline: &Pipeline) -> BTreeMap<String, Vec<bool>> {
    let mut answers = BTreeMap::<_, Vec<_>>::new();
    for host in pipeline.mesh().hosts() {
        let selection = pipeline.select(host).expect("a host");
        for candidate in &selection.candidates {
            let Some(address) = candidate.addresses.first() else {
                continue;
            };
            let service = &selection.chosen[candidate.service].key;
            let name = match &candidate.source {
                Source::Workload(workload) => workload.key.to_string(),
                Source::Inline(_) | Source::Addresses => format!("{service}/{address}"),
            };
            let is_in = candidate.excluded.is_none() || candidate.kept;
            answers.entry(name).or_default().push(is_in);
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_rebuild_whoever_is_judged_how(
        steps in prop::collection::vec(
            (prop::collection::vec(noted_change(), 0..3), checks(), overrides(), 0..6_usize, 0..3_u64),
            1..8,
        ),
    ) {
        let policy = |checks: &Option<Arc<CheckPolicy>>| Policy {
            settings: settings(&[], &[]),
            checks: checks.clone(),
            ..Policy::default()
        };
        let mut checks_now = None;
        let mut incremental = Pipeline::new(policy(&checks_now));
        let (mut files, mut live) = (BTreeMap::new(), BTreeMap::new());
        let (mut now, mut last) = (0, (Arc::default(), 0));
        for (batch, checks, overrides, salt, passed) in steps {
            now += passed;
            for change in &batch {
                files.insert(change.file.clone(), change.clone());
            }
            // Each may come before or after the others.
            if salt % 2 == 0 && checks != checks_now {
                let report = incremental.set_policy(policy(&checks), at(now));
                checks_now = checks;
                follow(&mut live, &report)?;
            }
            incremental.set_overrides(overrides.clone());
            let report = incremental.apply(batch, at(now));
            follow(&mut live, &report)?;
            tell(&mut incremental, &live, salt);
            let report = incremental.compile(at(now));
            follow(&mut live, &report)?;
            last = (overrides, salt);
        }
        let (overrides, salt) = last;
        let mut rebuilt = Pipeline::new(policy(&checks_now));
        rebuilt.set_overrides(overrides);
        let mut live_then = BTreeMap::new();
        let report = rebuilt.apply(files.into_values(), at(now));
        follow(&mut live_then, &report)?;
        tell(&mut rebuilt, &live_then, salt);
        let report = rebuilt.compile(at(now));
        prop_assert!(report.targets.is_empty());
        let targets = |live: &BTreeMap<TargetId, Target>| {
            let mut targets: Vec<Target> = live.values().cloned().collect();
            targets.sort();
            targets
        };
        prop_assert_eq!(targets(&live), targets(&live_then));
        for host in rebuilt.mesh().hosts() {
            prop_assert_eq!(told_of(&incremental, host), told_of(&rebuilt, host), "{}", host);
        }
        prop_assert_eq!(&**incremental.snapshot(), &**rebuilt.snapshot());
        prop_assert_eq!(incremental.mesh().endpoint_counts(), rebuilt.mesh().endpoint_counts());
        prop_assert_eq!(incremental.diagnostics(), rebuilt.diagnostics());
        prop_assert_eq!(incremental.last_ones_count(), rebuilt.last_ones_count());
        prop_assert_eq!(judged(&incremental), judged(&rebuilt));
        let answers = answers(&incremental);
        for judged in incremental.judged_endpoints() {
            let name = judged.endpoint.name();
            let of_hosts = answers.get(&name).cloned().unwrap_or_default();
            match judged.place {
                EndpointPlace::Out => prop_assert!(!of_hosts.contains(&true), "{} is out", name),
                EndpointPlace::Kept => prop_assert!(of_hosts.contains(&true) || of_hosts.is_empty(), "{} is kept", name),
                EndpointPlace::In => prop_assert!(!of_hosts.contains(&false), "{} is in", name),
            }
        }
        let orders = |pipeline: &Pipeline| {
            let mut orders: Vec<String> = pipeline.orders().map(|order| format!("{order:?}")).collect();
            orders.sort();
            orders
        };
        prop_assert_eq!(orders(&incremental), orders(&rebuilt));
    }
}
