//! The line as one value: file changes in, snapshot out.
//!
//! `serve` feeds it for ever, `check`, `list` and `explain` feed it once; they can't differ in what a folder means.
//!
//! Never reads a file and never publishes: `control` does.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use crate::{
    diagnostic::Diagnostic,
    dns::{Name, Serial},
    mesh::{Affected, FileChange, Mesh},
    select::{self, Selection, WhenAllUnhealthy},
    zone::{self, Editor, Settings, Snapshot},
};

/// What decides how a mesh is answered, besides the mesh.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What holds for all zones.
    pub settings: Arc<Settings>,
    /// What a host without a healthy endpoint answers.
    pub when_all_unhealthy: WhenAllUnhealthy,
}

/// A mesh and the snapshot compiled from it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    policy: Policy,
    mesh: Mesh,
    editor: Editor,
    /// What is noteworthy about single hosts, kept per host so that a change costs only its hosts.
    remarks: BTreeMap<Name, Vec<Diagnostic>>,
    /// What was taken in and waits for the next [`Pipeline::compile`].
    pending: Affected,
}

/// What one [`Pipeline::compile`] did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The newest snapshot; the one before, where no answer changed.
    pub snapshot: Arc<Snapshot>,
    /// The objects that changed, and the hosts that were recompiled for it.
    pub affected: Affected,
    /// How many names answer otherwise than before.
    pub names_changed: usize,
}

impl Pipeline {
    /// An empty mesh, not ready.
    pub fn new(policy: Policy) -> Self {
        let editor = Editor::new(policy.settings.clone());
        Self {
            policy,
            mesh: Mesh::default(),
            editor,
            remarks: BTreeMap::new(),
            pending: Affected::default(),
        }
    }

    /// Takes in what changed in the files at `now` and recompiles the hosts that it affects:
    /// [`Pipeline::take_in`] and [`Pipeline::compile`] in one step.
    pub fn apply(&mut self, changes: Vec<FileChange>, now: SystemTime) -> Report {
        self.take_in(changes, now);
        self.compile(now)
    }

    /// Takes in what changed in the files at `now`. No answer changes before [`Pipeline::compile`], so that many files
    /// can be taken in part by part, in any order, and none of them must stay in memory for the others.
    pub fn take_in(&mut self, changes: Vec<FileChange>, now: SystemTime) {
        self.mesh.apply(changes, now, &mut self.pending);
    }

    /// Recompiles the hosts that are affected by what was taken in since the last time.
    ///
    /// The first call makes the snapshot ready, even without a change.
    pub fn compile(&mut self, now: SystemTime) -> Report {
        let affected = std::mem::take(&mut self.pending);
        self.recompile(affected, now)
    }

    /// Compiles everything again under another policy.
    pub fn set_policy(&mut self, policy: Policy, now: SystemTime) -> Report {
        let before = self.editor.snapshot().clone();
        self.editor = Editor::succeeding(policy.settings.clone(), &before);
        self.policy = policy;
        self.remarks.clear();
        let all_hosts = self.mesh.hosts().into_iter().cloned();
        self.pending.hosts.extend(all_hosts);
        self.compile(now)
    }

    /// The mesh.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// What decides how the mesh is answered.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        self.editor.snapshot()
    }

    /// Everything there is to say about files, objects and hosts, sorted by place.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut all = self.mesh.diagnostics();
        all.extend(self.remarks.values().flatten().cloned());
        all.sort();
        all.dedup();
        all
    }

    /// Chooses the endpoints of `host`, as answers are made from; `None` where no ServiceEntry has it.
    pub fn select(&self, host: &Name) -> Option<Selection> {
        select::select(&self.mesh, host, self.policy.when_all_unhealthy)
    }

    fn recompile(&mut self, affected: Affected, now: SystemTime) -> Report {
        let mut updates = BTreeMap::new();
        for host in &affected.hosts {
            let answering = self.select(host);
            let mut remarks = answering.as_ref().map(select::remarks).unwrap_or_default();
            let answering = answering.filter(|selection| !selection.chosen.is_empty());
            let compiled = answering.map(|selection| {
                let compiled = zone::compile(&selection, &self.policy.settings);
                remarks.extend(zone::oversize(&selection, &compiled));
                compiled
            });
            if remarks.is_empty() {
                self.remarks.remove(host);
            } else {
                self.remarks.insert(host.clone(), remarks);
            }
            updates.insert(host.clone(), compiled);
        }
        let serial = match self.editor.snapshot() {
            ready if ready.is_ready() => ready.serial().next(now),
            // One step later: a process that ended a moment ago may have given out this very one.
            _ => Serial::at(now).next(now),
        };
        let change = self.editor.apply(updates, serial);
        Report {
            snapshot: change.snapshot,
            affected,
            names_changed: change.names_changed,
        }
    }
}
