use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use serde::Deserialize;

use super::{
    value::{
        AllUnhealthy, Enforcement, ForwarderAnswer, ForwarderRule, HealthFactor, HostName,
        LocalityText, MostAddresses, Namespace, Network, PartOfHundred, PreferNear, SideAddresses,
        Switch,
    },
    yaml::{Listed, OneOrMore},
};
use crate::{
    manifest::{MaxAddresses, Percent, ShareBy, Shares},
    mesh::Locality,
    select::{ClientNetwork, ClientNetworks, TrafficPolicy, WhenAllUnhealthy},
};

/// More are better written beside the hosts' selectors.
const MOST_SHARES: usize = 1024;

/// How many networks may be told of.
pub(super) const MOST_CLIENTS: usize = 4096;

/// What answers hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct AnswerKeys {
    pub when_all_unhealthy: Option<AllUnhealthy>,
    pub max_addresses: Option<MostAddresses>,
    pub split: Option<SplitKeys>,
    pub shares: Option<Listed<ShareKeys, MOST_SHARES>>,
    pub ptr: Option<Switch>,
    pub locality: Option<PreferNear>,
    pub min_endpoints: Option<SideAddresses>,
    pub export_to: Option<Enforcement>,
}

/// What holds of clients in a network.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct ClientKeys {
    pub network: Network,
    pub namespace: Option<Namespace>,
    pub locality: Option<LocalityText>,
}

/// What hosts with shares or weights answer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct SplitKeys {
    pub addresses: Option<SideAddresses>,
    pub forwarders: Option<ForwarderAnswer>,
    pub health_factor: Option<HealthFactor>,
}

/// The shares of a host: at least one of them, a hundred percent at most, and just that where both are said.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareKeys {
    host: HostName,
    shares: Shares,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenShares {
    host: HostName,
    pod: Option<PartOfHundred>,
    vm: Option<PartOfHundred>,
}

impl<'de> Deserialize<'de> for ShareKeys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenShares { host, pod, vm } = WrittenShares::deserialize(deserializer)?;
        let named = [("pod", pod), ("vm", vm)];
        let wanted: Box<[(Box<str>, Percent)]> = named
            .into_iter()
            .filter_map(|(name, share)| Some((name.into(), share?.0)))
            .collect();
        let error = match &*wanted {
            [] => "no share: write `pod: 10`, `vm: 90` or both".to_owned(),
            [(_, pod), (_, vm)] if pod.hundredths() + vm.hundredths() != 10_000 => {
                format!(
                    "`pod: {pod}` and `vm: {vm}` are not a hundred together: leave one out, which has the rest"
                )
            }
            _ => {
                let by = ShareBy::Kind;
                let shares = Shares { by, wanted };
                return Ok(Self { host, shares });
            }
        };
        Err(serde::de::Error::custom(error))
    }
}

/// What answers hold, with a default for all that is not said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// What hosts answer that have no healthy endpoint.
    pub when_all_unhealthy: WhenAllUnhealthy,
    /// How many addresses of one family an answer holds at most.
    pub max_addresses: MaxAddresses,
    /// Whether clients see only what is exported to their namespace.
    pub enforces_export: bool,
    /// How questions are shared out.
    pub traffic: TrafficPolicy,
    /// The networks of those who ask for others.
    pub forwarders: Vec<IpNet>,
    /// The networks of those of them who are believed for whom they ask.
    pub trusted_forwarders: Vec<IpNet>,
    /// Whether Pods that ask for others are found by their labels.
    pub finds_forwarders: bool,
    /// Whether addresses lead to the names of endpoints, in declared zones.
    pub has_pointers: bool,
}

pub(super) fn resolve(
    keys: Option<AnswerKeys>,
    forwarders: Option<OneOrMore<ForwarderRule>>,
    clients: Option<Listed<ClientKeys, MOST_CLIENTS>>,
) -> Answers {
    let keys = keys.unwrap_or_default();
    let split = keys.split.unwrap_or_default();
    let defaults = TrafficPolicy::default();
    let shares: BTreeMap<_, _> = keys
        .shares
        .map(|shares| shares.0)
        .unwrap_or_default()
        .into_iter()
        .map(|keys| (keys.host.0, keys.shares))
        .collect();
    let forwarders = forwarders.map_or(vec![ForwarderRule::Auto], |rules| rules.0);
    let clients = clients.map(|clients| clients.0).unwrap_or_default();
    let clients = clients.into_iter().map(|keys| {
        let text = keys.locality.map(|locality| locality.0);
        let said = ClientNetwork {
            namespace: keys.namespace.map(|namespace| namespace.0.into()),
            locality: text.as_deref().and_then(Locality::from_text),
            locality_text: text,
        };
        (keys.network.0, said)
    });
    let network = |rule: &ForwarderRule| match rule {
        ForwarderRule::Network(network) | ForwarderRule::Trusted(network) => Some(network.0),
        ForwarderRule::Auto => None,
    };
    let trusted = |rule: &ForwarderRule| match rule {
        ForwarderRule::Trusted(network) => Some(network.0),
        ForwarderRule::Network(_) | ForwarderRule::Auto => None,
    };
    let max_addresses = keys.max_addresses.map(|most| most.0).unwrap_or_default();
    Answers {
        when_all_unhealthy: keys
            .when_all_unhealthy
            .map(|when| when.0)
            .unwrap_or_default(),
        max_addresses,
        enforces_export: keys.export_to.is_some_and(|enforcement| enforcement.0),
        traffic: TrafficPolicy {
            shares: shares.into_iter().collect(),
            side_addresses: split
                .addresses
                .map_or(defaults.side_addresses, |count| count.0),
            forwarders_get: split
                .forwarders
                .map_or(defaults.forwarders_get, |answer| answer.0),
            mixed_addresses: match max_addresses {
                MaxAddresses::Number(most) => most,
                MaxAddresses::Fitting | MaxAddresses::All => defaults.mixed_addresses,
            },
            health_factor_percent: split
                .health_factor
                .map_or(defaults.health_factor_percent, |factor| factor.percent),
            prefers_near: keys.locality.is_some_and(|prefers| prefers.0),
            min_endpoints: keys
                .min_endpoints
                .map_or(defaults.min_endpoints, |count| count.0),
            clients: Arc::new(ClientNetworks::new(clients)),
        },
        has_pointers: keys.ptr.is_none_or(|ptr| ptr.0),
        finds_forwarders: forwarders.contains(&ForwarderRule::Auto),
        trusted_forwarders: forwarders.iter().filter_map(trusted).collect(),
        forwarders: forwarders.iter().filter_map(network).collect(),
    }
}
