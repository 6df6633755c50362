//! What clients of single namespaces see otherwise than all, where `exportTo` is enforced.
//!
//! A view is a snapshot of its own, so that what its clients may not see is to them as if it did not exist: no empty non-terminal,
//! no apex and no wildcard tells of it. It is edited as the public one is, with what differs put in place; what does not differ is
//! shared.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use foldhash::{HashMap, HashSet};

use super::Pipeline;
use crate::{
    authority::Standing,
    dns::{Name, Serial},
    mesh::{Mesh, Service},
    parallel,
    select::{self, Choice, NameUse, View, Viewer},
    zone::{self, Change, Compiled, Editor, Seniority, Snapshot, ViewId},
};

/// The views of namespaces in which a host is something else than to all.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    editors: BTreeMap<Arc<str>, Editor>,
    /// The namespaces in which a host has other ServiceEntries, where there are any.
    differing: HashMap<Name, Vec<Arc<str>>>,
    /// How many hosts differ in each namespace.
    counts: BTreeMap<Arc<str>, usize>,
}

/// What a host comes to: what it answers, `None` where it is nothing.
type Update = (Name, Option<Compiled>);

/// What a host comes to in a view, and the names that it is compiled with; `None` where it is nothing there.
type InView = Option<(Compiled, Vec<NameUse>)>;

/// What a change comes to in each view.
pub(super) type ViewUpdates = Vec<(Arc<str>, Vec<Update>)>;

impl Views {
    /// What answers clients of `namespace`, where that is something of their own.
    pub(super) fn editor(&self, namespace: &str) -> Option<&Editor> {
        self.editors.get(namespace)
    }

    pub(super) fn set_knows_all(&mut self, knows_all: bool) {
        for editor in self.editors.values_mut() {
            editor.set_knows_all(knows_all);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Notes in which namespaces `host` differs.
    fn set(&mut self, host: &Name, namespaces: Vec<Arc<str>>) {
        for namespace in &namespaces {
            *self.counts.entry(namespace.clone()).or_default() += 1;
        }
        let before = if namespaces.is_empty() {
            self.differing.remove(host)
        } else {
            self.differing.insert(host.clone(), namespaces)
        };
        for namespace in before.into_iter().flatten() {
            if let Some(count) = self.counts.get_mut(&namespace) {
                *count -= 1;
            }
        }
        self.counts.retain(|_, count| *count > 0);
    }

    /// Puts the updates into effect. Returns the snapshots of all views, and how many names answer otherwise in them.
    fn apply(
        &mut self,
        updates: ViewUpdates,
        serial: Serial,
    ) -> (Vec<(ViewId, Arc<Snapshot>)>, usize) {
        let mut names_changed = 0;
        for (namespace, updates) in updates {
            if let Some(editor) = self.editors.get_mut(&namespace) {
                names_changed += editor.apply(updates, serial).names_changed;
            }
        }
        let views = self.editors.iter();
        let mut views: Vec<_> = views
            .map(|(namespace, editor)| (ViewId::of(namespace), editor.snapshot().clone()))
            .collect();
        views.sort_unstable_by_key(|(view, _)| *view);
        (views, names_changed)
    }
}

/// The namespaces whose clients get other ServiceEntries for `host` than those of whom nothing is known.
fn differing(mesh: &Mesh, host: &Name) -> Vec<Arc<str>> {
    let services = mesh.services_of(host);
    let is_simple = services.iter().all(|service| service.is_public())
        && services
            .windows(2)
            .all(|pair| pair[0].key.namespace == pair[1].key.namespace);
    if is_simple {
        return Vec::new();
    }
    let public = chosen(mesh, host, Viewer::Public);
    let own = services.iter().map(|service| service.key.namespace.clone());
    let named = services.iter().flat_map(|service| service.exported_to());
    let namespaces: BTreeSet<Arc<str>> = own.chain(named.map(|name| Arc::from(&**name))).collect();
    let differs = |namespace: &Arc<str>| chosen(mesh, host, Viewer::Namespace(namespace)) != public;
    namespaces.into_iter().filter(differs).collect()
}

fn chosen(mesh: &Mesh, host: &Name, viewer: Viewer<'_>) -> Vec<*const Service> {
    let choice = select::choose(mesh, host, viewer);
    let chosen = choice.map(|choice| choice.chosen).unwrap_or_default();
    chosen.into_iter().map(Arc::as_ptr).collect()
}

impl Pipeline {
    /// What clients of `namespace`, where one is known, see of the mesh.
    pub(super) fn view_of<'v>(&'v self, namespace: Option<&'v str>) -> View<'v> {
        let editor = namespace.and_then(|namespace| self.views.editor(namespace));
        let viewer = match namespace {
            _ if !self.policy.enforces_export => Viewer::All,
            None => Viewer::Public,
            Some(namespace) => Viewer::Namespace(namespace),
        };
        View {
            viewer,
            authority: editor.unwrap_or(&self.editor).authority(),
            ..self.view()
        }
    }

    /// Compiles `hosts`, which are affected, for each view. `updates` is what they came to for all, and `names` what they were compiled
    /// with; what they are compiled with in a view comes to it. A name may mean something else in a view.
    pub(super) fn compile_views(
        &mut self,
        hosts: &[Name],
        updates: &[Update],
        names: &mut [(&Name, Vec<NameUse>)],
    ) -> ViewUpdates {
        let with_names = names.iter().filter(|(_, names)| !names.is_empty());
        let with_names: HashSet<Name> = with_names.map(|(host, _)| (*host).clone()).collect();
        let mut in_views: HashMap<Name, Vec<NameUse>> = HashMap::default();
        let mut of_views = ViewUpdates::new();
        let differing = parallel::map(hosts, |host| differing(&self.mesh, host));
        for (host, namespaces) in hosts.iter().zip(differing) {
            if !namespaces.is_empty() || !self.views.differing.is_empty() {
                self.views.set(host, namespaces);
            }
        }
        let counts = &self.views.counts;
        self.views
            .editors
            .retain(|namespace, _| counts.contains_key(namespace));
        for namespace in self.views.counts.keys().cloned().collect::<Vec<_>>() {
            // Nothing differed so far: what is for all was for it.
            let editor = self.views.editors.entry(namespace.clone());
            editor.or_insert_with(|| self.editor.of_view());
            self.set_standings_in(&namespace, hosts);
            let view = self.view_of(Some(&namespace));
            let compiled = parallel::map(hosts, |host| {
                let is_own = self.differs_in(host, &namespace) || with_names.contains(host);
                is_own.then(|| {
                    let choice = select::choose(&self.mesh, host, view.viewer)?;
                    self.compile_in(&view, host, &choice)
                })
            });
            let claims = self.claims_in(&namespace, updates, &compiled);
            let mut own_updates = Vec::with_capacity(updates.len());
            for ((host, of_all), own) in updates.iter().zip(compiled) {
                let compiled = match own {
                    None => of_all.clone(),
                    Some(None) => None,
                    Some(Some((compiled, names))) => {
                        if !names.is_empty() {
                            in_views.entry(host.clone()).or_default().extend(names);
                        }
                        Some(compiled)
                    }
                };
                own_updates.push((host.clone(), compiled));
            }
            if let Some(editor) = self.views.editors.get_mut(&namespace) {
                for ((host, compiled), seniority) in own_updates.iter().zip(claims) {
                    editor.set_claim(host, seniority, compiled.as_ref());
                }
            }
            of_views.push((namespace, own_updates));
        }
        for (host, names) in names {
            let Some(more) = in_views.remove(host) else {
                continue;
            };
            names.extend(more);
            names.sort_unstable();
            names.dedup_by(|next, kept| {
                let is_same = next.name == kept.name;
                kept.is_others |= is_same && next.is_others;
                is_same
            });
        }
        of_views
    }

    /// Puts what a change came to in the views into effect, which the snapshot of `change` has from then on.
    pub(super) fn apply_views(
        &mut self,
        updates: Option<ViewUpdates>,
        serial: Serial,
        change: &mut Change,
        before: u64,
    ) {
        if updates.is_none() && !change.snapshot.has_views() {
            return;
        }
        let (views, names_changed) = self.views.apply(updates.unwrap_or_default(), serial);
        let is_new = change.snapshot.generation() != before;
        change.snapshot = self.editor.set_views(views, serial, is_new).clone();
        change.names_changed += names_changed;
    }

    /// How old the ServiceEntries are that answer for hosts to clients of `namespace`, where that decides whose names addresses have.
    fn claims_in(
        &self,
        namespace: &str,
        updates: &[Update],
        own: &[Option<InView>],
    ) -> Vec<Option<Seniority>> {
        if !self.editor.takes_claims() {
            return Vec::new();
        }
        let seniority = |((host, _), own): (&Update, &Option<_>)| {
            let viewer = match own {
                Some(_) => Viewer::Namespace(namespace),
                None => self.viewer(),
            };
            Seniority::of(&select::choose(&self.mesh, host, viewer)?.chosen)
        };
        updates.iter().zip(own).map(seniority).collect()
    }

    fn differs_in(&self, host: &Name, namespace: &Arc<str>) -> bool {
        let differing = self.views.differing.get(host);
        differing.is_some_and(|namespaces| namespaces.contains(namespace))
    }

    /// Notes what each of `hosts` is to clients of `namespace`.
    fn set_standings_in(&mut self, namespace: &Arc<str>, hosts: &[Name]) {
        let viewer = Viewer::Namespace(namespace);
        let standings = parallel::map(hosts, |host| {
            let choice = select::choose(&self.mesh, host, viewer);
            choice.map_or(Standing::Absent, |choice| choice.standing(host))
        });
        if let Some(editor) = self.views.editors.get_mut(namespace) {
            editor.set_standings(hosts.iter().zip(standings));
        }
    }

    /// What a host comes to in a view, and the names that it is compiled with; `None` where it is nothing there.
    fn compile_in(
        &self,
        view: &View<'_>,
        host: &Name,
        choice: &Choice<'_>,
    ) -> Option<(Compiled, Vec<NameUse>)> {
        choice.chosen.first()?;
        let gathering = select::gather(view, host, choice);
        let settings = &self.policy.settings;
        let compiled = zone::compile(&gathering, settings);
        let compiled = zone::compile_host(host, &choice.chosen, &compiled, settings);
        Some((compiled, gathering.names))
    }
}
