//! The line as one value: file changes in, snapshot out.
//!
//! `serve` feeds it for ever, `check`, `list` and `explain` feed it once; they can't differ in what a folder means.
//!
//! Never reads a file and never publishes: `control` does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

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
}

/// What one [`Pipeline::apply`] did.
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
        }
    }

    /// Takes in what changed in the files at `now` and recompiles the hosts that it affects.
    ///
    /// The first call makes the snapshot ready, even without a change.
    pub fn apply(&mut self, changes: Vec<FileChange>, now: SystemTime) -> Report {
        let affected = self.mesh.apply(changes, now);
        self.recompile(affected, now)
    }

    /// Compiles everything again under another policy.
    pub fn set_policy(&mut self, policy: Policy, now: SystemTime) -> Report {
        let before = self.editor.snapshot().clone();
        self.editor = Editor::succeeding(policy.settings.clone(), &before);
        self.policy = policy;
        self.remarks.clear();
        let hosts: BTreeSet<Name> = self.mesh.hosts().into_iter().cloned().collect();
        self.recompile(
            Affected {
                hosts,
                ..Affected::default()
            },
            now,
        )
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
