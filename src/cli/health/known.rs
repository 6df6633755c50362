//! What is known of checks without making any: by a running server, or by the file that one has left.

use std::{collections::HashMap, fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;

use crate::{
    health::{
        Begin, Board, Described, Epoch, Ruling, Saved, Settings, Target, TargetId, Verdict, View,
        Wanted,
    },
    http::{HealthPage, PageError},
    manifest::Probe,
    pipeline::CheckedEndpoint,
};

/// What is known of targets.
pub(super) struct Known {
    /// When it was known: as a server or a file says.
    pub(super) at: String,
    pub(super) targets: HashMap<Target, KnownTarget>,
}

/// What is known of one target.
pub(super) struct KnownTarget {
    pub(super) verdict: String,
    pub(super) ruling: Ruling,
    pub(super) why: String,
}

impl Known {
    /// What a server shows.
    pub(super) fn of_page(page: &HealthPage) -> Result<Self, PageError> {
        // Most targets have one of a few checks.
        let mut probes = HashMap::<String, Arc<Probe>>::new();
        let mut targets = HashMap::new();
        for shown in &page.targets {
            let stanza = shown.probe.to_string();
            let probe = if let Some(probe) = probes.get(&stanza) {
                probe.clone()
            } else {
                let probe = shown.target()?.probe;
                probes.insert(stanza, probe.clone());
                probe
            };
            let known = KnownTarget {
                verdict: shown.verdict.clone(),
                ruling: shown.ruling(),
                why: shown.why.clone(),
            };
            let address = shown.address;
            targets.insert(Target { address, probe }, known);
        }
        Ok(Self {
            at: page.at.clone(),
            targets,
        })
    }

    /// What the file of verdicts at `path` says of `endpoints`.
    pub(super) fn of_file(path: &Path, endpoints: &[CheckedEndpoint]) -> anyhow::Result<Self> {
        let failed = || format!("read the file of verdicts {}", path.display());
        let bytes = fs::read(path).with_context(failed)?;
        let saved = Saved::parse(&bytes).with_context(failed)?;
        let wall = Duration::from_secs(saved.at());
        let at = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + wall).to_string();
        // A server that starts at the time of the file would go on so.
        let epoch = Epoch { wall, seed: 0 };
        let mut board = Board::new(&Settings::default(), epoch, saved);
        let mut targets: HashMap<&Target, TargetId> = HashMap::new();
        for endpoint in endpoints {
            targets.entry(&endpoint.target).or_insert(endpoint.id);
        }
        for (target, id) in targets {
            let wanted = Wanted {
                id,
                target: target.clone(),
                begin: Begin::Start,
                created: 0,
            };
            board.want(wanted, Duration::ZERO);
        }
        let views = board.views(Duration::ZERO);
        let targets = views.map(|view| (view.target.clone(), view.into()));
        Ok(Self {
            at,
            targets: targets.collect(),
        })
    }
}

impl From<View> for KnownTarget {
    fn from(view: View) -> Self {
        Self {
            verdict: word(view.verdict).to_owned(),
            ruling: view.ruling,
            why: view.why.into(),
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pending => "pending",
        Verdict::Passing => "passing",
        Verdict::Failing => "failing",
    }
}

/// How a target is probed, in short.
pub(super) fn check(target: &Target) -> String {
    Described(&target.probe).to_string()
}
