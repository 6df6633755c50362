//! What objects ask of answers, and what endpoints say of themselves.

use std::num::{NonZeroU16, NonZeroU32};

use meshdns::manifest::{
    AnswerMode, Attributes, MaxAddresses, NotedWeight, Percent, ServicePort, ShareBy, Shares,
    TrafficDistribution, TrafficNotes, Transport,
};
use proptest::prelude::*;

fn weight() -> impl Strategy<Value = NonZeroU32> {
    prop::sample::select(vec![1, 1, 1, 2, 5, 80])
        .prop_map(|weight| NonZeroU32::new(weight).expect("none of the weights is 0"))
}

pub(super) fn noted_weight() -> impl Strategy<Value = NotedWeight> {
    prop_oneof![
        Just(NotedWeight::Unset),
        weight().prop_map(NotedWeight::Weight)
    ]
}

pub(super) fn attributes() -> impl Strategy<Value = Attributes> {
    let ports = prop::sample::subsequence(vec![("admin", 9_000), ("http", 8_080)], 0..=2);
    (weight(), ports).prop_map(|(weight, ports)| {
        let ports = ports.into_iter();
        Attributes {
            weight,
            ports: ports.map(|(name, port)| (name.into(), port)).collect(),
        }
    })
}

pub(super) fn ports() -> impl Strategy<Value = Vec<ServicePort>> {
    let port = |name: &str, number, transport, is_https| ServicePort {
        name: name.into(),
        number,
        target: (number == 80).then_some(8_000),
        transport,
        is_https,
    };
    let all = vec![
        port("http", 80, Transport::Tcp, false),
        port("tls", 443, Transport::Tcp, true),
        port("dns", 53, Transport::Udp, false),
    ];
    prop::sample::subsequence(all, 0..=3)
}

/// Shares of Pods and VMs, or of the values of a label.
fn shares() -> impl Strategy<Value = Shares> {
    let by_kind = (0..=10_000_u16, 0..3).prop_map(|(pod, named)| {
        let all = [("pod", pod), ("vm", 10_000 - pod)];
        let named = match named {
            0 => &all[..1],
            1 => &all[1..],
            _ => &all[..],
        };
        (ShareBy::Kind, named.to_vec())
    });
    let by_label = (0..=5_000_u16, 0..=5_000_u16).prop_map(|(bar, other)| {
        let named = vec![("bar", bar), ("other", other)];
        (ShareBy::Label("class".into()), named)
    });
    prop_oneof![by_kind, by_label].prop_map(|(by, named)| {
        let named = named.into_iter();
        let wanted = named.map(|(group, hundredths)| {
            let percent = Percent::from_hundredths(hundredths).expect("not over the whole");
            (group.into(), percent)
        });
        Shares {
            by,
            wanted: wanted.collect(),
        }
    })
}

pub(super) fn traffic() -> impl Strategy<Value = Option<Box<TrafficNotes>>> {
    let answer = prop::sample::select(vec![
        None,
        None,
        Some(AnswerMode::Side),
        Some(AnswerMode::Mix),
        Some(AnswerMode::All),
    ]);
    let max_addresses = prop::sample::select(vec![
        None,
        Some(MaxAddresses::Fitting),
        NonZeroU16::new(2).map(MaxAddresses::Number),
        Some(MaxAddresses::All),
    ]);
    let distribution = prop::sample::select(vec![
        None,
        Some(TrafficDistribution::Any),
        Some(TrafficDistribution::SameZone),
        Some(TrafficDistribution::SameNode),
    ]);
    let texts = prop::sample::subsequence(vec!["one", "two"], 0..=2);
    let protocols = prop::sample::subsequence(vec!["h2", "h3"], 0..=2);
    let traffic = (
        prop::option::of(shares()),
        answer,
        max_addresses,
        distribution,
        texts,
        protocols,
        any::<bool>(),
    );
    let traffic = traffic.prop_map(
        |(shares, answer, max_addresses, distribution, texts, protocols, takes_pointers)| {
            Box::new(TrafficNotes {
                shares,
                answer,
                max_addresses,
                https: protocols.into_iter().map(Box::from).collect(),
                texts: texts.into_iter().map(Box::from).collect(),
                grpc_config: takes_pointers.then(|| "[]".into()),
                takes_pointers,
                distribution,
                unreadable: Box::default(),
            })
        },
    );
    prop::option::of(traffic)
}
