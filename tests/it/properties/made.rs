//! What is made when it is asked for: the names of endpoints and services below hosts, and what is said at them.

use std::net::IpAddr;

use meshdns::{
    answer::{Outcome, Query, answer},
    authority::{Standing, Verdict},
    dns::{Name, RecordType},
    explain::explain,
    pipeline::Pipeline,
    zone::{DashedLabel, Found, RRsets},
};
use proptest::prelude::*;

const TYPES: [RecordType; 8] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::SRV,
    RecordType::TXT,
    RecordType::HTTPS,
    RecordType::PTR,
    RecordType(15),
    RecordType::ANY,
];

/// What an answer section holds, in text.
fn asked(pipeline: &Pipeline, name: &Name, record_type: RecordType) -> Vec<String> {
    let answers = explain(pipeline, name, record_type, None).answer;
    answers.into_iter().map(|record| record.data).collect()
}

fn below(label: &str, host: &Name) -> Name {
    format!("{label}.{host}").parse().expect("a short name")
}

pub(super) fn label_of(address: IpAddr) -> String {
    let label = DashedLabel::of(address);
    String::from_utf8(label.as_wire()[1..].to_vec()).expect("digits and dashes")
}

fn is_address(label: &[u8]) -> bool {
    label[0].is_ascii_digit()
}

/// Every target of a service below its host has an address, each address of the host has its name, and who answers for the
/// names that are made is decided as for all others.
pub(super) fn check(pipeline: &Pipeline) -> Result<(), TestCaseError> {
    let snapshot = pipeline.snapshot();
    for host in pipeline.mesh().hosts() {
        let found = snapshot.find(host.as_wire());
        let answers = pipeline.authority().standing(host) == Standing::Answers;
        let records = match found {
            Found::Name(owner) if answers && !host.is_wildcard() => owner.records,
            _ => None,
        };
        let addresses: Vec<IpAddr> = records.into_iter().flat_map(RRsets::addresses).collect();
        let mut names = vec![below("10-9-9-9", host), below("_sctp", host)];
        for address in &addresses {
            let name = below(&label_of(*address), host);
            let record_type = if address.is_ipv4() {
                RecordType::A
            } else {
                RecordType::AAAA
            };
            let told = asked(pipeline, &name, record_type);
            prop_assert_eq!(told, vec![address.to_string()], "{}", name);
            names.push(name);
            names.push(check_pointer(pipeline, *address)?);
        }
        for service in ["_http._tcp", "_tls._tcp", "_dns._udp", "_nope._tcp"] {
            let name = below(service, host);
            let mut targets = Vec::new();
            let mut heaviest = 0;
            for told in asked(pipeline, &name, RecordType::SRV) {
                let fields: Vec<&str> = told.split(' ').collect();
                let weight: u16 = fields[1].parse().expect("a weight");
                prop_assert!(weight > 0, "{}: {}", name, told);
                heaviest = heaviest.max(weight);
                prop_assert!(!targets.contains(&told), "{} says twice {}", name, told);
                let target: Name = fields[3].parse().expect("a name");
                // Others are endpoints that are names.
                if target.parent().as_ref() == Some(host)
                    && target.labels().next().is_some_and(is_address)
                {
                    let has = |record_type| !asked(pipeline, &target, record_type).is_empty();
                    prop_assert!(
                        has(RecordType::A) || has(RecordType::AAAA),
                        "{} leads to {}, which has no address",
                        name,
                        target
                    );
                }
                targets.push(told);
            }
            prop_assert!(
                targets.is_empty() || heaviest == 65_280,
                "{}: {:?}",
                name,
                targets
            );
            names.extend(name.parent());
            names.push(name);
        }
        names.extend([below("_grpc_config", host), below("_443._https", host)]);
        names.push(host.clone());
        for name in names {
            check_verdict(pipeline, &name)?;
        }
    }
    Ok(())
}

/// An address leads to one name, which leads back, where its own name is in a declared zone. Returns that one.
fn check_pointer(pipeline: &Pipeline, address: IpAddr) -> Result<Name, TestCaseError> {
    let name: Name = match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let digits = format!("{:032x}", address.to_bits());
            let mut reversed: Vec<String> = digits.chars().rev().map(String::from).collect();
            reversed.push("ip6.arpa".to_owned());
            reversed.join(".")
        }
    }
    .parse()
    .expect("a name");
    let mut zones = pipeline.snapshot().settings().zones.iter();
    let is_declared = zones.any(|zone| name.is_at_or_below(zone));
    let told = asked(pipeline, &name, RecordType::PTR);
    prop_assert_eq!(told.len(), usize::from(is_declared), "{}: {:?}", name, told);
    for target in told {
        let target: Name = target.parse().expect("a name");
        let record_type = if address.is_ipv4() {
            RecordType::A
        } else {
            RecordType::AAAA
        };
        let back = asked(pipeline, &target, record_type);
        prop_assert!(
            back.contains(&address.to_string()),
            "{} leads to {}",
            name,
            target
        );
    }
    Ok(name)
}

fn check_verdict(pipeline: &Pipeline, name: &Name) -> Result<(), TestCaseError> {
    let snapshot = pipeline.snapshot();
    let found = snapshot.find(name.as_wire());
    for record_type in TYPES {
        let verdict = snapshot.verdict(name.as_wire(), record_type, &found);
        let answer = answer(snapshot, &Query::of(name, record_type));
        let context = || format!("{name} {record_type}: {found:?}, {verdict:?}, {answer:?}");
        prop_assert_eq!(
            answer.others.is_some(),
            verdict == Verdict::Others,
            "{}",
            context()
        );
        let has_records = matches!(
            answer.outcome,
            Outcome::Addresses(_)
                | Outcome::Services(_)
                | Outcome::Pointer(_)
                | Outcome::Encoded { .. }
        );
        prop_assert!(!has_records || verdict == Verdict::Ours, "{}", context());
        let is_made = matches!(found, Found::Made { .. });
        let is_denied = matches!(answer.outcome, Outcome::NoName(_));
        prop_assert!(!(is_made && is_denied), "{}", context());
        if let (true, Some(others)) = (is_made, answer.others) {
            prop_assert!(others.name_exists, "{}", context());
        }
    }
    Ok(())
}
