use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

use super::{
    page_addresses,
    value::{Domain, Folder, Http, Memory, Period, Switch},
    yaml::OneOrMore,
};
use crate::{dns::Name, history::Limits};

/// Where the status pages are where nothing is said: beside the HTTP pages, on this machine only.
const DEFAULT_UI: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9154);

/// What is served for people, and to whom.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct UiKeys {
    pub listen: Option<Http>,
    pub hosts: Option<OneOrMore<Domain>>,
    pub token_file: Option<Folder>,
    pub open: Option<Switch>,
}

/// How much is kept of what was answered before.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(missing_docs, reason = "docs/configuration.md describes each key")]
pub struct HistoryKeys {
    pub max_size: Option<Memory>,
    pub max_age: Option<Period>,
}

/// The status pages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ui {
    /// Where they are; none for nowhere.
    pub listen: Vec<SocketAddr>,
    /// Who says so: where nobody does, a port that is taken is no reason not to start.
    pub said_by: SaidBy,
    /// By which names they may be asked for, besides `localhost` and addresses.
    pub hosts: Vec<Name>,
    /// The file of the token that whoever asks has to have.
    pub token_file: Option<PathBuf>,
    /// Whether they may be elsewhere than on this machine alone without one.
    pub is_open: bool,
}

/// Where a setting stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SaidBy {
    /// Nowhere.
    Nobody,
    /// In a flag or a variable.
    Flag,
    /// In the configuration file.
    File,
}

impl Ui {
    /// An address that others can reach although nobody said that they may.
    pub(super) fn unguarded(&self) -> Option<SocketAddr> {
        let is_guarded = self.token_file.is_some() || self.is_open;
        let mut remote = self.listen.iter().copied();
        remote.find(|address| !is_guarded && !address.ip().to_canonical().is_loopback())
    }
}

pub(super) fn resolve(flag: Option<Http>, keys: UiKeys) -> Ui {
    let (said, said_by) = match (flag, keys.listen) {
        (Some(flag), _) => (Some(flag), SaidBy::Flag),
        (None, Some(file)) => (Some(file), SaidBy::File),
        (None, None) => (None, SaidBy::Nobody),
    };
    let hosts = keys.hosts.map_or_else(Vec::new, |hosts| hosts.0);
    Ui {
        listen: page_addresses(said, DEFAULT_UI),
        said_by,
        hosts: hosts.into_iter().map(|Domain(name)| name).collect(),
        token_file: keys.token_file.map(|path| path.0),
        is_open: keys.open.is_some_and(|open| open.0),
    }
}

pub(super) fn history(keys: Option<&HistoryKeys>) -> Limits {
    let default = Limits::default();
    Limits {
        bytes: keys
            .and_then(|keys| keys.max_size)
            .map_or(default.bytes, |memory| {
                usize::try_from(memory.bytes).unwrap_or(usize::MAX)
            }),
        age: keys
            .and_then(|keys| keys.max_age)
            .map_or(default.age, |period| period.0),
    }
}
