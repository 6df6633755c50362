//! `/api/health`: what this server itself has observed of endpoints. Another one may have observed something else.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    diagnostic::Cluster,
    health::{Described, HeldFor, Out, Ruling, Target, TargetId, Verdict, View, stanza},
    manifest::Probe,
    pipeline::{EndpointPlace, JudgedEndpoint},
    probe::SharedBoard,
    status::Status,
};

/// The page. Times are [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)'s, in UTC.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthPage {
    /// When it was made.
    pub at: String,
    /// Whether something is known of every endpoint that stood in the mesh at the start.
    pub is_settled: bool,
    /// Since when failures take nobody out because there are too many.
    pub frozen_since: Option<String>,
    /// What is probed, by address; endpoints that are checked alike are one.
    pub targets: Vec<TargetPage>,
    /// Endpoints that are being drained.
    pub drains: Vec<DrainPage>,
}

/// One target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetPage {
    /// Where.
    pub address: IpAddr,
    /// How, in short: `GET :8080/healthz`.
    pub check: String,
    /// How, as a stanza.
    pub probe: Value,
    /// `pending`, `passing` or `failing`: what the observations say, whatever follows from it.
    pub verdict: String,
    /// Since when that is so.
    pub since: String,
    /// How many observations in a row were like the newest.
    pub in_a_row: u32,
    /// When the newest was made.
    pub observed: Option<String>,
    /// What follows for the endpoints.
    pub outcome: OutcomeWord,
    /// Whether they were in before: only then they may stay as the last ones of a host.
    pub had_place: bool,
    /// Why, in a sentence.
    pub why: String,
    /// The endpoints that have the address and the check: the first [`TargetPage::MOST_ENDPOINTS`] by their names. `None` where the
    /// server was too busy to say.
    #[serde(default)]
    pub endpoints: Option<Vec<EndpointPage>>,
    /// How many more there are.
    #[serde(default)]
    pub more_endpoints: usize,
}

/// An endpoint that is checked, with all that is said of it: by its object, by persons, by reports and by its check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPage {
    /// The kind of its object.
    pub kind: String,
    /// The namespace of its object.
    pub namespace: String,
    /// The name of its object.
    pub name: String,
    /// The cluster that its object was read from, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The hosts that have it: the first [`JudgedEndpoint::MOST_HOSTS`].
    pub hosts: Vec<String>,
    /// How many more have it.
    pub more_hosts: usize,
    /// Whether it answers.
    pub state: StateWord,
    /// Why.
    pub why: Option<String>,
}

/// Whether an endpoint answers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateWord {
    /// It does.
    In,
    /// It fails its check and does all the same.
    Kept,
    /// It doesn't.
    Out,
}

/// What follows from a check, before anyone looks at the host as a whole, at persons' words and at conditions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeWord {
    /// In: the check passes.
    In,
    /// In, and nothing is known.
    InPending,
    /// In, for too many fail.
    HeldFrozen,
    /// In, for the check never passed for anyone.
    HeldUnproven,
    /// Out, for nothing is known.
    OutPending,
    /// Out: the check fails.
    Out,
}

/// An endpoint that is being drained.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainPage {
    /// As the override file names it.
    pub endpoint: String,
    /// The cluster that its object was read from, where several are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Who says so, why, and until when.
    pub by: String,
    /// When the answers lost it.
    pub since: String,
    /// When resolvers have forgotten it.
    pub forgotten: String,
    /// When it may be stopped.
    pub safe: String,
}

/// What a server shows is no page of this form.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It is no such JSON.
    #[error("read what the server shows of health")]
    Json(#[from] serde_json::Error),
    /// A check in it is none.
    #[error("read a check that the server shows: {0}")]
    Check(String),
}

impl HealthPage {
    /// What is known at this moment; `judged` of endpoints, where anybody could say.
    pub(super) fn new(
        board: &SharedBoard,
        status: &Status,
        judged: Option<&[JudgedEndpoint]>,
    ) -> Self {
        let endpoints = judged.map(by_target);
        let (mut views, is_settled, frozen_since) = board.read(|board, now| {
            let views: Vec<View> = board.views(now).collect();
            (views, board.is_settled(), board.standings().frozen_since)
        });
        views.sort_unstable_by(|one, other| one.target.cmp(&other.target));
        let drains = status.orders.iter();
        let drains = drains.flat_map(|orders| orders.drains.values());
        Self {
            at: text(SystemTime::now()),
            is_settled,
            frozen_since: frozen_since.map(of_seconds),
            targets: views
                .into_iter()
                .map(|view| TargetPage::new(view, endpoints.as_ref()))
                .collect(),
            drains: drains
                .map(|drain| DrainPage {
                    endpoint: drain.endpoint.clone(),
                    cluster: drain.cluster.as_ref().map(name_of),
                    by: drain.by.clone(),
                    since: text(drain.since),
                    forgotten: text(drain.forgotten),
                    safe: text(drain.safe),
                })
                .collect(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and lists can be written")
    }

    /// Reads the page of another server.
    ///
    /// # Errors
    ///
    /// [`PageError`] where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, PageError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl TargetPage {
    /// How many endpoints of one target are named at most.
    pub const MOST_ENDPOINTS: usize = 8;

    fn new(view: View, endpoints: Option<&HashMap<TargetId, Vec<&JudgedEndpoint>>>) -> Self {
        let of_target = endpoints.map(|endpoints| match endpoints.get(&view.id) {
            Some(of_target) => &**of_target,
            None => &[],
        });
        let (outcome, had_place) = match &view.ruling {
            Ruling::Passing => (OutcomeWord::In, true),
            Ruling::Pending => (OutcomeWord::InPending, true),
            Ruling::Held(HeldFor::Frozen, _) => (OutcomeWord::HeldFrozen, true),
            Ruling::Held(HeldFor::Unproven, _) => (OutcomeWord::HeldUnproven, true),
            Ruling::Out(out) if out.is_pending => (OutcomeWord::OutPending, out.had_place),
            Ruling::Out(out) => (OutcomeWord::Out, out.had_place),
        };
        Self {
            address: view.target.address,
            check: Described(&view.target.probe).to_string(),
            probe: stanza(&view.target.probe),
            verdict: verdict(view.verdict).to_owned(),
            since: of_seconds(view.since),
            in_a_row: view.row,
            observed: view.observed.map(of_seconds),
            outcome,
            had_place,
            why: view.why.into(),
            endpoints: of_target.map(|endpoints| {
                let named = endpoints.iter().take(Self::MOST_ENDPOINTS);
                named.map(|judged| EndpointPage::new(judged)).collect()
            }),
            more_endpoints: of_target
                .map_or(0, |all| all.len().saturating_sub(Self::MOST_ENDPOINTS)),
        }
    }

    /// What is probed.
    ///
    /// # Errors
    ///
    /// [`PageError`] where the stanza is none.
    pub fn target(&self) -> Result<Target, PageError> {
        let probe = Probe::from_text(&self.probe.to_string())
            .map_err(|problems| PageError::Check(problems.join("; ")))?;
        Ok(Target {
            address: self.address,
            probe: Arc::new(probe),
        })
    }

    /// What follows from it.
    pub fn ruling(&self) -> Ruling {
        let text = || self.why.as_str().into();
        match self.outcome {
            OutcomeWord::In => Ruling::Passing,
            OutcomeWord::InPending => Ruling::Pending,
            OutcomeWord::HeldFrozen => Ruling::Held(HeldFor::Frozen, text()),
            OutcomeWord::HeldUnproven => Ruling::Held(HeldFor::Unproven, text()),
            OutcomeWord::OutPending | OutcomeWord::Out => Ruling::Out(Out {
                is_pending: self.outcome == OutcomeWord::OutPending,
                had_place: self.had_place,
                text: text(),
            }),
        }
    }
}

impl EndpointPage {
    fn new(judged: &JudgedEndpoint) -> Self {
        let key = &judged.endpoint.key;
        Self {
            kind: key.kind.as_str().to_owned(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            cluster: judged.cluster.as_ref().map(name_of),
            hosts: judged.hosts.iter().map(ToString::to_string).collect(),
            more_hosts: judged.more_hosts,
            state: match judged.place {
                EndpointPlace::In => StateWord::In,
                EndpointPlace::Kept => StateWord::Kept,
                EndpointPlace::Out => StateWord::Out,
            },
            why: judged.why.clone(),
        }
    }
}

/// As `meshdns health` names it.
impl fmt::Display for EndpointPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)?;
        match &self.cluster {
            Some(cluster) => write!(f, " in {cluster}"),
            None => Ok(()),
        }
    }
}

impl StateWord {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Kept => "kept",
            Self::Out => "out",
        }
    }
}

/// Endpoints by what they have in common, in the order of their names.
fn by_target(judged: &[JudgedEndpoint]) -> HashMap<TargetId, Vec<&JudgedEndpoint>> {
    let mut by_target = HashMap::<_, Vec<_>>::new();
    for endpoint in judged {
        let of_target = by_target.entry(endpoint.endpoint.id).or_default();
        of_target.push(endpoint);
    }
    for endpoints in by_target.values_mut() {
        endpoints.sort_unstable_by_key(|judged| (&judged.endpoint.key, &judged.cluster));
    }
    by_target
}

fn name_of(cluster: &Cluster) -> String {
    cluster.name().to_owned()
}

/// A verdict in a word.
fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pending => "pending",
        Verdict::Passing => "passing",
        Verdict::Failing => "failing",
    }
}

fn of_seconds(seconds: u64) -> String {
    text(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn text(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::TargetId;

    #[test]
    fn what_is_shown_is_read_as_it_was() {
        let probe = Arc::new(Probe::from_text("httpGet: {path: /h, port: 80}").expect("valid"));
        let target = Target {
            address: "10.0.0.1".parse().expect("valid"),
            probe,
        };
        let out = |is_pending, had_place| {
            Ruling::Out(Out {
                is_pending,
                had_place,
                text: "why".into(),
            })
        };
        for ruling in [
            Ruling::Passing,
            Ruling::Pending,
            Ruling::Held(HeldFor::Frozen, "why".into()),
            Ruling::Held(HeldFor::Unproven, "why".into()),
            out(true, false),
            out(false, false),
            out(false, true),
        ] {
            let view = View {
                id: TargetId(1),
                target: target.clone(),
                verdict: Verdict::Failing,
                row: 2,
                since: 7,
                observed: None,
                ruling: ruling.clone(),
                why: "why".into(),
            };
            let page = HealthPage {
                at: of_seconds(9),
                is_settled: true,
                frozen_since: None,
                targets: vec![TargetPage::new(view, None)],
                drains: Vec::new(),
            };
            let read = HealthPage::parse(page.to_json().as_bytes()).expect("a page");
            assert_eq!(read, page);
            assert_eq!(read.targets[0].ruling(), ruling);
            assert_eq!(read.targets[0].target().expect("a target"), target);
        }
    }
}
