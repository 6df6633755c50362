//! `/api/health`: what this server itself has observed of endpoints. Another one may have observed something else.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    health::{Described, HeldFor, Out, Ruling, Target, Verdict, View, stanza},
    manifest::Probe,
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
    /// What is known at this moment.
    pub(super) fn new(board: &SharedBoard, status: &Status) -> Self {
        let (mut views, is_settled, frozen_since) = board.read(|board, now| {
            let views: Vec<View> = board.views(now).collect();
            (views, board.is_settled(), board.standings().frozen_since)
        });
        views.sort_unstable_by(|one, other| one.target.cmp(&other.target));
        let drains = status.orders.iter().flat_map(|orders| &orders.drains);
        Self {
            at: text(SystemTime::now()),
            is_settled,
            frozen_since: frozen_since.map(of_seconds),
            targets: views.into_iter().map(TargetPage::new).collect(),
            drains: drains
                .map(|(endpoint, drain)| DrainPage {
                    endpoint: endpoint.clone(),
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
    fn new(view: View) -> Self {
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
                targets: vec![TargetPage::new(view)],
                drains: Vec::new(),
            };
            let read = HealthPage::parse(page.to_json().as_bytes()).expect("a page");
            assert_eq!(read, page);
            assert_eq!(read.targets[0].ruling(), ruling);
            assert_eq!(read.targets[0].target().expect("a target"), target);
        }
    }
}
