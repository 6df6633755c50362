//! Reads what annotations ask of the answers of a ServiceEntry's hosts.
//!
//! A value that can't be read is told with what to write in its place, and the object counts all the same: a typo in a share must
//! neither take a host out of service nor turn one percent into a third of all.

use std::num::{NonZeroU16, NonZeroU32};

use super::{
    AnswerMode, MaxAddresses, PREFIX, Percent, ShareBy, Shares, TrafficDistribution, TrafficNotes,
};
use crate::{
    diagnostic::code,
    manifest::{
        findings::{Findings, nearest},
        labels,
        value::{NodeId, quoted},
    },
};

/// The annotations, without their prefix.
pub(super) const SHARE: &str = "share";
pub(super) const SHARE_BY: &str = "share-by";
pub(super) const ANSWER: &str = "answer";
pub(super) const MAX_ADDRESSES: &str = "max-addresses";
pub(super) const HTTPS: &str = "https";
pub(super) const TXT: &str = "txt";
pub(super) const GRPC_CONFIG: &str = "grpc-config";
pub(super) const PTR: &str = "ptr";

/// Istio's own annotation.
const DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";

/// The groups of [`ShareBy::Kind`].
const KINDS: [&str; 2] = ["pod", "vm"];

/// How many groups may have a share: each is weighed whenever a host is compiled.
const MAX_GROUPS: usize = 64;

/// How many protocols a client may be offered.
const MAX_PROTOCOLS: usize = 32;

/// How many TXT records a host may have, and how many bytes their texts, or the config of gRPC: with names and lengths all of
/// them fit one DNS message.
const MAX_TEXTS: usize = 256;
const MAX_TEXT_BYTES: usize = 32 << 10;

/// Reads one annotation after the other.
#[derive(Default)]
pub(in crate::manifest) struct Reader<'a> {
    notes: TrafficNotes,
    share: Option<Stated<'a>>,
    share_by: Option<Stated<'a>>,
    unreadable: Vec<&'static str>,
}

/// The value of an annotation, and where it stands.
#[derive(Clone, Copy)]
struct Stated<'a> {
    key: NodeId,
    value: NodeId,
    text: &'a str,
}

impl<'a> Reader<'a> {
    /// Takes in an annotation that is not ours.
    pub(in crate::manifest) fn read_foreign(&mut self, annotation: &str, text: &str) {
        if annotation == DISTRIBUTION {
            self.notes.distribution = Some(distribution(text));
        }
    }

    /// Takes in an annotation of ours, by its name without prefix.
    pub(in crate::manifest) fn read(
        &mut self,
        findings: &mut Findings,
        name: &str,
        key: NodeId,
        value: NodeId,
        text: &'a str,
    ) {
        let stated = Stated { key, value, text };
        let notes = &mut self.notes;
        let unreadable = match name {
            SHARE => {
                self.share = Some(stated);
                return;
            }
            SHARE_BY => {
                self.share_by = Some(stated);
                return;
            }
            ANSWER => set(&mut notes.answer, answer(text).map(Some), ANSWER),
            MAX_ADDRESSES => {
                let read = max_addresses(text).map(Some);
                set(&mut notes.max_addresses, read, MAX_ADDRESSES)
            }
            HTTPS => set(&mut notes.https, protocols(text), HTTPS),
            TXT => set(&mut notes.texts, texts(text), TXT),
            GRPC_CONFIG => {
                let read = grpc_config(text).map(Some);
                set(&mut notes.grpc_config, read, GRPC_CONFIG)
            }
            PTR => set(&mut notes.takes_pointers, yes_or_no(text), PTR),
            _ => unreachable!("the names are those of the table"),
        };
        if let Err(unreadable) = unreadable {
            self.note(findings, stated, unreadable);
        }
    }

    /// What was read; `None` where that is nothing.
    pub(in crate::manifest) fn finish(
        mut self,
        findings: &mut Findings,
    ) -> Option<Box<TrafficNotes>> {
        self.join_shares(findings);
        self.unreadable.sort_unstable();
        self.notes.unreadable = self.unreadable.into();
        (self.notes != TrafficNotes::default()).then(|| Box::new(self.notes))
    }

    /// A share means nothing without what it is a share of.
    fn join_shares(&mut self, findings: &mut Findings) {
        let by = match self.share_by.map(|by| (by, share_by(by.text))) {
            None => ShareBy::Kind,
            Some((_, Ok(by))) => by,
            Some((stated, Err(problem))) => {
                return self.note(findings, stated, Unreadable(SHARE_BY, problem));
            }
        };
        match (self.share, self.share_by) {
            (Some(stated), _) => match shares(stated.text, by) {
                Ok(shares) => self.notes.shares = Some(shares),
                Err(problem) => self.note(findings, stated, Unreadable(SHARE, problem)),
            },
            (None, Some(by)) => {
                let message = "there is no `meshdns.io/share` that this annotation belongs to: write one, or take this out";
                findings.warning(by.key, code::OUR_ANNOTATION, message);
            }
            (None, None) => {}
        }
    }

    fn note(&mut self, findings: &mut Findings, at: Stated<'_>, unreadable: Unreadable) {
        let Unreadable(name, problem) = unreadable;
        tell(findings, at.value, name, at.text, &problem);
        self.unreadable.push(name);
    }
}

/// An annotation, and what is wrong with its value.
struct Unreadable(&'static str, String);

fn set<T>(place: &mut T, read: Result<T, String>, name: &'static str) -> Result<(), Unreadable> {
    *place = read.map_err(|problem| Unreadable(name, problem))?;
    Ok(())
}

fn tell(findings: &mut Findings, at: NodeId, name: &str, text: &str, problem: &str) {
    let message = format!(
        "`{PREFIX}{name}` is {}: {problem}; until then what it said before counts",
        quoted(text)
    );
    findings.unread(at, code::UNREADABLE_ANNOTATION, message);
}

/// Reads `meshdns.io/weight`; `None` where it can't be read.
pub(in crate::manifest) fn weight(
    findings: &mut Findings,
    at: NodeId,
    text: &str,
) -> Option<NonZeroU32> {
    let number = digits(text).then(|| text.parse::<u32>().ok()).flatten();
    if number.is_none() {
        let problem = "write a number from 1 to 4294967295";
        tell(findings, at, "weight", text, problem);
    }
    // As in Istio, none is one.
    number.map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
}

fn shares(text: &str, by: ShareBy) -> Result<Shares, String> {
    let mut wanted: Vec<(Box<str>, Percent)> = Vec::new();
    for part in text.split(',') {
        let Some((group, share)) = part.split_once('=') else {
            return Err(match part.trim() {
                "" => "a share is missing: write such as `pod=10`".to_owned(),
                part => format!("{} is no share: write such as `pod=10`", quoted(part)),
            });
        };
        let group = group.trim();
        check_group(group, &by)?;
        if wanted.iter().any(|(other, _)| **other == *group) {
            return Err(format!("{} stands there twice: keep one", quoted(group)));
        }
        wanted.push((group.into(), percent(share.trim())?));
        if wanted.len() > MAX_GROUPS {
            return Err(format!(
                "{MAX_GROUPS} groups are the most that may have a share"
            ));
        }
    }
    let sum: u32 = wanted
        .iter()
        .map(|(_, share)| u32::from(share.hundredths()))
        .sum();
    let whole = u32::from(Percent::WHOLE.hundredths());
    let is_all = by == ShareBy::Kind && wanted.len() == KINDS.len();
    if sum > whole || is_all && sum != whole {
        let limit = if is_all { "exactly" } else { "at most" };
        let (sum, rest) = (sum / 100, sum % 100);
        return Err(format!(
            "the shares come to {sum}.{rest:02} %: write shares that come to {limit} 100"
        ));
    }
    wanted.sort_unstable();
    Ok(Shares {
        by,
        wanted: wanted.into(),
    })
}

fn check_group(group: &str, by: &ShareBy) -> Result<(), String> {
    match by {
        ShareBy::Kind if !KINDS.contains(&group) => {
            let singular = group.strip_suffix('s');
            let meant = singular.filter(|singular| KINDS.contains(singular));
            Err(match meant.or_else(|| nearest(group, &KINDS)) {
                Some(meant) => format!(
                    "there is no group {}; did you mean `{meant}`?",
                    quoted(group)
                ),
                None => format!(
                    "there is no group {}: the groups are `pod` and `vm`, or the values of a label with `{PREFIX}{SHARE_BY}: label:version`",
                    quoted(group)
                ),
            })
        }
        ShareBy::Label(_) if group.is_empty() || !labels::is_value(group) => {
            Err(format!("{} is no value of a label", quoted(group)))
        }
        ShareBy::Kind | ShareBy::Label(_) => Ok(()),
    }
}

fn percent(text: &str) -> Result<Percent, String> {
    if let Some(percent) = Percent::from_text(text) {
        return Ok(percent);
    }
    let text = text.trim();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let shown = quoted(text);
    let is_number = digits(whole) && digits(decimals);
    Err(if is_number && decimals.len() > 2 {
        format!("{shown} has more than two decimals: leave the others out")
    } else if is_number {
        format!("{shown} is more than 100 %: write a number from 0 to 100")
    } else {
        let meant = text.trim_end_matches('%').trim();
        let meant = meant.replace(['O', 'o'], "0").replace(['l', 'I'], "1");
        match Percent::from_text(&meant) {
            Some(meant) => format!("{shown} is no number; did you mean `{meant}`?"),
            None => {
                format!("{shown} is no number: write one from 0 to 100, with two decimals at most")
            }
        }
    })
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn share_by(text: &str) -> Result<ShareBy, String> {
    match text.split_once(':') {
        None if text == "kind" => Ok(ShareBy::Kind),
        Some(("label", key)) if labels::is_label_key(key) => Ok(ShareBy::Label(key.into())),
        Some(("label", key)) => Err(format!(
            "{} is no key of a label: write a whole one, such as `label:app.kubernetes.io/version`",
            quoted(key)
        )),
        _ => Err(
            "write `kind`, or `label:` and the key of a label, such as `label:version`".to_owned(),
        ),
    }
}

fn answer(text: &str) -> Result<AnswerMode, String> {
    match text {
        "side" => Ok(AnswerMode::Side),
        "mix" => Ok(AnswerMode::Mix),
        "all" => Ok(AnswerMode::All),
        _ => Err(match nearest(text, &["side", "mix", "all"]) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write `side`, `mix` or `all`".to_owned(),
        }),
    }
}

fn max_addresses(text: &str) -> Result<MaxAddresses, String> {
    if text == "auto" {
        return Ok(MaxAddresses::Fitting);
    }
    let number = digits(text).then(|| text.parse::<u16>().ok()).flatten();
    match number.map(NonZeroU16::new) {
        Some(Some(number)) => Ok(MaxAddresses::Number(number)),
        Some(None) => Ok(MaxAddresses::All),
        None => Err("write `auto`, a number from 1 to 65535, or `0` for all".to_owned()),
    }
}

fn protocols(text: &str) -> Result<Box<[Box<str>]>, String> {
    match text {
        "true" => return Ok(["h2", "http/1.1"].map(Box::from).into()),
        "false" => return Ok(Box::default()),
        _ => {}
    }
    let mut protocols: Vec<Box<str>> = Vec::new();
    for protocol in text.split(',').map(str::trim) {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let is_word = matches!(protocol, "" | "true" | "false");
        if is_word || protocol.len() > 255 || !protocol.bytes().all(is_plain) {
            return Err(format!(
                "{} is no protocol of ALPN: write `true`, or such as `h2,http/1.1`",
                quoted(protocol)
            ));
        }
        if !protocols.iter().any(|other| **other == *protocol) {
            protocols.push(protocol.into());
        }
        if protocols.len() > MAX_PROTOCOLS {
            return Err(format!("{MAX_PROTOCOLS} protocols are the most"));
        }
    }
    Ok(protocols.into())
}

fn texts(text: &str) -> Result<Box<[Box<str>]>, String> {
    let list: Vec<Box<str>> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| {
            format!("this is no JSON list of texts ({error}): write such as `[\"one\", \"two\"]`")
        })?
    } else {
        vec![text.into()]
    };
    if text.is_empty() {
        return Err("write a text, or a JSON list of texts".to_owned());
    }
    let mut texts: Vec<Box<str>> = Vec::new();
    for text in list {
        if !texts.contains(&text) {
            texts.push(text);
        }
        if texts.len() > MAX_TEXTS {
            return Err(format!("{MAX_TEXTS} texts are the most"));
        }
    }
    check_bytes(texts.iter().map(|text| text.len()).sum())?;
    Ok(texts.into())
}

fn grpc_config(text: &str) -> Result<Box<str>, String> {
    let read = serde_json::from_str::<serde_json::Value>(text);
    let value = read.map_err(|error| format!("this is no JSON ({error})"))?;
    let is_choice = serde_json::Value::is_object;
    if !value
        .as_array()
        .is_some_and(|list| list.iter().all(is_choice))
    {
        return Err(
            "write the list of choices that gRPC reads, such as `[{\"serviceConfig\": {}}]`"
                .to_owned(),
        );
    }
    check_bytes(text.len())?;
    Ok(text.into())
}

fn check_bytes(bytes: usize) -> Result<(), String> {
    if bytes > MAX_TEXT_BYTES {
        return Err(format!(
            "it has {bytes} bytes, and {MAX_TEXT_BYTES} are the most"
        ));
    }
    Ok(())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("write `true` or `false`".to_owned()),
    }
}

/// As Istio's `GetTrafficDistribution` (`serviceentry/conversion.go`): what is unknown says that anywhere will do.
fn distribution(text: &str) -> TrafficDistribution {
    match text.to_ascii_lowercase().as_str() {
        "preferclose" | "prefersamezone" => TrafficDistribution::SameZone,
        "prefersamenode" => TrafficDistribution::SameNode,
        _ => TrafficDistribution::Any,
    }
}

#[cfg(test)]
mod tests;
