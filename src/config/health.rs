use std::{fmt, marker::PhantomData, net::SocketAddr, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    value::{
        AllFail, Canary, CheckName, CheckedKind, Folder, HostName, Limit, Namespace, Period,
        ProbeNetwork, ProbeSource, ReportAge, Share, Switch, Wait, WorkloadGroups, check_label,
    },
    yaml::{Listed, OneOrMore, Scalar},
};
use crate::{
    diagnostic::Kind,
    health::{CheckPolicy, CheckRule, MassFailure, Reach, Settings},
    manifest::{LabelMap, Probe, ProbeMethod},
};

/// More checks are better told apart by annotations.
const MOST_CHECKS: usize = 1024;

/// A few at different ends of the network tell as much as many.
const MOST_CANARIES: usize = 16;

/// How endpoints are checked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct HealthKeys {
    pub workload_groups: Option<WorkloadGroups>,
    pub checks: Option<Listed<CheckKeys, MOST_CHECKS>>,
    pub when_all_fail: Option<AllFail>,
    pub mass_failure: Option<MassFailureKeys>,
    pub canaries: Option<OneOrMore<Canary, MOST_CANARIES>>,
    pub networks: Option<OneOrMore<ProbeNetwork>>,
    pub source: Option<ProbeSource>,
    pub start_within: Option<Wait>,
    pub max_per_second: Option<Limit>,
    pub max_in_flight: Option<Limit>,
    pub flap_damping: Option<Switch>,
    pub state_file: Option<Folder>,
    pub overrides: Option<Folder>,
    pub drain_margin: Option<Period>,
    pub report_max_age: Option<ReportAge>,
    pub per_endpoint_metrics: Option<Switch>,
    pub api: Option<Switch>,
}

/// A check, and whom it is for.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct CheckKeys {
    pub name: CheckName,
    #[serde(default, rename = "match")]
    pub matches: MatchKeys,
    pub probe: ProbeKeys,
}

/// Whom a check is for; all of it has to fit.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct MatchKeys {
    pub namespaces: Option<OneOrMore<Namespace>>,
    #[serde(default)]
    pub labels: MatchLabels,
    pub kinds: Option<OneOrMore<CheckedKind>>,
    pub hosts: Option<OneOrMore<HostName>>,
}

/// Labels, as keys with their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchLabels(pub LabelMap);

/// A stanza, or `none`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeKeys(pub Option<Arc<Probe>>);

/// When many failures are not believed; `None` for `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MassFailureKeys(pub Option<MassFailure>);

impl<'de> Deserialize<'de> for MatchLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = MatchLabels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels as a mapping, as in {app: orders}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut labels: A) -> Result<MatchLabels, A::Error> {
        let mut texts: Vec<(String, String)> = Vec::new();
        while let Some((key, value)) = labels.next_entry::<String, String>()? {
            check_label(&key, &value).map_err(|error| {
                de::Error::custom(format_args!("invalid label `{key}: {value}`: {error}"))
            })?;
            texts.push((key, value));
        }
        let texts = texts
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Ok(MatchLabels(texts.collect()))
    }
}

impl<'de> Deserialize<'de> for ProbeKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProbeVisitor)
    }
}

struct ProbeVisitor;

impl<'de> Visitor<'de> for ProbeVisitor {
    type Value = ProbeKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probe, as in {tcpSocket: {port: 5432}}, or none")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProbeKeys, E> {
        match text {
            "none" => Ok(ProbeKeys(None)),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    /// The stanza is read by who reads those of manifests.
    fn visit_map<A: MapAccess<'de>>(self, stanza: A) -> Result<ProbeKeys, A::Error> {
        let stanza = serde_yaml::Mapping::deserialize(MapAccessDeserializer::new(stanza))?;
        let text = serde_json::to_string(&stanza).map_err(de::Error::custom)?;
        let probe = Probe::from_text(&text).map_err(|problems| {
            // Here they are keys, and none is ignored.
            let problems = problems.join("; ").replace("unknown field", "unknown key");
            de::Error::custom(problems.replace(": it is ignored", ""))
        })?;
        if probe.method == ProbeMethod::Exec {
            let message = "`exec` runs on the machine itself, and can't be run from here: use `httpGet`, `tcpSocket` or `grpc`";
            return Err(de::Error::custom(message));
        }
        Ok(ProbeKeys(Some(Arc::new(probe))))
    }
}

impl<'de> Deserialize<'de> for MassFailureKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MassFailureVisitor)
    }
}

struct MassFailureVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MassFailureFields {
    share: Option<Share>,
    at_least: Option<Limit>,
    hold_for: Option<Wait>,
}

impl<'de> Visitor<'de> for MassFailureVisitor {
    type Value = MassFailureKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("off, or a mapping as in {share: 50%, atLeast: 5, holdFor: 5m}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MassFailureKeys, E> {
        match Scalar::<Switch>(PhantomData).visit_str(text) {
            Ok(Switch(false)) => Ok(MassFailureKeys(None)),
            Ok(Switch(true)) => Ok(MassFailureKeys(Some(MassFailure::default()))),
            Err::<_, E>(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<MassFailureKeys, E> {
        Ok(MassFailureKeys(is_on.then(MassFailure::default)))
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<MassFailureKeys, A::Error> {
        let keys = MassFailureFields::deserialize(MapAccessDeserializer::new(keys))?;
        let defaults = MassFailure::default();
        Ok(MassFailureKeys(Some(MassFailure {
            share_percent: keys
                .share
                .map_or(defaults.share_percent, |share| share.percent),
            at_least: keys.at_least.map_or(defaults.at_least, to_u32),
            hold_for_seconds: keys
                .hold_for
                .map_or(defaults.hold_for_seconds, |Wait(time)| {
                    // As much of a second as there is counts as one.
                    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
                }),
        })))
    }
}

/// Reads what was said of checks by a server that listens at `own`; the keys that are missing have their defaults.
pub(super) fn resolve(keys: HealthKeys, own: Vec<SocketAddr>) -> Settings {
    let defaults = Settings::default();
    let rules = keys.checks.map(|checks| checks.0).unwrap_or_default();
    let networks = super::first_said(Vec::new(), keys.networks);
    let networks = networks.map_or(defaults.networks, |networks| {
        let networks = networks.into_iter();
        networks.map(|ProbeNetwork(network)| network).collect()
    });
    let canaries = keys.canaries.map(|list| list.0).unwrap_or_default();
    Settings {
        policy: CheckPolicy {
            workload_groups: keys
                .workload_groups
                .map(|groups| groups.0)
                .unwrap_or_default(),
            rules: rules.into_iter().map(rule).collect(),
            when_all_fail: keys.when_all_fail.map(|when| when.0).unwrap_or_default(),
            reach: Reach::new(networks.clone(), own),
            report_max_age: keys.report_max_age.and_then(|age| age.seconds),
        },
        mass_failure: keys
            .mass_failure
            .map_or(defaults.mass_failure, |mass| mass.0),
        canaries: canaries
            .into_iter()
            .map(|Canary(address)| address)
            .collect(),
        networks,
        source: keys.source.map(|source| source.0),
        start_within: keys
            .start_within
            .map_or(defaults.start_within, |wait| wait.0),
        max_per_second: keys.max_per_second.map_or(defaults.max_per_second, to_u32),
        max_in_flight: keys
            .max_in_flight
            .map_or(defaults.max_in_flight, |limit| limit.0),
        has_flap_damping: keys
            .flap_damping
            .map_or(defaults.has_flap_damping, |on| on.0),
        state_file: keys.state_file.map(|path| path.0),
        overrides: keys.overrides.map(|path| path.0),
        drain_margin: keys
            .drain_margin
            .map_or(defaults.drain_margin, |period| period.0),
        has_endpoint_metrics: keys.per_endpoint_metrics.is_some_and(|on| on.0),
        has_api: keys.api.is_some_and(|on| on.0),
    }
}

fn rule(keys: CheckKeys) -> CheckRule {
    let matches = keys.matches;
    let hosts = matches.hosts.map(|hosts| hosts.0).unwrap_or_default();
    // WorkloadEntries have no hosts.
    let kinds: &[Kind] = if hosts.is_empty() {
        &[Kind::WorkloadEntry, Kind::ServiceEntry]
    } else {
        &[Kind::ServiceEntry]
    };
    let said = super::first_said(Vec::new(), matches.kinds);
    let said = said.map(|said| said.into_iter().map(|CheckedKind(kind)| kind).collect());
    let namespaces = matches.namespaces.map(|list| list.0).unwrap_or_default();
    CheckRule {
        name: keys.name.0,
        namespaces: namespaces.into_iter().map(|Namespace(name)| name).collect(),
        labels: matches.labels.0,
        kinds: said.unwrap_or_else(|| kinds.into()),
        hosts: hosts.into_iter().map(|HostName(name)| name).collect(),
        probe: keys.probe.0,
    }
}

fn to_u32(limit: Limit) -> u32 {
    u32::try_from(limit.0).expect("a limit is from one to a million")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        config::File,
        health::{GroupProbes, WhenAllFail},
    };

    #[track_caller]
    fn read(text: &str) -> Settings {
        let file = File::parse("meshdns.yaml".into(), text).expect("a valid file");
        resolve(file.health.expect("a section"), Vec::new())
    }

    /// Checks what a section is refused for.
    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = File::parse("meshdns.yaml".into(), text).expect_err("an error");
        assert_eq!(error.to_string(), format!("meshdns.yaml:{expected}"));
    }

    #[test]
    fn an_empty_section_has_the_defaults() {
        assert_eq!(read("health: {}\n"), Settings::default());
        let empty = "health: {checks: [], networks: [], canaries: []}\n";
        assert_eq!(read(empty), Settings::default());
    }

    #[test]
    fn every_key_is_read() {
        let settings = read(
            "health:
  workloadGroups: unreported
  checks:
    - name: orders
      match: {namespaces: [shop], labels: {app: orders}, kinds: [WorkloadEntry]}
      probe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 5, failureThreshold: 2}
    - name: partners
      match: {hosts: ['*.partner.test', Pay.test]}
      probe: {tcpSocket: {port: 443}}
    - {name: rest, probe: none}
  whenAllFail: none
  massFailure: {share: 30%, holdFor: 1m}
  canaries: 10.0.0.1:53
  networks: [10.0.0.0/8, 'fc00::/7']
  source: 10.0.0.53
  startWithin: 2s
  maxPerSecond: 100
  maxInFlight: 50
  flapDamping: false
  stateFile: /var/lib/meshdns/health.json
  overrides: /etc/meshdns/overrides.yaml
  drainMargin: 10s
  reportMaxAge: 5m
  perEndpointMetrics: true
  api: on
",
        );
        let policy = &settings.policy;
        assert_eq!(policy.workload_groups, GroupProbes::Unreported);
        assert_eq!(policy.when_all_fail, WhenAllFail::None);
        assert_eq!(policy.report_max_age, Some(300));
        let [orders, partners, rest] = &policy.rules[..] else {
            panic!("{:?}", policy.rules);
        };
        assert_eq!((&*orders.name, &*orders.namespaces[0]), ("orders", "shop"));
        assert!(orders.labels.iter().eq([("app", "orders")]));
        assert_eq!(&*orders.kinds, [Kind::WorkloadEntry]);
        assert_eq!(
            orders.probe.as_ref().map(|probe| probe.failure_threshold),
            Some(2)
        );
        let hosts: Vec<_> = partners.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["*.partner.test.", "pay.test."]);
        assert_eq!(&*partners.kinds, [Kind::ServiceEntry]);
        assert_eq!((&rest.probe, rest.kinds.len()), (&None, 2));
        let rule = MassFailure {
            share_percent: 30,
            at_least: 5,
            hold_for_seconds: 60,
        };
        assert_eq!(settings.mass_failure, Some(rule));
        assert_eq!(settings.canaries, ["10.0.0.1:53".parse().expect("valid")]);
        assert_eq!(settings.networks.len(), 2);
        assert_eq!(settings.source, "10.0.0.53".parse().ok());
        assert_eq!(settings.start_within, Duration::from_secs(2));
        assert_eq!((settings.max_per_second, settings.max_in_flight), (100, 50));
        assert_eq!(settings.drain_margin, Duration::from_secs(10));
        assert!(!settings.has_flap_damping && settings.has_endpoint_metrics && settings.has_api);
        assert!(settings.state_file.is_some() && settings.overrides.is_some());
        for off in ["off", "false", "'off'"] {
            let settings = read(&format!(
                "health: {{massFailure: {off}, reportMaxAge: {off}}}\n"
            ));
            assert_eq!(
                (settings.mass_failure, settings.policy.report_max_age),
                (None, None)
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_check_is_told_with_its_place() {
        check_error(
            "health:\n  checks:\n    - name: a\n      probe: {tcpSocket: {prot: 1}}\n",
            "4:14: health.checks[0].probe: unknown key `prot`; did you mean `port`?; the probe's `port` is missing: use 1 to 65535",
        );
        check_error(
            "health:\n  checks:\n    - name: a\n      probe: {tcpSocket: {port: 1}, pace: 5}\n",
            "4:14: health.checks[0].probe: unknown key `pace`",
        );
        check_error(
            "health:\n  checks:\n    - name: a\n      probe: {exec: {command: [a]}}\n",
            "4:14: health.checks[0].probe: `exec` runs on the machine itself, and can't be run from here: use `httpGet`, `tcpSocket` or `grpc`",
        );
        check_error(
            "health:\n  checks:\n    - name: a\n      match: {kinds: Pod}\n      probe: none\n",
            "4:22: health.checks[0].match.kinds: invalid value `Pod`: expected WorkloadEntry or ServiceEntry",
        );
        check_error(
            "health:\n  checks:\n    - name: a\n      match: {labels: {app: a b}}\n      probe: none\n",
            "4:23: health.checks[0].match.labels: invalid label `app: a b`: expected a label as objects have it, as in app: orders",
        );
        check_error(
            "health:\n  networks: [10.0.0.0/8, 169.254.0.0/16]\n",
            "2:26: health.networks[1]: invalid value `169.254.0.0/16`: probes never go to link-local, multicast or unspecified addresses: take it out",
        );
        check_error(
            "health:\n  massFailure: maybe\n",
            "2:16: health.massFailure: invalid value: string \"maybe\", expected off, or a mapping as in {share: 50%, atLeast: 5, holdFor: 5m}",
        );
        check_error(
            "health:\n  check: []\n",
            "2:3: health: unknown key `check`; did you mean `checks`?",
        );
    }
}
