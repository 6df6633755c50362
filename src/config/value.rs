//! The forms that settings are written in, alike in flags, variables and the file.
//!
//! Text goes in, a type that can't hold a wrong value comes out; what can't be one fails with [`ValueError`], which says
//! what would be right. `yaml` reads the same forms from the file; `forward` has those that are about upstreams, `listen` those
//! that are about addresses of our own, `kubernetes` those that are about clusters, `health` those that are about checks, `traffic` those that are about shares and limits.

mod forward;
mod health;
mod kubernetes;
mod listen;
mod traffic;

use std::{net::IpAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

pub use forward::{ForwardPolicy, Memory, Network, Upstream};
pub(super) use health::check_label;
pub use health::{
    AllFail, Canary, CheckName, CheckedKind, HostName, ProbeNetwork, ProbeSource, ReportAge, Share,
    WorkloadGroups,
};
pub use kubernetes::{ClusterName, Context, Namespace, PodSelector};
pub use listen::{Listen, Listeners};
use tracing_subscriber::filter::Targets;
pub use traffic::{
    Enforcement, ForwarderAnswer, ForwarderRule, HealthFactor, LocalityText, MostAddresses,
    PartOfHundred, PreferNear, SideAddresses, Trust,
};

use crate::{
    dns::{Name, NameError, Ttl, TtlOutOfRange},
    forward::AddressError,
    select::WhenAllUnhealthy,
    source::FollowLinks,
};

/// The port of an address that names none: DNS's own.
const DNS_PORT: u16 = 53;

/// The port of DNS over TLS ([RFC 7858](https://www.rfc-editor.org/rfc/rfc7858)), and over QUIC
/// ([RFC 9250](https://www.rfc-editor.org/rfc/rfc9250)).
const TLS_PORT: u16 = 853;

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// The longest time that a setting may be, against a slip of the unit: a day.
pub const LONGEST_PERIOD: Duration = Duration::from_hours(24);

/// The most worker threads; more than the largest machines have cores.
pub const MOST_WORKERS: usize = 1024;

/// Why a text is not the setting it stands for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Not an address with or without a port.
    #[error("expected IP, IP:PORT, [IPV6]:PORT or :PORT, as in 127.0.0.1:5300 or :53")]
    Listen,
    /// Not an address with or without a port, or behind something that is not spoken here.
    #[error(
        "expected IP, IP:PORT, [IPV6]:PORT or :PORT, as in 127.0.0.1:5300 or :53, alone or behind tls://, https:// or quic://"
    )]
    Listeners,
    /// Not a path for queries over HTTPS.
    #[error(
        "expected https://IP:PORT/PATH, as in https://127.0.0.1:8443/dns-query: letters, digits and -._~ between the slashes"
    )]
    QueryPath,
    /// Not the address of an upstream.
    #[error(
        "expected IP, IP:PORT, tcp://IP:PORT, tls://NAME@IP:PORT, https://NAME@IP:PORT/PATH or system, as in 10.0.0.2 or [2001:db8::2]:53"
    )]
    Upstream,
    /// The address of an upstream is on no link of this machine.
    #[error(transparent)]
    UpstreamLink(AddressError),
    /// An upstream over TLS without the name that its certificate is to have, or without its address.
    #[error("expected tls://NAME@IP or tls://NAME@IP:PORT, as in tls://dns.example.com@192.0.2.1")]
    TlsUpstream,
    /// An upstream over HTTPS without its address, or with a path that no URL has.
    #[error(
        "expected https://IP/PATH or https://NAME@IP/PATH, as in https://dns.example.com@192.0.2.1/dns-query"
    )]
    HttpsUpstream,
    /// Not an amount of memory.
    #[error("expected an amount of memory from 1MiB to 1024GiB, with its unit, as in 32MiB")]
    Memory,
    /// Neither a network nor an address.
    #[error("expected a network or an address, as in 10.0.0.0/8 or 2001:db8::/32")]
    Network,
    /// Not how many addresses an answer may hold.
    #[error("expected auto, 0 for all, or a number up to 65535")]
    MaxAddresses,
    /// Not how many addresses of a group an answer holds.
    #[error("expected a number from 1 to 65535, as in 2")]
    SideAddresses,
    /// Not how health carries a share.
    #[error("expected 0%, or 100% to 1000%, as in 140%")]
    HealthFactor,
    /// Not a part of a hundred.
    #[error(
        "expected percent from 0 to 100 with at most two decimals and without a sign, as in 33.33"
    )]
    Percent,
    /// Neither a network nor `auto`.
    #[error("expected auto, a network or an address, as in 10.96.0.10")]
    Forwarder,
    /// Not a region, or a zone of it.
    #[error("expected REGION, REGION/ZONE or REGION/ZONE/SUBZONE, as in eu/eu-1")]
    Locality,
    /// Not what a cluster can be called.
    #[error("expected 1 to 253 letters, digits or any of -._:/@, as in prod-eu")]
    ClusterName,
    /// Not what a context can be called.
    #[error("expected the name of a context of the kubeconfig")]
    Context,
    /// Not a namespace.
    #[error("expected a namespace: 1 to 63 small letters, digits or hyphens, as in shop")]
    Namespace,
    /// Not a label selector.
    #[error("expected a label selector, as in app=reviews,tier!=test or env in (prod, stage)")]
    PodSelector,
    /// Not what a check can be called.
    #[error("expected 1 to 63 letters, digits or any of -._, as in orders")]
    CheckName,
    /// Not a label, with its value.
    #[error("expected a label as objects have it, as in app: orders")]
    Label,
    /// A network of addresses that are no machine's, or another machine's on each link.
    #[error("probes never go to link-local, multicast or unspecified addresses: take it out")]
    NeverProbed,
    /// Not an address of a machine.
    #[error("expected an address of this machine, as in 10.0.0.53")]
    ProbeSource,
    /// Not an address with a port.
    #[error("expected IP:PORT or [IPV6]:PORT, as in 10.0.0.1:53")]
    Canary,
    /// Not a share.
    #[error("expected a share from 1% to 100%, as in 50%")]
    Share,
    /// Neither a time nor `off`.
    #[error("expected off or a duration of whole seconds, as in 60s or 5m")]
    ReportAge,
    /// Neither an address nor `off`.
    #[error("expected off, IP, IP:PORT, [IPV6]:PORT or :PORT, as in 127.0.0.1:9153")]
    Http,
    /// Not a time.
    #[error("expected a duration with its unit, as in 5s, 500ms or 1m")]
    Period,
    /// A time that is longer than makes sense.
    #[error("expected at most 1day")]
    PeriodTooLong,
    /// No time at all.
    #[error("expected at least 1ms")]
    WaitTooShort,
    /// A time that no TTL can hold.
    #[error(transparent)]
    Ttl(#[from] TtlOutOfRange),
    /// Not a domain name.
    #[error("expected a domain such as internal.com")]
    Domain(#[source] NameError),
    /// A domain name with characters that no host name has.
    #[error(
        "expected a domain such as internal.com: only letters, digits, hyphens and underscores between its dots"
    )]
    DomainCharacter,
    /// Not a log level.
    #[error(
        "expected error, warn, info, debug, trace or off, or pairs as in info,meshdns::control=debug"
    )]
    LogLevel,
    /// Not one of the words.
    #[error("expected {0}")]
    Word(&'static str),
    /// Not a count, or out of its range.
    #[error("expected a whole number from 1 to {0}")]
    Count(usize),
    /// Not a number, or out of these bounds.
    #[error("expected a whole number from {0} to {1}")]
    Range(usize, usize),
    /// Empty, or too long for what carries it in a DNS message.
    #[error("expected 1 to 255 bytes, which is what one DNS character string holds")]
    CharacterString,
}

impl From<AddressError> for ValueError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::NoAddress => Self::Upstream,
            AddressError::NoInterface | AddressError::UnknownInterface(_) => {
                Self::UpstreamLink(error)
            }
        }
    }
}

/// Where the HTTP pages are: at an address, or nowhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Http {
    /// No HTTP.
    Off,
    /// At these addresses.
    At(Listen),
}

impl FromStr for Http {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" => Ok(Self::Off),
            address => match address.parse() {
                Ok(listen) => Ok(Self::At(listen)),
                Err(_) => Err(ValueError::Http),
            },
        }
    }
}

/// An IP address without a port; one of IPv6 may stand in brackets.
fn bare_ip(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

/// A time span of at most [`LONGEST_PERIOD`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let duration = humantime::parse_duration(text).map_err(|_| ValueError::Period)?;
        if duration > LONGEST_PERIOD {
            return Err(ValueError::PeriodTooLong);
        }
        Ok(Self(duration))
    }
}

/// A time span of at least a millisecond and at most [`LONGEST_PERIOD`]: how long to wait for something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait(pub Duration);

impl FromStr for Wait {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Period(duration) = text.parse()?;
        if duration < Duration::from_millis(1) {
            return Err(ValueError::WaitTooShort);
        }
        Ok(Self(duration))
    }
}

/// A TTL, written as a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TtlPeriod(pub Ttl);

impl FromStr for TtlPeriod {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let duration = humantime::parse_duration(text).map_err(|_| ValueError::Period)?;
        Ok(Self(Ttl::try_from(duration)?))
    }
}

/// A zone or name server: a domain name in host name characters, without a wildcard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain(pub Name);

impl FromStr for Domain {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let name = Name::from_text(text).map_err(ValueError::Domain)?;
        let is_host_character = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        if !name.labels().flatten().all(is_host_character) {
            return Err(ValueError::DomainCharacter);
        }
        Ok(Self(name))
    }
}

/// A domain that is answered as a whole, or in part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    /// Its apex.
    pub apex: Domain,
    /// Whether names that the mesh does not hold are forwarded.
    pub is_partial: bool,
}

impl From<Domain> for Zone {
    fn from(apex: Domain) -> Self {
        Self {
            apex,
            is_partial: false,
        }
    }
}

impl FromStr for Zone {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse::<Domain>().map(Self::from)
    }
}

/// What becomes of names in a zone that the mesh does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unmatched {
    /// They don't exist.
    NoName,
    /// An upstream knows.
    Forward,
}

impl FromStr for Unmatched {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "nxdomain" => Ok(Self::NoName),
            "forward" => Ok(Self::Forward),
            _ => Err(ValueError::Word("nxdomain or forward")),
        }
    }
}

/// A mesh folder or file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Folder(pub PathBuf);

impl FromStr for Folder {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() {
            return Err(ValueError::Word("a path"));
        }
        Ok(Self(text.into()))
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(ValueError::Word("text or json")),
        }
    }
}

/// Which log lines are written: a level, and levels of single modules.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel(pub Targets);

impl FromStr for LogLevel {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
        // `Targets` takes any single word for a module's name.
        let is_directive = |directive: &str| match directive.split_once('=') {
            Some((target, level)) => !target.is_empty() && is_level(level),
            None => is_level(directive),
        };
        if !text.split(',').all(is_directive) {
            return Err(ValueError::LogLevel);
        }
        text.parse().map(Self).map_err(|_| ValueError::LogLevel)
    }
}

/// How many, at least one and at most [`MOST_WORKERS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Workers(pub NonZeroUsize);

impl FromStr for Workers {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let out_of_range = ValueError::Count(MOST_WORKERS);
        match text.parse::<NonZeroUsize>() {
            Ok(count) if count.get() <= MOST_WORKERS => Ok(Self(count)),
            _ => Err(out_of_range),
        }
    }
}

/// How many of something that there may be, at least one and at most a million.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit(pub usize);

/// More than any machine has file descriptors for.
const HIGHEST_LIMIT: usize = 1_000_000;

impl FromStr for Limit {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<usize>() {
            Ok(count) if (1..=HIGHEST_LIMIT).contains(&count) => Ok(Self(count)),
            _ => Err(ValueError::Count(HIGHEST_LIMIT)),
        }
    }
}

/// How large an answer over UDP may be, in bytes: at least as much as a question takes, at most what is ever sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnswerBytes(pub usize);

impl FromStr for AnswerBytes {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const LEAST: usize = 128;
        const MOST: usize = crate::wire::MAX_UDP_BYTES;
        match text.parse::<usize>() {
            Ok(bytes) if (LEAST..=MOST).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(ValueError::Range(LEAST, MOST)),
        }
    }
}

/// Which share of the answers that are too many says to ask over TCP: one in so many, 0 for none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slip(pub u32);

impl FromStr for Slip {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const MOST: usize = 100;
        match text.parse::<u32>() {
            Ok(slip) if slip as usize <= MOST => Ok(Self(slip)),
            _ => Err(ValueError::Range(0, MOST)),
        }
    }
}

/// Whether something is done. YAML 1.1 has `on` and `off` for its booleans.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "on" | "true" => Ok(Self(true)),
            "off" | "false" => Ok(Self(false)),
            _ => Err(ValueError::Word("on or off")),
        }
    }
}

/// A text that a DNS message carries as one character string
/// ([RFC 1035 §3.3](https://www.rfc-editor.org/rfc/rfc1035#section-3.3)).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CharacterString(pub Box<str>);

impl FromStr for CharacterString {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.len() {
            1..=255 => Ok(Self(text.into())),
            _ => Err(ValueError::CharacterString),
        }
    }
}

/// How far links in mesh folders are followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Links(pub FollowLinks);

impl FromStr for Links {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "anywhere" => Ok(Self(FollowLinks::Anywhere)),
            "inside" => Ok(Self(FollowLinks::Inside)),
            _ => Err(ValueError::Word("anywhere or inside")),
        }
    }
}

/// What hosts answer that have no healthy endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AllUnhealthy(pub WhenAllUnhealthy);

impl FromStr for AllUnhealthy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "none" => Ok(Self(WhenAllUnhealthy::None)),
            "all" => Ok(Self(WhenAllUnhealthy::All)),
            _ => Err(ValueError::Word("none or all")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_at_an_address_or_off() {
        assert_eq!("off".parse(), Ok(Http::Off));
        assert_eq!(":9153".parse(), ":9153".parse().map(Http::At));
        assert_eq!("on".parse::<Http>(), Err(ValueError::Http));
    }

    #[track_caller]
    fn check<T: FromStr<Err = ValueError>>(text: &str, is_valid: bool) {
        assert_eq!(text.parse::<T>().is_ok(), is_valid, "{text}");
    }

    #[test]
    fn durations_need_a_unit_and_an_end() {
        check::<Period>("5s", true);
        check::<Period>("1m 30s", true);
        check::<Period>("500ms", true);
        check::<Period>("5", false);
        check::<Period>("-5s", false);
        check::<Period>("2days", false);
        check::<Period>("0s", true);
        check::<Wait>("0s", false);
        check::<Wait>("1ms", true);
        check::<TtlPeriod>("5s", true);
        check::<TtlPeriod>("0s", true);
        check::<TtlPeriod>("500ms", false);
        check::<TtlPeriod>("70years", false);
    }

    #[test]
    fn zones_are_host_names() {
        check::<Domain>("internal.com", true);
        check::<Domain>("Internal.COM.", true);
        check::<Domain>("_tcp.internal.com", true);
        check::<Domain>(".", true);
        check::<Domain>("*.internal.com", false);
        check::<Domain>("internal..com", false);
        check::<Domain>("", false);
        check::<Domain>("internal com", false);
    }

    #[test]
    fn log_levels_are_levels_and_not_any_word() {
        check::<LogLevel>("info", true);
        check::<LogLevel>("WARN", true);
        check::<LogLevel>("info,meshdns::control=debug", true);
        check::<LogLevel>("verbose", false);
        check::<LogLevel>("info,meshdns::control=loud", false);
        check::<LogLevel>("", false);
    }

    #[test]
    fn counts_have_limits() {
        check::<Workers>("1", true);
        check::<Workers>("0", false);
        check::<Workers>("1025", false);
        check::<Limit>("1000000", true);
        check::<Limit>("-1", false);
        check::<AnswerBytes>("127", false);
        check::<AnswerBytes>("128", true);
        check::<AnswerBytes>("1232", true);
        check::<AnswerBytes>("1233", false);
        check::<Slip>("0", true);
        check::<Slip>("100", true);
        check::<Slip>("101", false);
        check::<Switch>("on", true);
        check::<Switch>("false", true);
        check::<Switch>("yes", false);
    }
}
