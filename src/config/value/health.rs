use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;

use super::{ValueError, Wait, bare_ip};
use crate::{
    diagnostic::Kind,
    dns::Name,
    health::{GroupProbes, WhenAllFail},
};

/// What a check is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckName(pub Box<str>);

impl FromStr for CheckName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !(1..=63).contains(&text.len()) || !text.bytes().all(is_of_name) {
            return Err(ValueError::CheckName);
        }
        Ok(Self(text.into()))
    }
}

/// The kind of objects whose endpoints can be checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckedKind(pub Kind);

impl FromStr for CheckedKind {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "WorkloadEntry" => Ok(Self(Kind::WorkloadEntry)),
            "ServiceEntry" => Ok(Self(Kind::ServiceEntry)),
            _ => Err(ValueError::Word("WorkloadEntry or ServiceEntry")),
        }
    }
}

/// A host as a ServiceEntry writes it; it may be a wildcard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostName(pub Name);

impl FromStr for HostName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let name = Name::from_text(text).map_err(ValueError::Domain)?;
        let bare = text.strip_prefix("*.").unwrap_or(text);
        let is_host_character = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !bare.bytes().all(is_host_character) {
            return Err(ValueError::DomainCharacter);
        }
        Ok(Self(name))
    }
}

/// Looks whether an object can have a label, by the characters that labels have.
pub(in crate::config) fn check_label(key: &str, value: &str) -> Result<(), ValueError> {
    let is_of_label = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    let is_key = (1..=317).contains(&key.len()) && key.chars().all(is_of_label);
    let is_value = value.len() <= 63
        && value
            .chars()
            .all(|letter| is_of_label(letter) && letter != '/');
    if is_key && is_value {
        Ok(())
    } else {
        Err(ValueError::Label)
    }
}

/// A network that probes may go to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProbeNetwork(pub IpNet);

impl FromStr for ProbeNetwork {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let super::Network(network) = text.parse()?;
        if never_probed().any(|never| never.contains(&network)) {
            return Err(ValueError::NeverProbed);
        }
        Ok(Self(network))
    }
}

/// Addresses that probes never go to, whatever is named: link-local, multicast, broadcast and unspecified ones.
const NEVER_PROBED: [&str; 7] = [
    "169.254.0.0/16",
    "fe80::/10",
    "224.0.0.0/4",
    "ff00::/8",
    "255.255.255.255/32",
    "0.0.0.0/32",
    "::/128",
];

/// Whether an address is one of those.
fn is_never_probed(address: IpAddr) -> bool {
    never_probed().any(|never| never.contains(&address))
}

fn never_probed() -> impl Iterator<Item = IpNet> {
    NEVER_PROBED
        .iter()
        .map(|text| text.parse().expect("the text is a network"))
}

/// Where probes come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProbeSource(pub IpAddr);

impl FromStr for ProbeSource {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let address = bare_ip(text).filter(|address| !is_never_probed(*address));
        address.map(Self).ok_or(ValueError::ProbeSource)
    }
}

/// What answers while our own network is well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Canary(pub SocketAddr);

impl FromStr for Canary {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let address = text.parse::<SocketAddr>().ok();
        let address =
            address.filter(|address| address.port() != 0 && !address.ip().is_unspecified());
        address.map(Self).ok_or(ValueError::Canary)
    }
}

/// A share from `1%` to `100%`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    /// From 1 to 100.
    pub percent: u8,
}

impl FromStr for Share {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.trim_end().parse().ok());
        let percent = percent.filter(|percent| (1..=100).contains(percent));
        percent
            .map(|percent| Self { percent })
            .ok_or(ValueError::Share)
    }
}

/// How old a report may be; `None` for `off`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReportAge {
    /// At least 1.
    pub seconds: Option<u32>,
}

impl FromStr for ReportAge {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // YAML 1.1's `off` is `false` in the hands of a tool that rewrites it.
        if matches!(text, "off" | "false") {
            return Ok(Self { seconds: None });
        }
        let Wait(age) = text.parse().map_err(|_| ValueError::ReportAge)?;
        let seconds = u32::try_from(age.as_secs()).ok();
        let seconds = seconds.filter(|seconds| *seconds > 0 && age.subsec_nanos() == 0);
        let seconds = Some(seconds.ok_or(ValueError::ReportAge)?);
        Ok(Self { seconds })
    }
}

/// Whether WorkloadGroups' probes count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WorkloadGroups(pub GroupProbes);

impl FromStr for WorkloadGroups {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" | "false" => Ok(Self(GroupProbes::Off)),
            "unreported" => Ok(Self(GroupProbes::Unreported)),
            "all" => Ok(Self(GroupProbes::All)),
            _ => Err(ValueError::Word("off, unreported or all")),
        }
    }
}

/// What hosts answer whose endpoints all fail their checks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AllFail(pub WhenAllFail);

impl FromStr for AllFail {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "all" => Ok(Self(WhenAllFail::All)),
            "none" => Ok(Self(WhenAllFail::None)),
            _ => Err(ValueError::Word("all or none")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = ValueError>>(text: &str, is_valid: bool) {
        assert_eq!(text.parse::<T>().is_ok(), is_valid, "{text}");
    }

    #[test]
    fn networks_are_those_that_probes_may_ever_go_to() {
        for (text, is_valid) in [
            ("10.0.0.0/8", true),
            ("0.0.0.0/0", true),
            ("::/0", true),
            ("127.0.0.0/8", true),
            ("::1", true),
            ("169.254.0.0/16", false),
            ("169.254.169.254", false),
            ("fe80::/10", false),
            ("224.0.0.0/4", false),
            ("ff02::/16", false),
            ("0.0.0.0", false),
            ("::", false),
            ("ten", false),
        ] {
            check::<ProbeNetwork>(text, is_valid);
        }
    }

    #[test]
    fn canaries_have_an_address_and_a_port() {
        check::<Canary>("10.0.0.1:53", true);
        check::<Canary>("[2001:db8::1]:53", true);
        check::<Canary>("10.0.0.1", false);
        check::<Canary>("10.0.0.1:0", false);
        check::<Canary>("dns.test:53", false);
        check::<ProbeSource>("10.0.0.53", true);
        check::<ProbeSource>("[2001:db8::1]", true);
        check::<ProbeSource>("0.0.0.0", false);
        check::<ProbeSource>("10.0.0.53:80", false);
    }

    #[test]
    fn shares_and_ages_have_their_units() {
        check::<Share>("50%", true);
        check::<Share>("0%", false);
        check::<Share>("101%", false);
        check::<Share>("50", false);
        check::<ReportAge>("off", true);
        check::<ReportAge>("60s", true);
        check::<ReportAge>("500ms", false);
        check::<ReportAge>("60", false);
    }

    #[test]
    fn matches_are_what_objects_can_have() {
        assert!(check_label("app.kubernetes.io/name", "orders").is_ok());
        assert!(check_label("app", "").is_ok());
        for (key, value) in [
            ("", "a"),
            ("a b", "c"),
            ("a", "b c"),
            ("a", "b,c=d"),
            ("a", " "),
        ] {
            assert!(check_label(key, value).is_err(), "{key}={value}");
        }
        check::<HostName>("*.shop.test", true);
        check::<HostName>("Shop.test", true);
        check::<HostName>("*shop.test", false);
        check::<HostName>("shop test", false);
        check::<CheckedKind>("Pod", false);
        check::<CheckName>("orders-v2.1", true);
        check::<CheckName>("or ders", false);
    }
}
