//! The line as one value: file changes in, snapshot out.
//!
//! What names mean that stand in the place of addresses is the other input: [`Report::names`] tells which names others are
//! to be asked about, and [`Pipeline::take_in_names`] takes in what they say.
//!
//! `serve` feeds it for ever, `check`, `list` and `explain` feed it once; they can't differ in what a folder means.
//!
//! Never reads a file and never publishes: `control` does.

mod uses;

use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use foldhash::HashMap;
use rayon::prelude::*;

pub use uses::NameChanges;
use uses::Uses;

use crate::{
    diagnostic::Diagnostic,
    dns::{Name, Serial},
    mesh::{Affected, FileChange, Labels, Mesh, Resolved, Told},
    select::{self, Choice, Gathering, Holder, NameUse, Selection, View, WhenAllUnhealthy},
    zone::{self, Compiled, Editor, Settings, Snapshot},
};

/// From this many hosts on, they are compiled side by side; below, that costs more than it brings.
const MANY_HOSTS: usize = 256;

/// From this many records on, what a selector came to is remembered, so that another host that selects alike shares the
/// records.
const MANY_RECORDS: usize = 64;

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
    /// What was told of names.
    resolved: Resolved,
    /// The names that hosts were compiled with.
    uses: Uses,
    editor: Editor,
    /// What selectors with many records came to.
    large: HashMap<Selector, Arc<Outcome>>,
    /// What is noteworthy about single hosts, kept per host so that a change costs only its hosts.
    remarks: HashMap<Name, Vec<Diagnostic>>,
    /// Everything there is to say, once someone asked for it.
    diagnostics: OnceLock<Arc<[Diagnostic]>>,
}

/// A namespace, the labels that its services select by, and whether names may be endpoints.
type Selector = (Arc<str>, Labels, bool);

/// What a host came to.
#[derive(Default)]
struct Host {
    compiled: Option<Compiled>,
    remarks: Vec<Diagnostic>,
    names: Vec<NameUse>,
}

/// What ServiceEntries come to.
#[derive(Clone, Debug)]
struct Outcome {
    /// Without the addresses: the records have them.
    gathering: Gathering,
    compiled: Compiled,
}

/// What one [`Pipeline::compile`] did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The newest snapshot; the one before, where no answer changed.
    pub snapshot: Arc<Snapshot>,
    /// The objects that changed, and the hosts that were recompiled for it.
    pub affected: Affected,
    /// How many times endpoints were selected: once for all hosts that select alike.
    pub selections: usize,
    /// How many names answer otherwise than before.
    pub names_changed: usize,
    /// Which other names others are to be asked about than before.
    pub names: NameChanges,
}

impl Pipeline {
    /// An empty mesh, not ready.
    pub fn new(policy: Policy) -> Self {
        let editor = Editor::new(policy.settings.clone());
        Self {
            policy,
            mesh: Mesh::default(),
            resolved: Resolved::default(),
            uses: Uses::default(),
            editor,
            large: HashMap::default(),
            remarks: HashMap::default(),
            diagnostics: OnceLock::new(),
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
        self.mesh.apply(changes, now);
    }

    /// Takes in what others say of names, `None` where nothing is known any more. No answer changes before
    /// [`Pipeline::compile`].
    pub fn take_in_names(&mut self, told: impl IntoIterator<Item = (Name, Option<Told>)>) {
        for (name, told) in told {
            if self.resolved.set(&name, told) {
                self.uses.touch(&name);
            }
        }
    }

    /// Recompiles the hosts that are affected by what was taken in since the last time.
    ///
    /// The first call makes the snapshot ready, even without a change.
    pub fn compile(&mut self, now: SystemTime) -> Report {
        let affected = self.mesh.take_affected();
        self.recompile(affected, now)
    }

    /// Compiles everything again under another policy.
    pub fn set_policy(&mut self, policy: Policy, now: SystemTime) -> Report {
        let before = self.editor.snapshot().clone();
        self.editor = Editor::succeeding(policy.settings.clone(), &before);
        self.policy = policy;
        self.large.clear();
        self.remarks.clear();
        self.diagnostics.take();
        let mut hosts: Vec<Name> = self.mesh.hosts().into_iter().cloned().collect();
        let gone = |host: &&Name| self.mesh.services_of(host).is_empty();
        hosts.extend(self.uses.hosts().filter(gone).cloned());
        hosts.sort_unstable();
        self.uses.take_touched();
        let affected = Affected {
            hosts,
            ..self.mesh.take_affected()
        };
        self.recompile(affected, now)
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

    /// Everything there is to say about files, objects and hosts, sorted by place: the same list until it changes.
    pub fn diagnostics(&self) -> Arc<[Diagnostic]> {
        let gather = || {
            let mut all = self.mesh.diagnostics(|name| self.can_resolve(name));
            all.extend(self.remarks.values().flatten().cloned());
            all.sort_unstable();
            all.dedup();
            all.into()
        };
        self.diagnostics.get_or_init(gather).clone()
    }

    /// Chooses the endpoints of `host`, as answers are made from; `None` where no ServiceEntry has it.
    pub fn select(&self, host: &Name) -> Option<Selection> {
        select::select(&self.view(), host)
    }

    /// Who answers for `name`.
    pub fn holder(&self, name: &Name) -> Holder {
        let View { mesh, domains, .. } = self.view();
        select::holder(mesh, &domains, name)
    }

    /// Every name that others are to be asked about, in canonical order.
    pub fn names_wanted(&self) -> impl Iterator<Item = &Name> {
        self.uses.wanted()
    }

    /// The names that decide what `host` answers.
    pub fn names_of(&self, host: &Name) -> &[NameUse] {
        self.uses.of_host(host)
    }

    fn view(&self) -> View<'_> {
        View {
            mesh: &self.mesh,
            resolved: &self.resolved,
            domains: self.policy.settings.domains(),
            when_all_unhealthy: self.policy.when_all_unhealthy,
        }
    }

    /// Whether there is somebody who knows what `name` means: the mesh, or others.
    fn can_resolve(&self, name: &Name) -> bool {
        self.policy.settings.domains().forwards(name) || self.holder(name) != Holder::Others
    }

    /// Adds the hosts whose names may mean something else now that others are affected, or were told of. Returns whether
    /// hosts came or went that names stand for.
    fn add_dependents(&mut self, affected: &mut Affected) -> bool {
        let mut has_other_holders = false;
        if self.uses.is_empty() {
            return false;
        }
        for host in &affected.hosts {
            let View { mesh, domains, .. } = self.view();
            let has_moved = select::standing(mesh, &domains, host) != self.editor.standing(host);
            let wildcard_parent = host.is_wildcard().then(|| host.parent()).flatten();
            match wildcard_parent {
                Some(parent) => has_other_holders |= self.uses.touch_below(&parent) && has_moved,
                None if has_moved => has_other_holders |= self.uses.touch_below(host),
                None => self.uses.touch(host),
            }
        }
        let mut touched = self.uses.take_touched();
        if !touched.is_empty() {
            touched.extend(affected.hosts.drain(..));
            affected.hosts = Vec::from_iter(touched);
            affected.hosts.sort_unstable();
        }
        has_other_holders
    }

    fn recompile(&mut self, mut affected: Affected, now: SystemTime) -> Report {
        let mut has_news = self.mesh.take_news();
        has_news |= self.add_dependents(&mut affected);
        for (namespace, labels) in &affected.selectors {
            for takes_names in [false, true] {
                let selector = (namespace.clone(), labels.clone(), takes_names);
                self.large.remove(&selector);
            }
        }
        let choices = map_all(&affected.hosts, |host| select::choose(&self.mesh, host));
        let of_selectors = self.of_selectors(&choices);
        let hosts: Vec<_> = affected.hosts.iter().zip(&choices).collect();
        let compiled = map_all(&hosts, |(host, choice)| {
            self.compile_host(host, choice.as_ref()?, &of_selectors)
        });
        let mut updates = Vec::with_capacity(hosts.len());
        let mut names = Vec::with_capacity(hosts.len());
        for (host, compiled) in affected.hosts.iter().zip(compiled) {
            let Host {
                compiled,
                remarks,
                names: of_host,
            } = compiled.unwrap_or_default();
            if !of_host.is_empty() || !self.uses.is_empty() {
                names.push((host, of_host));
            }
            has_news |= if remarks.is_empty() {
                self.remarks.remove(host).is_some()
            } else {
                let before = self.remarks.insert(host.clone(), remarks);
                before.as_ref() != self.remarks.get(host)
            };
            updates.push((host.clone(), compiled));
        }
        if has_news {
            self.diagnostics.take();
        }
        let of_others = choices
            .iter()
            .flatten()
            .filter(|choice| !choice.chosen.is_empty() && choice.selector().is_none());
        let of_others = of_others.count();
        let is_fresh = |selector: &&Selector| !self.large.contains_key(*selector);
        let selections = of_others + of_selectors.keys().filter(is_fresh).count();
        // What depends on names would have to be forgotten with them.
        let is_large = |(_, outcome): &(Selector, Arc<Outcome>)| match &outcome.compiled {
            Compiled::Records(records) => {
                records.rrsets().len() >= MANY_RECORDS && outcome.gathering.names.is_empty()
            }
            Compiled::Elsewhere => false,
        };
        self.large.extend(of_selectors.into_iter().filter(is_large));
        let serial = match self.editor.snapshot() {
            ready if ready.is_ready() => ready.serial().next(now),
            // One step later: a process that ended a moment ago may have given out this very one.
            _ => Serial::at(now).next(now),
        };
        let names = self
            .uses
            .replace(names.into_iter(), &self.policy.settings.domains());
        let change = self.editor.apply(updates, serial);
        Report {
            snapshot: change.snapshot,
            affected,
            selections,
            names_changed: change.names_changed,
            names,
        }
    }

    /// What the selectors of `choices` come to, each gathered once, however many hosts select by it.
    fn of_selectors(&self, choices: &[Option<Choice<'_>>]) -> HashMap<Selector, Arc<Outcome>> {
        let mut first_by = HashMap::<Selector, &Choice<'_>>::default();
        for choice in choices.iter().flatten() {
            if let Some(selector) = selector_of(choice) {
                first_by.entry(selector).or_insert(choice);
            }
        }
        let first_by: Vec<_> = first_by.into_iter().collect();
        let outcomes = map_all(&first_by, |(selector, choice)| {
            self.large
                .get(selector)
                .cloned()
                .unwrap_or_else(|| Arc::new(self.outcome(choice)))
        });
        let selectors = first_by.into_iter().map(|(selector, _)| selector);
        selectors.zip(outcomes).collect()
    }

    /// What a host answers and what is noteworthy about it.
    fn compile_host(
        &self,
        host: &Name,
        choice: &Choice<'_>,
        of_selectors: &HashMap<Selector, Arc<Outcome>>,
    ) -> Option<Host> {
        let answering = choice.chosen.first()?;
        let outcome = match selector_of(choice) {
            Some(selector) => of_selectors[&selector].clone(),
            None => Arc::new(self.outcome(choice)),
        };
        let mut remarks = select::remarks(host, choice, &outcome.gathering);
        remarks.extend(zone::oversize(host, answering, &outcome.compiled));
        Some(Host {
            compiled: Some(outcome.compiled.clone()),
            remarks,
            names: outcome.gathering.names.clone(),
        })
    }

    fn outcome(&self, choice: &Choice<'_>) -> Outcome {
        let mut gathering = select::gather(&self.view(), choice);
        let compiled = zone::compile(&gathering, &self.policy.settings);
        gathering.addresses = Vec::new();
        Outcome {
            gathering,
            compiled,
        }
    }
}

fn selector_of(choice: &Choice<'_>) -> Option<Selector> {
    let (namespace, labels, takes_names) = choice.selector()?;
    Some((namespace.clone(), labels.clone(), takes_names))
}

/// The results of `work` in the order of `items`.
fn map_all<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    if items.len() < MANY_HOSTS {
        items.iter().map(work).collect()
    } else {
        items.par_iter().map(work).collect()
    }
}
