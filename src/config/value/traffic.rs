//! The forms of settings that decide which part of a host's addresses an answer holds.

use std::{num::NonZeroU16, str::FromStr};

use super::{Network, ValueError};
use crate::manifest::{AnswerMode, MaxAddresses, Percent};

/// How many addresses of one family an answer holds at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MostAddresses(pub MaxAddresses);

impl FromStr for MostAddresses {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "auto" {
            return Ok(Self(MaxAddresses::Fitting));
        }
        let number: u16 = text.parse().map_err(|_| ValueError::MaxAddresses)?;
        Ok(Self(match NonZeroU16::new(number) {
            None => MaxAddresses::All,
            Some(number) => MaxAddresses::Number(number),
        }))
    }
}

/// How many addresses of one group an answer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SideAddresses(pub NonZeroU16);

impl FromStr for SideAddresses {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map(Self)
            .map_err(|_| ValueError::SideAddresses)
    }
}

/// What forwarders get of a host with shares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwarderAnswer(pub AnswerMode);

impl FromStr for ForwarderAnswer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "mix" => Ok(Self(AnswerMode::Mix)),
            "side" => Ok(Self(AnswerMode::Side)),
            _ => Err(ValueError::Word("mix or side")),
        }
    }
}

/// How far the healthy part of a group carries its share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HealthFactor {
    /// 0, or from 100 to 1000.
    pub percent: u16,
}

impl FromStr for HealthFactor {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.parse().ok());
        let percent = percent.filter(|percent| *percent == 0 || (100..=1000).contains(percent));
        percent
            .map(|percent| Self { percent })
            .ok_or(ValueError::HealthFactor)
    }
}

/// A part of a hundred, with at most two decimals and without a sign: `10`, `33.33`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PartOfHundred(pub Percent);

impl FromStr for PartOfHundred {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Percent::from_text(text)
            .map(Self)
            .ok_or(ValueError::Percent)
    }
}

/// Who asks for others: a network, or those Pods that are found by their labels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForwarderRule {
    /// CoreDNS's and its node caches' Pods.
    Auto,
    /// Everybody in this network.
    Network(Network),
    /// The same, and they are believed for whom they ask.
    Trusted(Network),
}

/// What a forwarder is believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trust;

impl FromStr for Trust {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "subnet" => Ok(Self),
            _ => Err(ValueError::Word("subnet")),
        }
    }
}

impl FromStr for ForwarderRule {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Network)
                .map_err(|_| ValueError::Forwarder),
        }
    }
}

/// Whether hosts whose ServiceEntry does not say answer with the endpoints near to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PreferNear(pub bool);

impl FromStr for PreferNear {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" | "false" => Ok(Self(false)),
            "preferSameZone" => Ok(Self(true)),
            _ => Err(ValueError::Word("off or preferSameZone")),
        }
    }
}

/// Whether clients see only what is exported to their namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Enforcement(pub bool);

impl FromStr for Enforcement {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "ignore" => Ok(Self(false)),
            "enforce" => Ok(Self(true)),
            _ => Err(ValueError::Word("ignore or enforce")),
        }
    }
}

/// A region, or a zone of it: `eu`, `eu/eu-1`, or with a part of that behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalityText(pub Box<str>);

impl FromStr for LocalityText {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_one = parts.len() <= 3 && parts.iter().all(|part| !part.is_empty());
        is_one
            .then(|| Self(text.into()))
            .ok_or(ValueError::Locality)
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
    fn limits_are_auto_or_numbers_and_shares_have_two_decimals() {
        check::<MostAddresses>("auto", true);
        check::<MostAddresses>("0", true);
        check::<MostAddresses>("65536", false);
        check::<MostAddresses>("-1", false);
        check::<SideAddresses>("1", true);
        check::<SideAddresses>("0", false);
        check::<HealthFactor>("140%", true);
        check::<HealthFactor>("0%", true);
        check::<HealthFactor>("99%", false);
        check::<HealthFactor>("140", false);
        check::<PartOfHundred>("33.33", true);
        check::<PartOfHundred>("33.333", false);
        check::<PartOfHundred>("100.01", false);
        check::<PartOfHundred>("999", false);
        check::<PartOfHundred>("655.99", false);
        check::<PartOfHundred>("1O", false);
        check::<ForwarderRule>("auto", true);
        check::<ForwarderRule>("10.96.0.0/24", true);
        check::<ForwarderRule>("coredns", false);
        check::<PreferNear>("preferSameZone", true);
        check::<PreferNear>("preferClose", false);
        check::<Enforcement>("enforce", true);
        check::<Enforcement>("true", false);
        check::<LocalityText>("eu", true);
        check::<LocalityText>("eu/eu-1/rack-7", true);
        check::<LocalityText>("eu//rack-7", false);
        check::<LocalityText>("", false);
        check::<LocalityText>("a/b/c/d", false);
    }
}
