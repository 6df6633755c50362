//! What annotations ask of the answers of a ServiceEntry's hosts: `meshdns.io/share` and its kin, and Istio's own
//! `networking.istio.io/traffic-distribution`.
//!
//! Nothing of it changes an answer where nobody writes it. What can't be read is an error with its place, and the object counts
//! all the same: the last value that could be read stays ([`TrafficNotes::unreadable`]).

mod read;
mod write;

use std::num::NonZeroU16;

pub(super) use read::{Reader, weight};

/// How our annotations begin.
pub(super) const PREFIX: &str = "meshdns.io/";

/// What a ServiceEntry's annotations ask of the answers of its hosts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrafficNotes {
    /// `meshdns.io/share` with its `share-by`.
    pub shares: Option<Shares>,
    /// `meshdns.io/answer`.
    pub answer: Option<AnswerMode>,
    /// `meshdns.io/max-addresses`.
    pub max_addresses: Option<MaxAddresses>,
    /// `meshdns.io/https`: the protocols of ALPN ([RFC 9460 §7.1](https://www.rfc-editor.org/rfc/rfc9460#section-7.1)).
    pub https: Box<[Box<str>]>,
    /// `meshdns.io/txt`: the texts of the hosts' TXT records, in the order in which they are written, each once.
    pub texts: Box<[Box<str>]>,
    /// `meshdns.io/grpc-config`: the service config of gRPC, as JSON (gRFC A2).
    pub grpc_config: Option<Box<str>>,
    /// `meshdns.io/ptr`: whether the reverse names of its addresses lead to its hosts.
    pub takes_pointers: bool,
    /// Istio's `networking.istio.io/traffic-distribution`.
    pub distribution: Option<TrafficDistribution>,
    /// The annotations, without prefix, that can't be read: what was read of them before counts on.
    pub unreadable: Box<[&'static str]>,
}

/// How the questions for a host are to be shared out among groups of its endpoints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shares {
    /// What the groups are.
    pub by: ShareBy,
    /// The groups that are named, in the order of their names, once each. They come to a hundred percent at most, and to just
    /// that where [`ShareBy::Kind`] leaves no group to have the rest.
    pub wanted: Box<[(Box<str>, Percent)]>,
}

/// What tells the groups of a host's endpoints apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShareBy {
    /// `pod`, and `vm` for all others.
    Kind,
    /// The values of a label; those that are not named are `other`.
    Label(Box<str>),
}

/// A part of a hundred, in hundredths of a percent.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Percent(u16);

/// Which part of a host's endpoints one answer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerMode {
    /// Some of one group.
    Side,
    /// Some of all groups, in the proportion of the shares.
    Mix,
    /// All of the groups that have a share.
    All,
}

/// How many addresses of one family an answer holds at most.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MaxAddresses {
    /// As many as fit the asker's message.
    #[default]
    Fitting,
    /// This many, over every transport.
    Number(NonZeroU16),
    /// All, with TC where they do not fit.
    All,
}

/// How near to clients endpoints are to be (Istio's `GetTrafficDistribution`, `serviceentry/conversion.go`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrafficDistribution {
    /// Anywhere.
    Any,
    /// `PreferClose` and `PreferSameZone`.
    SameZone,
    /// `PreferSameNode`.
    SameNode,
}

impl TrafficNotes {
    /// Whether endpoints near to the client are to be preferred.
    pub(crate) fn prefers_near(&self) -> bool {
        matches!(
            self.distribution,
            Some(TrafficDistribution::SameZone | TrafficDistribution::SameNode)
        )
    }

    /// Takes what `before`, which the object said before, has of what can't be read.
    pub(crate) fn keep_unreadable(&mut self, before: &Self) {
        for name in &self.unreadable {
            match *name {
                read::SHARE | read::SHARE_BY => self.shares.clone_from(&before.shares),
                read::ANSWER => self.answer = before.answer,
                read::MAX_ADDRESSES => self.max_addresses = before.max_addresses,
                read::HTTPS => self.https.clone_from(&before.https),
                read::TXT => self.texts.clone_from(&before.texts),
                read::GRPC_CONFIG => self.grpc_config.clone_from(&before.grpc_config),
                read::PTR => self.takes_pointers = before.takes_pointers,
                _ => unreachable!("what can't be read is one of these"),
            }
        }
    }
}

impl Percent {
    /// All of it.
    pub const WHOLE: Self = Self(10_000);

    /// So many hundredths of a percent; `None` over a hundred percent.
    pub fn from_hundredths(hundredths: u16) -> Option<Self> {
        (hundredths <= Self::WHOLE.0).then_some(Self(hundredths))
    }

    /// As it is written: a number of percent with at most two decimals, without a sign; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str, longest| {
            (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(whole, 3) || !is_number(decimals, 2) {
            return None;
        }
        let tenth = if decimals.len() == 1 { 10 } else { 1 };
        // Three digits are more hundredths than fit 16 bits.
        let whole = whole.parse::<u16>().ok()?.checked_mul(100)?;
        let decimals = decimals.parse::<u16>().ok()? * tenth;
        Self::from_hundredths(whole.checked_add(decimals)?)
    }

    /// In hundredths of a percent.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// As a part of one.
    pub fn as_ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE.0)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match (rest / 10, rest % 10) {
            (0, 0) => write!(f, "{whole}"),
            (tenths, 0) => write!(f, "{whole}.{tenths}"),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}
