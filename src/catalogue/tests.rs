use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy},
    select::{self, Viewer},
};

fn host(number: u16) -> Name {
    Name::from_text(&format!("h{number}.test")).expect("valid")
}

/// More than one page has.
const HOSTS: u16 = 300;

/// ServiceEntries with all hosts.
static MESH: LazyLock<Pipeline> = LazyLock::new(|| {
    let hosts: Vec<String> = (0..HOSTS).map(|number| host(number).to_host()).collect();
    let documents = hosts.chunks(150).enumerate().map(|(number, hosts)| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{number}}}\nspec: {{hosts: [{}], resolution: STATIC}}\n---\n",
            hosts.join(", ")
        )
    });
    let text: String = documents.collect();
    let file = Arc::<str>::from("a.yaml");
    let reading = Reading::Read(manifest::parse(&file, &text));
    let mut pipeline = Pipeline::new(Policy::default());
    pipeline.apply([FileChange { file, reading }], SystemTime::UNIX_EPOCH);
    pipeline
});

/// The facts of `host`, with so many Pods.
fn facts(host: &Name, pods: u32) -> HostFacts {
    let choice = select::choose(MESH.mesh(), host, Viewer::All).expect("it is there");
    let counts = HostCounts {
        pods: InOut {
            in_count: pods,
            out_count: 0,
        },
        ..HostCounts::default()
    };
    HostFacts::new(MESH.authority(), host, &choice, Arc::new(counts))
}

fn at(generation: u64) -> Published {
    Published {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(generation),
        generation,
    }
}

proptest! {
    /// Whatever came and went in whatever portions, the rows are those of a map.
    #[test]
    fn rows_are_as_a_map_has_them(
        changes in prop::collection::vec(
            prop::collection::btree_map(any::<u8>(), prop::option::of(0_u32..3), 0..200),
            0..8,
        ),
        behind in any::<u8>(),
    ) {
        let mut catalogue = Catalogue::default();
        let mut model = BTreeMap::new();
        for (change, generation) in changes.into_iter().zip(1..) {
            let mut updates: Vec<_> = change
                .into_iter()
                .map(|(number, pods)| {
                    let host = host(number.into());
                    HostUpdate {
                        facts: pods.map(|pods| facts(&host, pods)),
                        host,
                        answers_otherwise: false,
                    }
                })
                .collect();
            updates.sort_by(|one, other| one.host.cmp(&other.host));
            for update in &updates {
                let Some(facts) = &update.facts else {
                    model.remove(&update.host);
                    continue;
                };
                let pods = facts.counts.pods.in_count;
                let known = model.get(&update.host).copied();
                let since = known.filter(|(known, _)| *known == pods);
                let since = since.map_or(generation, |(_, since)| since);
                model.insert(update.host.clone(), (pods, since));
            }
            catalogue.update(updates, at(generation));
        }
        let rows = catalogue.rows().map(|row| {
            (row.host().clone(), (row.counts().pods.in_count, row.generation()))
        });
        let rows: Vec<_> = rows.collect();
        let expected: Vec<_> = model.clone().into_iter().collect();
        prop_assert_eq!(&rows, &expected);
        prop_assert_eq!(catalogue.len(), expected.len());
        let behind = host(behind.into());
        prop_assert_eq!(catalogue.row(&behind).is_some(), model.contains_key(&behind));
        let found: Vec<_> = catalogue.rows_behind(&behind).map(HostRow::host).cloned().collect();
        let expected: Vec<_> = model.keys().filter(|host| **host > behind).cloned().collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_change_copies_the_pages_that_it_touches() {
    let mut catalogue = Catalogue::default();
    let all = |pods| {
        let mut hosts: Vec<Name> = (0..HOSTS).map(host).collect();
        hosts.sort();
        hosts.into_iter().map(move |host| HostUpdate {
            facts: Some(facts(&host, pods)),
            host,
            answers_otherwise: false,
        })
    };
    catalogue.update(all(1).collect(), at(1));
    let before = catalogue.clone();
    catalogue.update(all(2).take(1).collect(), at(2));
    assert_eq!((before.version(), catalogue.version()), (1, 2));
    assert!(before.rows().all(|row| row.generation() == 1));
    let changed = catalogue.rows().filter(|row| row.generation() == 2);
    assert_eq!(changed.count(), 1);
    let pages = before.pages.iter().zip(&*catalogue.pages);
    let copied = pages.filter(|(before, after)| !Arc::ptr_eq(before, after));
    assert_eq!((before.pages.len(), catalogue.pages.len()), (3, 3));
    assert_eq!(copied.count(), 1);
}

#[test]
fn a_state_tells_who_answers() {
    let check = |pods: (u32, u32), vms: (u32, u32), inline: (u32, u32), names: (u32, u32)| {
        let in_out = |(in_count, out_count)| InOut {
            in_count,
            out_count,
        };
        let counts = HostCounts {
            pods: in_out(pods),
            vms: in_out(vms),
            inline: in_out(inline),
            names: in_out(names),
        };
        counts.state().as_str()
    };
    let none = (0, 0);
    assert_eq!(check(none, none, none, none), "none");
    assert_eq!(check((0, 2), (0, 1), none, none), "empty");
    assert_eq!(check(none, none, none, (0, 1)), "empty");
    assert_eq!(check((0, 2), (1, 0), none, none), "vm");
    assert_eq!(check(none, none, (1, 0), none), "vm");
    assert_eq!(check((1, 0), (0, 1), none, none), "pod");
    assert_eq!(check((1, 0), (1, 0), none, none), "mixed");
    assert_eq!(check((1, 0), none, (1, 0), none), "mixed");
    assert_eq!(check(none, none, none, (1, 0)), "names");
}

#[test]
fn pods_that_come_back_are_not_the_first() {
    let first_pod = |pods: &[u32]| {
        let mut catalogue = Catalogue::default();
        for (generation, pods) in (1..).zip(pods) {
            let update = HostUpdate {
                facts: Some(facts(&host(0), *pods)),
                host: host(0),
                answers_otherwise: true,
            };
            catalogue.update(vec![update], at(generation));
        }
        let row = catalogue.row(&host(0)).expect("it is there");
        let first = row.moves().first_pod?;
        first.duration_since(SystemTime::UNIX_EPOCH).ok()
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(first_pod(&[0, 0, 1]), seconds(3));
    assert_eq!(first_pod(&[0, 1, 0, 2]), seconds(2));
    assert_eq!(first_pod(&[1]), None);
    assert_eq!(first_pod(&[1, 0, 1, 0, 2]), None, "one was in before");
}
