//! Reads settings from YAML through their text forms.
//!
//! A number or a truth value is taken as it is written, so that `listen: 5300` and `ttl: 5` get the same answer as the
//! flags do. Errors arise inside the visit of the value: only there do they get its place.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::value::{
    AllFail, AllUnhealthy, AnswerBytes, Canary, CharacterString, CheckName, CheckedKind,
    ClusterName, Context, Domain, Enforcement, Folder, ForwardPolicy, ForwarderAnswer,
    ForwarderRule, HealthFactor, HostName, Http, Limit, Links, Listeners, LocalityText, LogFormat,
    LogLevel, Memory, MostAddresses, Namespace, Network, PartOfHundred, Period, PodSelector,
    PreferNear, ProbeNetwork, ProbeSource, ReportAge, Share, SideAddresses, Slip, Switch, Trust,
    TtlPeriod, Unmatched, Upstream, ValueError, Wait, Workers, WorkloadGroups, Zone,
};
use crate::{
    chain::Chain,
    mesh::Locality,
    zone::{AskerPreset, ViewId},
};

/// A list of at most `MOST` values, or one value that stands for a list of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OneOrMore<T, const MOST: usize = 1024>(pub Vec<T>);

impl<'de, T: Deserialize<'de> + FromStr<Err = ValueError>, const MOST: usize> Deserialize<'de>
    for OneOrMore<T, MOST>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(List(PhantomData))
    }
}

struct List<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + FromStr<Err = ValueError>, const MOST: usize> Visitor<'de>
    for List<T, MOST>
{
    type Value = OneOrMore<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Scalar(PhantomData)
            .visit_str(text)
            .map(|one| OneOrMore(vec![one]))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Self::Value, A::Error> {
        one(keys).map(OneOrMore)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        at_most(MOST, values).map(OneOrMore)
    }
}

/// A mapping that stands for a list of one.
fn one<'de, T: Deserialize<'de>, A: MapAccess<'de>>(keys: A) -> Result<Vec<T>, A::Error> {
    T::deserialize(MapAccessDeserializer::new(keys)).map(|one| vec![one])
}

fn at_most<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    most: usize,
    mut values: A,
) -> Result<Vec<T>, A::Error> {
    let mut list = Vec::new();
    while let Some(value) = values.next_element()? {
        if list.len() == most {
            return Err(de::Error::custom(format_args!(
                "more than {most} values: leave some out"
            )));
        }
        list.push(value);
    }
    Ok(list)
}

/// A list of at most `MOST` mappings, or one of them that stands for a list of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed<T, const MOST: usize = 64>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Listed<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Mappings(PhantomData))
    }
}

struct Mappings<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Mappings<T, MOST> {
    type Value = Listed<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of mappings")
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Self::Value, A::Error> {
        one(keys).map(Listed)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Self::Value, A::Error> {
        at_most(MOST, values).map(Listed)
    }
}

/// A domain, or a mapping that says more of it.
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ZoneOrName)
    }
}

struct ZoneOrName;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneKeys {
    name: Domain,
    unmatched: Option<Unmatched>,
}

impl<'de> Visitor<'de> for ZoneOrName {
    type Value = Zone;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a domain")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Zone, E> {
        Scalar(PhantomData).visit_str(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Zone, A::Error> {
        let keys = ZoneKeys::deserialize(MapAccessDeserializer::new(keys))?;
        Ok(Zone {
            apex: keys.name,
            is_partial: keys.unmatched == Some(Unmatched::Forward),
        })
    }
}

/// Who asks for others, or a mapping that says what they are believed.
impl<'de> Deserialize<'de> for ForwarderRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ForwarderOrNetwork)
    }
}

struct ForwarderOrNetwork;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForwarderKeys {
    network: Network,
    trust: Option<OneOrMore<Trust, 1>>,
}

impl<'de> Visitor<'de> for ForwarderOrNetwork {
    type Value = ForwarderRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network, or auto")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ForwarderRule, E> {
        Scalar(PhantomData).visit_str(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<ForwarderRule, A::Error> {
        let keys = ForwarderKeys::deserialize(MapAccessDeserializer::new(keys))?;
        let trusts = keys.trust.is_some_and(|trust| !trust.0.is_empty());
        Ok(if trusts {
            ForwarderRule::Trusted(keys.network)
        } else {
            ForwarderRule::Network(keys.network)
        })
    }
}

/// Where to listen, or a mapping that says who asks there.
impl<'de> Deserialize<'de> for Listeners {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenersOrAddress)
    }
}

struct ListenersOrAddress;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ListenKeys {
    address: Address,
    namespace: Option<Namespace>,
    locality: Option<LocalityText>,
    forwarder: Option<Switch>,
}

/// The same without what is said of who asks.
struct Address(Listeners);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData)).map(Self)
    }
}

impl<'de> Visitor<'de> for ListenersOrAddress {
    type Value = Listeners;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address to listen at")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Listeners, E> {
        Scalar(PhantomData).visit_str(text)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Listeners, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Listeners, A::Error> {
        let keys = ListenKeys::deserialize(MapAccessDeserializer::new(keys))?;
        Ok(Listeners {
            preset: AskerPreset {
                is_forwarder: keys.forwarder.is_some_and(|switch| switch.0),
                locality: keys.locality.and_then(|text| Locality::from_text(&text.0)),
                view: keys.namespace.map(|namespace| ViewId::of(&namespace.0)),
            },
            ..keys.address.0
        })
    }
}

/// Reads a scalar through the value's text form.
pub(super) struct Scalar<T>(pub(super) PhantomData<T>);

impl<T: FromStr<Err = ValueError>> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|error: ValueError| {
            E::custom(format_args!("invalid value `{text}`: {}", Chain(&error)))
        })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    // `http: false`, and `off` in the hands of a tool that rewrites YAML 1.1.
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        self.visit_str(if value { "true" } else { "false" })
    }
}

macro_rules! reads_as_text {
    ($($value:ty),+ $(,)?) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Scalar(PhantomData))
            }
        }
    )+};
}

reads_as_text!(
    AllFail,
    AllUnhealthy,
    AnswerBytes,
    Canary,
    CharacterString,
    CheckName,
    CheckedKind,
    ClusterName,
    Context,
    Domain,
    Enforcement,
    Folder,
    ForwardPolicy,
    ForwarderAnswer,
    HealthFactor,
    LocalityText,
    MostAddresses,
    PartOfHundred,
    PreferNear,
    SideAddresses,
    HostName,
    Http,
    Limit,
    Links,
    LogFormat,
    LogLevel,
    Memory,
    Namespace,
    Network,
    Period,
    PodSelector,
    ProbeNetwork,
    ProbeSource,
    ReportAge,
    Share,
    Slip,
    Switch,
    Trust,
    TtlPeriod,
    Unmatched,
    Upstream,
    Wait,
    Workers,
    WorkloadGroups,
);
