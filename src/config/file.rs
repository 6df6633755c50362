//! The configuration file: YAML, every key optional, unknown keys refused with their place.
//!
//! Only reads; what a missing key means is decided in [`super`].

use std::{io, path::PathBuf};

use serde::Deserialize;

use super::{
    answers::{AnswerKeys, ClientKeys, MOST_CLIENTS},
    health::HealthKeys,
    ui::{HistoryKeys, UiKeys},
    value::{
        AnswerBytes, CharacterString, ClusterName, Context, Domain, Folder, ForwardPolicy,
        ForwarderRule, Http, Limit, Links, Listeners, LogFormat, LogLevel, Memory, Namespace,
        Network, Period, PodSelector, Slip, Switch, TtlPeriod, Upstream, Wait, Workers, Zone,
    },
    yaml::{Listed, OneOrMore},
};
use crate::diagnostic::Position;

/// As many as the root has; every one makes each answer to NS longer.
const MOST_NAME_SERVERS: usize = 13;

/// As many as CoreDNS takes; more would only be asked when all of these fail.
const MOST_UPSTREAMS: usize = 15;

/// Each is listed and watched by itself: more are better followed as all.
pub const MOST_NAMESPACES: usize = 64;

/// How much alike a wrong and a right key must be for the hint to help.
const ALIKE: f64 = 0.7;

/// The configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file can't be read.
    #[error("read configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file does not say what a configuration file can say.
    #[error("{}:{}:{}: {message}", path.display(), position.line, position.column)]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The offending key or value.
        position: Position,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// What a configuration file says.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct File {
    pub folders: Option<OneOrMore<Folder>>,
    pub follow_links: Option<Links>,
    pub kubernetes: Option<Listed<ClusterKeys>>,
    pub listen: Option<OneOrMore<Listeners>>,
    pub zones: Option<OneOrMore<Zone>>,
    pub ttl: Option<TtlPeriod>,
    pub negative_ttl: Option<TtlPeriod>,
    pub name_servers: Option<OneOrMore<Domain, MOST_NAME_SERVERS>>,
    pub http: Option<Http>,
    pub ui: Option<UiKeys>,
    pub history: Option<HistoryKeys>,
    pub workers: Option<Workers>,
    pub poll: Option<Wait>,
    pub start_patience: Option<Period>,
    pub state_dir: Option<Folder>,
    pub lameduck: Option<Period>,
    pub log_format: Option<LogFormat>,
    pub log_level: Option<LogLevel>,
    pub identity: Option<IdentityKeys>,
    pub answers: Option<AnswerKeys>,
    pub forwarders: Option<OneOrMore<ForwarderRule>>,
    pub clients: Option<Listed<ClientKeys, MOST_CLIENTS>>,
    pub cookies: Option<CookieKeys>,
    pub udp: Option<UdpKeys>,
    pub rate_limit: Option<RateLimitKeys>,
    pub tcp: Option<TcpKeys>,
    pub tls: Option<TlsKeys>,
    pub forward: Option<ForwardKeys>,
    pub health: Option<HealthKeys>,
}

/// A cluster to follow.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct ClusterKeys {
    pub name: Option<ClusterName>,
    pub kubeconfig: Option<Folder>,
    pub context: Option<Context>,
    pub namespaces: Option<OneOrMore<Namespace, MOST_NAMESPACES>>,
    pub pod_selector: Option<PodSelector>,
}

/// What a server tells about itself.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct IdentityKeys {
    pub version: Option<CharacterString>,
    pub server_id: Option<CharacterString>,
    pub nsid: Option<CharacterString>,
}

/// How clients show that they are where they say.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct CookieKeys {
    pub answer: Option<Switch>,
    pub key_file: Option<Folder>,
}

/// What UDP clients get.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct UdpKeys {
    pub max_answer_bytes: Option<AnswerBytes>,
}

/// How many answers a network gets over UDP.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct RateLimitKeys {
    pub answers_per_second: Limit,
    pub slip: Option<Slip>,
    pub exempt: Option<OneOrMore<Network>>,
}

/// What TCP clients may do.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct TcpKeys {
    pub max_connections: Option<Limit>,
    pub max_connections_per_client: Option<Limit>,
    pub max_buffered_bytes: Option<Memory>,
    pub idle_timeout: Option<Wait>,
    pub message_timeout: Option<Wait>,
    pub write_timeout: Option<Wait>,
}

/// What encrypted clients are shown.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct TlsKeys {
    pub certificate: Option<Folder>,
    pub key: Option<Folder>,
}

/// Where names go that are not ours.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct ForwardKeys {
    pub upstreams: Option<OneOrMore<Upstream, MOST_UPSTREAMS>>,
    #[serde(default)]
    pub domains: Vec<ForwardDomain>,
    pub policy: Option<ForwardPolicy>,
    pub timeout: Option<Wait>,
    pub retry_after: Option<Wait>,
    pub clients: Option<OneOrMore<Network>>,
    pub max_waiting: Option<Limit>,
    pub cache_size: Option<Memory>,
    pub serve_stale: Option<Period>,
    pub resolv_conf: Option<Folder>,
}

/// A domain that has upstreams of its own.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct ForwardDomain {
    pub name: Domain,
    pub upstreams: OneOrMore<Upstream, MOST_UPSTREAMS>,
}

impl File {
    /// Reads the file at `path`.
    pub fn read(path: PathBuf) -> Result<Self, FileError> {
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(path, &text),
            Err(source) => Err(FileError::Read { path, source }),
        }
    }

    /// Reads `text`, which stands in `path`.
    pub fn parse(path: PathBuf, text: &str) -> Result<Self, FileError> {
        // An empty document is no mapping; here it means that everything is as it is without a file.
        let parsed = serde_yaml::from_str::<Option<Self>>(text);
        parsed.map(Option::unwrap_or_default).map_err(|error| {
            let position = error.location().map_or(Position::START, |place| Position {
                line: u32::try_from(place.line()).unwrap_or(u32::MAX),
                column: u32::try_from(place.column()).unwrap_or(u32::MAX),
            });
            FileError::Invalid {
                path,
                position,
                message: message(&error),
            }
        })
    }
}

/// The reader's message without the place, which stands in front, and with the nearest known key.
fn message(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let place = error
        .location()
        .map(|place| format!(" at line {} column {}", place.line(), place.column()));
    let text = match &place {
        Some(place) => text.replacen(place.as_str(), "", 1),
        None => text,
    };
    let mut quoted = text.split('`').skip(1).step_by(2);
    let Some((section, _)) = text.split_once("unknown field ") else {
        return text;
    };
    let wrong = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let likeness = |key: &str| strsim::jaro_winkler(&key.to_lowercase(), &wrong.to_lowercase());
    let nearest = known
        .iter()
        .map(|key| (likeness(key), *key))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((likeness, key)) if likeness > ALIKE => format!("did you mean `{key}`?"),
        _ => format!("known here: {}", known.join(", ")),
    };
    format!("{section}unknown key `{wrong}`; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = File::parse("meshdns.yaml".into(), text).expect_err("an error");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn tells_the_place_and_the_nearest_key() {
        check_error(
            "ttl: 5s\nlisten:\n  - :53\nzoness: [a.test]\n",
            "meshdns.yaml:4:1: unknown key `zoness`; did you mean `zones`?",
        );
        check_error(
            "tcp:\n  idleTimout: 5s\n",
            "meshdns.yaml:2:3: tcp: unknown key `idleTimout`; did you mean `idleTimeout`?",
        );
        check_error(
            "answers:\n  xyz: 1\n",
            "meshdns.yaml:2:3: answers: unknown key `xyz`; known here: whenAllUnhealthy, maxAddresses, split, shares, ptr, locality, minEndpoints, exportTo",
        );
    }

    #[test]
    fn tells_the_place_of_a_wrong_value() {
        check_error(
            "ttl: 5\n",
            "meshdns.yaml:1:6: ttl: invalid value `5`: expected a duration with its unit, as in 5s, 500ms or 1m",
        );
        check_error(
            "listen:\n  - 127.0.0.1:5300\n  - nowhere\n",
            "meshdns.yaml:3:5: listen[1]: invalid value `nowhere`: expected IP, IP:PORT, [IPV6]:PORT or :PORT, as in 127.0.0.1:5300 or :53, alone or behind tls://, https:// or quic://",
        );
        check_error(
            "zones: ['*.a.test']\n",
            "meshdns.yaml:1:9: zones[0]: invalid value `*.a.test`: expected a domain such as internal.com: only letters, digits, hyphens and underscores between its dots",
        );
    }

    #[test]
    fn tells_the_place_of_broken_yaml() {
        let error =
            File::parse("meshdns.yaml".into(), "ttl: 5s\nzones: [a.test\n").expect_err("an error");
        assert!(
            error.to_string().starts_with("meshdns.yaml:3:1: "),
            "{error}"
        );
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "---\n", "# only a comment\n"] {
            let file = File::parse("meshdns.yaml".into(), text).expect("valid");
            assert_eq!(file, File::default());
        }
    }

    #[test]
    fn one_value_stands_for_a_list_of_one() {
        let file = File::parse(
            "meshdns.yaml".into(),
            "listen: 5300\nzones: a.test\nhttp: off\n",
        )
        .expect("valid");
        assert_eq!(
            file.listen.expect("set").0,
            [":5300".parse().expect("valid")]
        );
        assert_eq!(file.http, Some(Http::Off));
    }

    #[test]
    fn so_does_one_mapping() {
        for one in [
            "listen: {address: '10.0.0.1', namespace: shop}",
            "zones: {name: a.test, unmatched: forward}",
            "forwarders: {network: 10.0.0.0/8, trust: subnet}",
            "clients: {network: 10.0.0.0/8, namespace: shop}",
        ] {
            let (key, value) = one.split_once(": ").expect("a key");
            let parse = |text: &str| File::parse("meshdns.yaml".into(), text).expect("valid");
            assert_eq!(parse(one), parse(&format!("{key}: [{value}]")), "{one}");
        }
    }
}
