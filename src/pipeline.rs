//! The line as one value: file changes in, snapshot out.
//!
//! What endpoints mean that are names is the other input: [`Report::names`] tells which names others are to be asked about,
//! and [`Pipeline::take_in_names`] takes in what they say.
//!
//! `serve` feeds it for ever, `check`, `list` and `explain` feed it once; they can't differ in what a folder means.
//!
//! Never reads a file and never publishes: `control` does.

mod health;
pub(crate) mod shown;
mod uses;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::SystemTime,
};

use foldhash::{HashMap, HashSet, fast::RandomState};

use health::Health;
pub use health::{CheckedEndpoint, EndpointOrder, EndpointPlace, JudgedEndpoint, OrderChange};
pub use uses::NameChanges;
use uses::Uses;
use views::Views;

use crate::{
    authority::{Authority, Holder, Standing, Zone},
    diagnostic::{Cluster, Diagnostic, DiagnosticChanges, Diagnostics, ObjectKey, SeverityCounts},
    dns::{Name, Serial},
    health::{CheckPolicy, TargetChanges, TargetId},
    mesh::{
        Affected, Change, Kept, Labels, Mesh, News, ResolvedName, ResolvedNames, Slot, Unresolvable,
    },
    parallel,
    select::{
        self, Choice, Gathering, GroupShare, NameUse, Selection, TrafficPolicy, View, Viewer,
        WhenAllUnhealthy,
    },
    zone::{self, Compiled, Editor, Seniority, Settings, Snapshot},
};

/// From this many records on, what a selector came to is remembered, so that another host that selects alike shares the
/// records.
const MANY_RECORDS: usize = 64;

/// What decides how a mesh is answered, besides the mesh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// What holds for all zones.
    pub settings: Arc<Settings>,
    /// What a host without a healthy endpoint answers.
    pub when_all_unhealthy: WhenAllUnhealthy,
    /// Which endpoints are checked; `None` where none is.
    pub checks: Option<Arc<CheckPolicy>>,
    /// How questions are shared out among groups of endpoints.
    pub traffic: Arc<TrafficPolicy>,
    /// Whether clients see only what is exported to their namespace, and those of whom none is known only what is exported to
    /// everyone.
    pub enforces_export: bool,
}

/// A mesh and the snapshot compiled from it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    policy: Policy,
    mesh: Mesh,
    health: Health,
    /// What was told of names.
    resolved: ResolvedNames,
    /// The names that hosts were compiled with.
    uses: Uses,
    editor: Editor,
    /// What clients of single namespaces see otherwise.
    views: Views,
    /// What selectors with many records came to.
    large: HashMap<Selector, Arc<CompiledChoice>>,
    /// What the groups of hosts have whose questions are shared out by somebody's wish.
    shares: Arc<BTreeMap<Name, Vec<GroupShare>>>,
    /// What is noteworthy about single hosts, kept per host so that a change costs only its hosts.
    remarks: HashMap<Name, Vec<Diagnostic>>,
    /// What is noteworthy about endpoints of single objects that are names.
    name_remarks: HashMap<Slot, Vec<Diagnostic>>,
    /// The objects whose remarks may have changed.
    renamed: BTreeSet<Slot>,
    /// What is no longer noteworthy, and is still among the diagnostics.
    outdated: Vec<Diagnostic>,
    /// Everything there is to say.
    diagnostics: Diagnostics,
}

/// A namespace, the labels that its services select by, and whether names may be endpoints.
type Selector = (Arc<str>, Labels, bool);

/// What a host came to.
#[derive(Default)]
struct Host {
    compiled: Option<Compiled>,
    remarks: Vec<Diagnostic>,
    names: Vec<NameUse>,
    /// Whom it keeps though they fail their checks.
    kept: Option<Arc<[TargetId]>>,
    shares: Vec<GroupShare>,
}

/// What the ServiceEntries of a choice come to.
#[derive(Clone, Debug)]
struct CompiledChoice {
    /// Without the addresses: the records have them.
    gathering: Gathering,
    compiled: Compiled,
    kept: Option<Arc<[TargetId]>>,
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
    /// What else is to be probed than before.
    pub targets: TargetChanges,
    /// The persons' words on endpoints that came or went.
    pub orders: Vec<OrderChange>,
    /// What there is to say otherwise than before.
    pub diagnostics: DiagnosticChanges,
    /// The objects that can be used again, as they were kept.
    pub mended: Vec<Kept>,
}

impl Pipeline {
    /// An empty mesh, not ready.
    pub fn new(policy: Policy) -> Self {
        let editor = Editor::new(policy.settings.clone());
        let checks = policy.checks.clone();
        let mut pipeline = Self {
            policy,
            mesh: Mesh::default(),
            health: Health::default(),
            resolved: ResolvedNames::default(),
            uses: Uses::default(),
            editor,
            views: Views::default(),
            large: HashMap::default(),
            shares: Arc::default(),
            remarks: HashMap::default(),
            name_remarks: HashMap::default(),
            renamed: BTreeSet::new(),
            outdated: Vec::new(),
            diagnostics: Diagnostics::default(),
        };
        pipeline.set_checks(checks);
        pipeline
    }

    /// Takes in what changed in files and clusters at `now` and recompiles the hosts that it affects:
    /// [`Pipeline::take_in`] and [`Pipeline::compile`] in one step.
    pub fn apply(
        &mut self,
        changes: impl IntoIterator<Item: Into<Change>>,
        now: SystemTime,
    ) -> Report {
        self.take_in(changes, now);
        self.compile(now)
    }

    /// Takes in what changed in files and clusters at `now`. No answer changes before [`Pipeline::compile`], so that many files
    /// can be taken in part by part, in any order, and none of them must stay in memory for the others.
    pub fn take_in(&mut self, changes: impl IntoIterator<Item: Into<Change>>, now: SystemTime) {
        self.mesh.apply(changes, now);
    }

    /// Notes that what was taken in is about to be published: see [`Mesh::begin_serving`].
    pub fn begin_serving(&mut self) {
        self.mesh.begin_serving();
    }

    /// Takes in what others say of names, `None` where nothing is known any more. No answer changes before
    /// [`Pipeline::compile`].
    pub fn take_in_names(&mut self, told: impl IntoIterator<Item = (Name, Option<ResolvedName>)>) {
        for (name, told) in told {
            if self.resolved.set(&name, told) {
                self.uses.touch(&name);
            }
        }
    }

    /// Notes whether everything that the sources hold was taken in, as far as anyone can tell. Where not, the next snapshot
    /// denies no name and no address.
    pub fn set_knows_all(&mut self, knows_all: bool) {
        self.editor.set_knows_all(knows_all);
        self.views.set_knows_all(knows_all);
    }

    /// Recompiles the hosts that are affected by what was taken in since the last time.
    ///
    /// The first call makes the snapshot ready, even without a change.
    pub fn compile(&mut self, now: SystemTime) -> Report {
        self.renew_health(now);
        if self.mesh.take_forwarders_changed() {
            self.set_forwarders();
        }
        self.mesh.settle_nodes();
        self.follow_residents();
        let affected = self.mesh.take_affected();
        self.recompile(affected, now)
    }

    /// Compiles everything again under another policy.
    pub fn set_policy(&mut self, policy: Policy, now: SystemTime) -> Report {
        let before = self.editor.snapshot().clone();
        self.editor = Editor::succeeding(policy.settings.clone(), &before);
        self.set_checks(policy.checks.clone());
        self.policy = policy;
        self.set_forwarders();
        self.follow_residents();
        self.editor.set_residents(self.mesh.residents().cloned());
        self.renew_health(now);
        self.large.clear();
        self.views.clear();
        let outdated = mem::take(&mut self.remarks).into_values();
        self.outdated.extend(outdated.flatten());
        self.renamed.extend(self.mesh.with_names(None));
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

    /// The objects of clusters that are otherwise than at the last call, from the first call on.
    pub fn take_touched(&mut self) -> Vec<(Cluster, ObjectKey)> {
        self.mesh.take_touched()
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

    /// How many hosts the newest snapshot answers, those without an address included.
    pub fn answered_host_count(&self) -> usize {
        self.editor.answering_count()
    }

    /// Everything there is to say about files, objects and hosts, sorted by place, as the last compile found it.
    pub fn diagnostics(&self) -> Arc<[Diagnostic]> {
        self.diagnostics.iter().cloned().collect()
    }

    /// The same one by one, in the same order.
    pub fn known_diagnostics(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.diagnostics.iter()
    }

    /// How much of it there is.
    pub fn diagnostic_counts(&self) -> SeverityCounts {
        self.diagnostics.counts()
    }

    /// Chooses the endpoints of `host`, as answers are made from to those of whom no namespace is known; `None` where no ServiceEntry
    /// has it.
    pub fn select(&self, host: &Name) -> Option<Selection> {
        self.select_for(None, host)
    }

    /// The same for clients of `namespace`, where one is known.
    pub fn select_for(&self, namespace: Option<&str>, host: &Name) -> Option<Selection> {
        select::select(&self.view_of(namespace), host)
    }

    /// What the groups of hosts have whose questions are shared out by somebody's wish.
    pub fn shares(&self) -> &Arc<BTreeMap<Name, Vec<GroupShare>>> {
        &self.shares
    }

    /// Who answers for names.
    pub fn authority(&self) -> &Authority {
        self.editor.authority()
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
            verdicts: &self.health.verdicts,
            resolved: &self.resolved,
            authority: self.editor.authority(),
            when_all_unhealthy: self.policy.when_all_unhealthy,
            traffic: &self.policy.traffic,
            viewer: self.viewer(),
        }
    }

    /// Whose view the public snapshot is.
    fn viewer(&self) -> Viewer<'static> {
        if self.policy.enforces_export {
            Viewer::Public
        } else {
            Viewer::All
        }
    }

    fn set_forwarders(&mut self) {
        let finds = self.policy.settings.finds_forwarders;
        let found = finds.then(|| self.mesh.forwarders());
        self.editor.set_forwarders(found.unwrap_or_default().into());
    }

    /// Follows who has which address while an answer depends on where the client is.
    fn follow_residents(&mut self) {
        let matters = self.policy.enforces_export
            || self.policy.traffic.prefers_near
            || self.mesh.prefers_near();
        self.mesh.follow_residents(matters);
        if self.mesh.take_residents_changed() {
            self.editor.set_residents(self.mesh.residents().cloned());
        }
    }

    /// Why nobody knows what `name` means as an endpoint; `None` where the mesh or others do.
    fn unresolvable(&self, name: &Name) -> Option<Unresolvable> {
        let authority = self.authority();
        match authority.holder(name) {
            Holder::Host(_) => None,
            Holder::Zone(Zone::Declared) => Some(Unresolvable::NoSuchHost),
            Holder::Zone(_) => Some(Unresolvable::NoUpstream),
            Holder::Others => (!authority.forwards(name)).then_some(Unresolvable::NoUpstream),
        }
    }

    /// Notes what the affected hosts are from now on. Returns the hosts whose endpoints' names may mean something else for
    /// that, and notes the objects that name such an endpoint.
    fn set_standings(&mut self, hosts: &[Name], standings: &[Standing]) -> HashSet<Name> {
        let standings = hosts.iter().zip(standings.iter().copied());
        let moved = self.editor.set_standings(standings);
        if self.uses.is_empty() && !self.mesh.has_names() {
            return HashSet::default();
        }
        let moved: HashSet<&Name> = moved.into_iter().collect();
        for host in hosts {
            let has_moved = moved.contains(host);
            let wildcard_parent = host.is_wildcard().then(|| host.parent()).flatten();
            let base = wildcard_parent.as_ref().unwrap_or(host);
            if wildcard_parent.is_some() || has_moved {
                self.uses.touch_below(base);
            } else {
                self.uses.touch(host);
            }
            if has_moved {
                self.renamed.extend(self.mesh.with_names(Some(base)));
            }
        }
        self.uses.take_touched()
    }

    /// Looks again at what is noteworthy about endpoints that are names, where that may have changed.
    fn renew_name_remarks(&mut self, news: &mut News) {
        let mut slots = mem::take(&mut self.renamed);
        slots.extend(self.mesh.take_other_names());
        for slot in slots {
            let after = self.mesh.name_remarks(slot, |name| self.unresolvable(name));
            news.said.extend(after.iter().cloned());
            let before = if after.is_empty() {
                self.name_remarks.remove(&slot)
            } else {
                self.name_remarks.insert(slot, after)
            };
            news.withdrawn.extend(before.into_iter().flatten());
        }
    }

    fn recompile(&mut self, mut affected: Affected, now: SystemTime) -> Report {
        let mut news = self.mesh.take_news();
        news.withdrawn.append(&mut self.outdated);
        self.health.take_remarks(&mut news);
        let viewer = self.viewer();
        let standings = parallel::map(&affected.hosts, |host| {
            let choice = select::choose(&self.mesh, host, viewer);
            choice.map_or(Standing::Absent, |choice| choice.standing(host))
        });
        let mut dependents = self.set_standings(&affected.hosts, &standings);
        if !dependents.is_empty() {
            dependents.extend(affected.hosts.drain(..));
            affected.hosts = Vec::from_iter(dependents);
            affected.hosts.sort_unstable();
        }
        self.renew_name_remarks(&mut news);
        if !self.large.is_empty() {
            for (namespace, labels) in &affected.selectors {
                for takes_names in [false, true] {
                    let selector = (namespace.clone(), labels.clone(), takes_names);
                    self.large.remove(&selector);
                }
            }
        }
        let choices = parallel::map(&affected.hosts, |host| {
            select::choose(&self.mesh, host, viewer)
        });
        let alike = Alike::of(&affected.hosts, &choices, |host| self.is_alone(host));
        let compiled_choices = parallel::map(&alike.first, |(host, choice)| {
            self.known_choice(host, choice)
        });
        let hosts = affected.hosts.iter().zip(&choices).zip(&alike.numbers);
        let hosts: Vec<_> = hosts.collect();
        let compiled = parallel::map(&hosts, |((host, choice), number)| {
            let known = number.map(|number| &*compiled_choices[number].0);
            self.compile_host(host, choice.as_ref()?, known)
        });
        let mut updates = Vec::with_capacity(hosts.len());
        let mut names = Vec::with_capacity(hosts.len());
        for (host, compiled) in affected.hosts.iter().zip(compiled) {
            let Host {
                compiled,
                remarks,
                names: of_host,
                kept,
                shares,
            } = compiled.unwrap_or_default();
            set_shares(&mut self.shares, host, shares);
            self.health.last_ones.set(host, kept);
            if !of_host.is_empty() || !self.uses.is_empty() || self.policy.enforces_export {
                names.push((host, of_host));
            }
            set_remarks(&mut self.remarks, host, remarks, &mut news);
            updates.push((host.clone(), compiled));
        }
        set_claims(&mut self.editor, &updates, &choices);
        let diagnostics = self.diagnostics.replace(news.said, &news.withdrawn);
        let of_others = choices
            .iter()
            .flatten()
            .filter(|choice| !choice.chosen.is_empty() && choice.selector().is_none());
        let of_others = of_others.count();
        let is_fresh = |(_, is_fresh): &&(_, bool)| *is_fresh;
        let selections = of_others + compiled_choices.iter().filter(is_fresh).count();
        // What depends on names would have to be forgotten with them.
        let is_large = |compiled_choice: &CompiledChoice| match &compiled_choice.compiled {
            Compiled::Records(records) => {
                records.rrsets().len() >= MANY_RECORDS && compiled_choice.gathering.names.is_empty()
            }
            Compiled::Left => false,
        };
        for ((_, choice), (compiled_choice, _)) in alike.first.iter().zip(compiled_choices) {
            if is_large(&compiled_choice)
                && let Some(selector) = selector_of(choice)
            {
                self.large.insert(selector, compiled_choice);
            }
        }
        drop(choices);
        let of_views = self
            .policy
            .enforces_export
            .then(|| self.compile_views(&affected.hosts, &updates, &mut names));
        let serial = self.next_serial(now);
        let names = self
            .uses
            .replace(names.into_iter(), self.editor.authority());
        let before = self.editor.snapshot().generation();
        let mut change = self.editor.apply(updates, serial);
        self.apply_views(of_views, serial, &mut change, before);
        let (targets, orders) = self.health.take_changes();
        Report {
            snapshot: change.snapshot,
            affected,
            selections,
            names_changed: change.names_changed,
            names,
            targets,
            orders,
            diagnostics,
            mended: news.mended,
        }
    }

    /// That of what is published at `now`.
    fn next_serial(&self, now: SystemTime) -> Serial {
        match self.editor.snapshot() {
            ready if ready.is_ready() => ready.serial().next(now),
            // One step later: a process that ended a moment ago may have given out this very one.
            _ => Serial::at(now).next(now),
        }
    }

    /// What the selector of `choice` comes to, and whether it was gathered for that.
    fn known_choice(&self, host: &Name, choice: &Choice<'_>) -> (Arc<CompiledChoice>, bool) {
        // Nothing to look with where there is nothing to find.
        let selector = (!self.large.is_empty()).then(|| selector_of(choice));
        match selector
            .flatten()
            .and_then(|selector| self.large.get(&selector))
        {
            Some(compiled_choice) => (compiled_choice.clone(), false),
            None => (Arc::new(self.compile_choice(host, choice)), true),
        }
    }

    /// What a host answers and what is noteworthy about it; what its selector comes to, where it has one, is `known`.
    fn compile_host(
        &self,
        host: &Name,
        choice: &Choice<'_>,
        known: Option<&CompiledChoice>,
    ) -> Option<Host> {
        let answering = choice.chosen.first()?;
        // What a name means may differ from host to host: it may lead back to one of them.
        let known = known.filter(|known| known.gathering.names.is_empty());
        let own = known.is_none().then(|| self.compile_choice(host, choice));
        let compiled_choice = known.or(own.as_ref())?;
        let mut remarks = select::remarks(host, choice, &compiled_choice.gathering);
        remarks.extend(zone::oversize(host, answering, &compiled_choice.compiled));
        let (chosen, settings) = (&choice.chosen, &self.policy.settings);
        let compiled = zone::compile_host(host, chosen, &compiled_choice.compiled, settings);
        if chosen.iter().any(|service| service.traffic.is_some()) {
            remarks.extend(zone::remarks(host, chosen, &compiled, settings));
        }
        Some(Host {
            compiled: Some(compiled),
            remarks,
            names: compiled_choice.gathering.names.clone(),
            kept: compiled_choice.kept.clone(),
            shares: match &compiled_choice.gathering.split {
                Some(split) => split.shares(),
                None => Vec::new(),
            },
        })
    }

    fn compile_choice(&self, host: &Name, choice: &Choice<'_>) -> CompiledChoice {
        let mut gathering = select::gather(&self.view(), host, choice);
        let compiled = zone::compile(&gathering, &self.policy.settings);
        gathering.addresses = Vec::new();
        gathering.targets = None;
        let kept = self.health.last_ones(&self.mesh, choice, gathering.kept);
        CompiledChoice {
            gathering,
            compiled,
            kept,
        }
    }
}

/// Notes whose the addresses of hosts are, where the names of addresses are ours.
fn set_claims(
    editor: &mut Editor,
    updates: &[(Name, Option<Compiled>)],
    choices: &[Option<Choice<'_>>],
) {
    if !editor.takes_claims() {
        return;
    }
    for ((host, compiled), choice) in updates.iter().zip(choices) {
        let choice = choice.as_ref();
        let seniority = choice.and_then(|choice| Seniority::of(&choice.chosen));
        editor.set_claim(host, seniority, compiled.as_ref());
    }
}

/// Notes what the groups of a host have, `shares` being empty where nobody asks for any.
fn set_shares(
    known: &mut Arc<BTreeMap<Name, Vec<GroupShare>>>,
    host: &Name,
    shares: Vec<GroupShare>,
) {
    if shares.is_empty() {
        if known.contains_key(host) {
            Arc::make_mut(known).remove(host);
        }
    } else if known.get(host) != Some(&shares) {
        Arc::make_mut(known).insert(host.clone(), shares);
    }
}

/// Notes what is noteworthy about a host, and what of that is news.
fn set_remarks(
    known: &mut HashMap<Name, Vec<Diagnostic>>,
    host: &Name,
    remarks: Vec<Diagnostic>,
    news: &mut News,
) {
    let before = if remarks.is_empty() {
        known.remove(host).unwrap_or_default()
    } else {
        let before = known.insert(host.clone(), remarks.clone());
        before.unwrap_or_default()
    };
    if before != remarks {
        news.said.extend(remarks);
        news.withdrawn.extend(before);
    }
}

fn selector_of(choice: &Choice<'_>) -> Option<Selector> {
    let (namespace, labels, takes_names) = choice.selector()?;
    Some((namespace.clone(), labels.clone(), takes_names))
}

/// Choices by the selector that they come down to.
struct Alike<'c, 'm> {
    /// The number of each choice's selector; `None` where it comes down to none.
    numbers: Vec<Option<usize>>,
    /// The first host of each selector and its choice, in their order.
    first: Vec<(&'c Name, &'c Choice<'m>)>,
}

impl<'c, 'm> Alike<'c, 'm> {
    /// Hosts for which `has_own` holds are like none.
    fn of(
        hosts: &'c [Name],
        choices: &'c [Option<Choice<'m>>],
        has_own: impl Fn(&Name) -> bool,
    ) -> Self {
        let mut known = HashMap::with_capacity_and_hasher(choices.len(), RandomState::default());
        let mut first = Vec::new();
        let numbers = hosts.iter().zip(choices).map(|(host, choice)| {
            let choice = choice.as_ref().filter(|_| !has_own(host))?;
            let number = *known.entry(choice.selector()?).or_insert(first.len());
            if number == first.len() {
                first.push((host, choice));
            }
            Some(number)
        });
        Self {
            numbers: numbers.collect(),
            first,
        }
    }
}
