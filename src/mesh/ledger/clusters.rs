//! Objects of clusters: each is said by its cluster alone, so that a change touches one object.
//!
//! The same object in two clusters counts in both. Where files have it too, theirs yields for as long as a cluster has it.

use std::{sync::Arc, time::SystemTime};

use foldhash::{HashMap, HashSet};

use super::{Ledger, decrease, last_good};
use crate::{
    diagnostic::{Cluster, Diagnostic, Holder, ObjectKey, Severity, code},
    manifest::{Object, ObjectContents},
    mesh::{
        affected::Tally,
        change::{ClusterChange, ClusterEvent, Kept, ListScope},
        entry::Entry,
        index::Index,
        lists::{OpenList, Version},
        read_from::ReadFrom,
        slot::Slot,
        translate::translate,
    },
};

/// An object of a cluster: what is told at a time.
pub(super) type Unit = (Cluster, ObjectKey);

/// What taking in a change needs.
pub(in crate::mesh) struct Context<'c> {
    pub(in crate::mesh) now: SystemTime,
    pub(in crate::mesh) index: &'c mut Index,
    pub(in crate::mesh) tally: &'c mut Tally,
}

impl Ledger {
    /// Takes in what a cluster says and tells the index and the tally what is served otherwise than before.
    pub(in crate::mesh) fn apply_cluster(
        &mut self,
        change: ClusterChange,
        context: &mut Context<'_>,
    ) {
        let ClusterChange { cluster, event } = change;
        self.has_clusters = true;
        match event {
            ClusterEvent::Object(key, contents) => {
                let object = contents.object.as_ref();
                let has_unreadable = object.is_some_and(Object::has_unreadable);
                let mut version = read(&cluster, contents, context.index);
                let unit = (cluster, key);
                if let Some(entry) = version.entry.as_mut().filter(|_| has_unreadable)
                    && let Some(before) = self.newest(&unit)
                {
                    entry.keep_unreadable(&before, context.index.alike());
                }
                self.tell(unit, version, context);
            }
            ClusterEvent::Unchanged(key) => {
                self.note_seen(&cluster, &key);
            }
            ClusterEvent::Gone(key) => self.tell_gone(&(cluster, key), context),
            ClusterEvent::ListBegins(scope) => self.begin_list(cluster, scope, context),
            ClusterEvent::ListStalls(scope) => self.put_aside(&cluster, &scope, context),
            ClusterEvent::ListEnds(scope) => self.end_list(&cluster, &scope, context),
            ClusterEvent::ListFails(scope) => self.fail_list(&cluster, &scope, context),
        }
    }

    pub(in crate::mesh) fn begin_serving(&mut self) {
        self.is_serving = true;
    }

    pub(in crate::mesh) fn has_half_a_list(&self) -> bool {
        self.lists.has_unstaged()
    }

    pub(in crate::mesh) fn take_touched(&mut self) -> Vec<Unit> {
        self.touched.replace(Vec::new()).unwrap_or_default()
    }

    fn touch(&mut self, unit: &Unit) {
        if let Some(touched) = &mut self.touched {
            touched.push(unit.clone());
        }
    }

    /// The newest version of an object that can be used, whether or not the list that told it has ended.
    fn newest(&mut self, unit: &Unit) -> Option<Entry> {
        let list = self.lists.holding(&unit.0, &unit.1);
        let staged = list.and_then(|list| list.staged.as_ref()?.get(&unit.1)?.entry.clone());
        staged.or_else(|| self.claims.objects.of_cluster(&unit.1, &unit.0).cloned())
    }

    /// Takes in the newest version of an object, or keeps it for the end of the list that it is a part of.
    fn tell(&mut self, unit: Unit, version: Version, context: &mut Context<'_>) {
        if !self.note_seen(&unit.0, &unit.1) {
            return self.set(unit, version, context);
        }
        let is_known = self.is_known(&unit, &version);
        let list = self.lists.holding(&unit.0, &unit.1);
        let staged = list.and_then(|list| list.staged.as_mut());
        let staged = staged.expect("what was noted is in a list that replaces another one");
        let former = if is_known {
            let former = staged.remove(&unit.1);
            release(version, context.index);
            former
        } else {
            staged.insert(unit.1, version)
        };
        if let Some(former) = former {
            release(former, context.index);
        }
    }

    /// Takes in that an object is gone.
    fn tell_gone(&mut self, unit: &Unit, context: &mut Context<'_>) {
        let slot = self.claims.objects.find(&unit.1, Some(&unit.0));
        let is_said = self.said_of.contains_key(unit);
        let list = self.lists.holding(&unit.0, &unit.1);
        let Some(list) = list.filter(|list| list.staged.is_some()) else {
            return self.remove(unit, context);
        };
        list.unseen.extend(slot);
        if is_said {
            list.unseen_said.insert(unit.1.clone());
        }
        let staged = list.staged.as_mut();
        if let Some(former) = staged.and_then(|staged| staged.remove(&unit.1)) {
            release(former, context.index);
        }
    }

    /// Notes that the list that the object is a part of told it. Tells whether there is such a list that counts as a whole.
    fn note_seen(&mut self, cluster: &Cluster, key: &ObjectKey) -> bool {
        let Some(list) = self.lists.holding(cluster, key) else {
            return false;
        };
        if list.staged.is_none() {
            return false;
        }
        if let Some(slot) = self.claims.objects.find(key, Some(cluster)) {
            list.unseen.remove(&slot);
        }
        list.unseen_said.remove(key);
        true
    }

    /// Whether a version says what is known.
    fn is_known(&mut self, unit: &Unit, version: &Version) -> bool {
        let slot = self.claims.objects.find(&unit.1, Some(&unit.0));
        let is_kept = self.kept_of.contains_key(unit);
        let said = self.said_of.get(unit).map_or(&[][..], Vec::as_slice);
        let is_same = match (&version.entry, slot) {
            (Some(entry), Some(slot)) => self.claims.objects.get(slot) == entry && !is_kept,
            (Some(_), None) => false,
            (None, slot) => slot.is_some() == is_kept,
        };
        is_same && *said == *version.said
    }

    fn begin_list(&mut self, cluster: Cluster, scope: ListScope, context: &mut Context<'_>) {
        self.fail_list(&cluster, &scope, context);
        let unseen = self.slots_in(&cluster, &scope).collect();
        let unseen_said = self.said_in(&cluster, &scope).cloned().collect();
        let list = OpenList {
            cluster,
            scope,
            unseen,
            unseen_said,
            staged: None,
        };
        let is_known = !list.unseen.is_empty() || !list.unseen_said.is_empty();
        let is_staged = is_known || self.is_serving;
        self.lists.begin(OpenList {
            staged: is_staged.then(Default::default),
            ..list
        });
    }

    /// Takes out of the mesh what a list told that was taken in as it came; it comes back when the list ends.
    fn put_aside(&mut self, cluster: &Cluster, scope: &ListScope, context: &mut Context<'_>) {
        if !self.lists.is_unstaged(cluster, scope) {
            return;
        }
        let list = self.lists.remove(cluster, scope);
        let list = list.expect("it was found a moment ago");
        let mut staged = HashMap::default();
        for key in self.keys_in(cluster, scope) {
            let slot = self.claims.objects.find(&key, Some(cluster));
            let entry = slot.map(|slot| self.claims.objects.get(slot).clone());
            if let Some(entry) = &entry {
                context.index.acquire_again(entry);
            }
            let unit = (cluster.clone(), key);
            let said = self.said_of.get(&unit).cloned().unwrap_or_default();
            self.remove(&unit, context);
            staged.insert(unit.1, Version { entry, said });
        }
        self.lists.begin(OpenList {
            staged: Some(staged),
            ..list
        });
    }

    fn end_list(&mut self, cluster: &Cluster, scope: &ListScope, context: &mut Context<'_>) {
        let Some(list) = self.lists.remove(cluster, scope) else {
            return;
        };
        let key = |slot: Slot| self.claims.objects.get(slot).key().clone();
        let mut gone: Vec<ObjectKey> = list.unseen.into_iter().map(key).collect();
        gone.extend(list.unseen_said);
        for key in gone {
            self.remove(&(cluster.clone(), key), context);
        }
        for (key, version) in list.staged.into_iter().flatten() {
            self.set((cluster.clone(), key), version, context);
        }
    }

    fn fail_list(&mut self, cluster: &Cluster, scope: &ListScope, context: &mut Context<'_>) {
        let Some(list) = self.lists.remove(cluster, scope) else {
            return;
        };
        if let Some(staged) = list.staged {
            for version in staged.into_values() {
                release(version, context.index);
            }
            return;
        }
        // Half of the first list is nothing to answer from.
        for key in self.keys_in(cluster, scope) {
            self.remove(&(cluster.clone(), key), context);
        }
    }

    /// The objects of the scope that are known, or that something is said of.
    fn keys_in(&self, cluster: &Cluster, scope: &ListScope) -> HashSet<ObjectKey> {
        let slots = self.slots_in(cluster, scope);
        let keys = slots.map(|slot| self.claims.objects.get(slot).key());
        let keys = keys.chain(self.said_in(cluster, scope));
        keys.cloned().collect()
    }

    fn slots_in<'a>(
        &'a self,
        cluster: &'a Cluster,
        scope: &'a ListScope,
    ) -> impl Iterator<Item = Slot> + 'a {
        let objects = self.claims.objects.iter();
        let of_scope = objects.filter(move |(_, entry)| {
            entry.read_from().cluster() == Some(cluster) && scope.holds(entry.key())
        });
        of_scope.map(|(slot, _)| slot)
    }

    /// The objects of the scope that something is said of.
    fn said_in<'a>(
        &'a self,
        cluster: &'a Cluster,
        scope: &'a ListScope,
    ) -> impl Iterator<Item = &'a ObjectKey> + 'a {
        let units = self.said_of.keys();
        let of_scope = units.filter(move |(of, key)| of == cluster && scope.holds(key));
        of_scope.map(|(_, key)| key)
    }

    /// Puts a version in the place of what was known of an object.
    fn set(&mut self, unit: Unit, version: Version, context: &mut Context<'_>) {
        let Version { entry, said } = version;
        let said_before = self.said_of.remove(&unit).unwrap_or_default();
        self.news.compare(said_before, &said);
        let slot = self.claims.objects.find(&unit.1, Some(&unit.0));
        match (entry, slot) {
            (Some(entry), None) => {
                self.touch(&unit);
                let of_file = self.yielding(&unit.1);
                let slot = self.claims.objects.insert(entry);
                self.serve_first(slot, context.index, context.tally);
                self.settle_file(&unit.1, of_file, context);
            }
            (Some(entry), Some(slot)) => {
                if let Some(kept) = self.take_kept(&unit) {
                    self.news.mended.push(kept);
                }
                let before = self.claims.objects.get(slot).clone();
                if before != entry {
                    self.touch(&unit);
                }
                self.serve(
                    slot,
                    Some(&before),
                    Some(entry),
                    context.index,
                    context.tally,
                );
                context.index.release(&before);
            }
            (None, Some(_)) if !self.kept_of.contains_key(&unit) => {
                self.kept_of.insert(unit.clone(), context.now);
                self.kept_counts.insert(context.now);
                let kept = kept(&unit, context.now);
                self.news.said.push(last_good(&kept));
            }
            (None, _) => {}
        }
        if !said.is_empty() {
            self.said_of.insert(unit, said);
        }
    }

    fn remove(&mut self, unit: &Unit, context: &mut Context<'_>) {
        let said = self.said_of.remove(unit);
        self.news.withdrawn.extend(said.into_iter().flatten());
        self.take_kept(unit);
        let (cluster, key) = unit;
        let Some(slot) = self.claims.objects.find(key, Some(cluster)) else {
            return;
        };
        self.touch(unit);
        let of_file = self.yielding(key);
        let before = self.claims.objects.get(slot).clone();
        self.serve(slot, Some(&before), None, context.index, context.tally);
        context.index.release(&before);
        self.settle_file(key, of_file, context);
    }

    /// Notes that an object is no longer kept in its last good version; what it was before, where it was.
    fn take_kept(&mut self, unit: &Unit) -> Option<Kept> {
        let since = self.kept_of.remove(unit)?;
        self.kept_counts.remove(since);
        let kept = kept(unit, since);
        self.news.withdrawn.push(last_good(&kept));
        Some(kept)
    }

    /// What is said of the version of an object in files that yields to a cluster's.
    fn yielding(&mut self, key: &ObjectKey) -> Vec<Diagnostic> {
        let slot = self.claims.objects.find(key, None);
        let remark = slot.and_then(|slot| self.yield_remark(slot));
        remark.into_iter().collect()
    }

    /// Decides whether files' version of an object counts, after a cluster's came or went. `said_before` was said before.
    fn settle_file(
        &mut self,
        key: &ObjectKey,
        said_before: Vec<Diagnostic>,
        context: &mut Context<'_>,
    ) {
        let Some(slot) = self.claims.objects.find(key, None) else {
            return;
        };
        let yields = self.claims.objects.clusters_of(key).next().is_some();
        let yielded = self.claims.yielded.contains(&slot);
        let entry = self.claims.objects.get(slot);
        let Context { index, tally, .. } = context;
        if yields && !yielded {
            index.replace(slot, Some(entry), None, &self.claims.objects);
            decrease(&mut self.objects_served, &key.kind, 1);
            tally.removed += 1;
            self.claims.yielded.insert(slot);
        } else if yielded && !yields {
            index.replace(slot, None, Some(entry), &self.claims.objects);
            *self.objects_served.entry(key.kind).or_default() += 1;
            tally.added += 1;
            self.claims.yielded.remove(&slot);
        }
        let said: Vec<_> = self.yield_remark(slot).into_iter().collect();
        self.news.compare(said_before, &said);
    }

    /// Notes that files' version of an object yields where a cluster has it. Tells whether it does.
    pub(super) fn note_yielding(&mut self, slot: Slot) -> bool {
        if !self.has_clusters {
            return false;
        }
        let entry = self.claims.objects.get(slot);
        let yields = entry.read_from().cluster().is_none()
            && self
                .claims
                .objects
                .clusters_of(entry.key())
                .next()
                .is_some();
        if yields {
            self.claims.yielded.insert(slot);
        }
        yields
    }

    /// What is said of files' version of an object, where it yields.
    pub(super) fn yield_remark(&self, slot: Slot) -> Option<Diagnostic> {
        if !self.claims.yielded.contains(&slot) {
            return None;
        }
        let entry = self.claims.objects.get(slot);
        let cluster = self.claims.objects.clusters_of(entry.key()).min()?;
        Some(Diagnostic {
            origin: entry.origin(),
            severity: Severity::Warning,
            code: code::IN_CLUSTER,
            message: format!(
                "{cluster} has this object too, and the cluster's is used: take this one out of the file"
            ),
            object: Some(entry.key().clone()),
        })
    }

    /// The objects of clusters that are kept, in order.
    pub(super) fn kept_of_clusters(&self) -> impl Iterator<Item = Kept> {
        self.kept_of.iter().map(|(unit, since)| kept(unit, *since))
    }
}

/// The version that `contents` are. Its labels are acquired.
fn read(cluster: &Cluster, contents: ObjectContents, index: &mut Index) -> Version {
    let ObjectContents {
        object,
        mut diagnostics,
    } = contents;
    diagnostics.sort_unstable();
    let read_from = ReadFrom::Cluster(cluster.clone());
    Version {
        entry: object.map(|object| translate(object, read_from, index)),
        said: diagnostics,
    }
}

fn release(version: Version, index: &mut Index) {
    if let Some(entry) = version.entry {
        index.release(&entry);
    }
}

fn kept((cluster, key): &Unit, since: SystemTime) -> Kept {
    Kept {
        key: Arc::new(key.clone()),
        holder: Holder::Cluster(cluster.clone()),
        since,
    }
}
