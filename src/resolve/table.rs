use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant, SystemTime},
};

use super::{Family, PerFamily};
use crate::{
    dns::Name,
    forward::{Resolution, ResolutionError},
    mesh::ResolvedName,
};

/// A name is asked for once in this time at most, whatever its TTL says, and once in that time at least.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const MOST_INTERVAL: Duration = Duration::from_hours(1);

/// How long a name without addresses is left alone at most, and where its upstreams do not say for how long to.
const MOST_NEGATIVE_INTERVAL: Duration = Duration::from_mins(5);
const NEGATIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a name that fails is left alone at most; at first it is [`LEAST_INTERVAL`], and twice as long each time.
const MOST_PAUSE: Duration = Duration::from_secs(30);

/// Names are asked for up to this part of their interval later, so that those which came together part.
const SPREAD: u32 = 16;

/// What is known of each name, and when to ask for it again.
#[derive(Debug)]
pub(super) struct Table {
    most: usize,
    entries: HashMap<Name, Entry>,
    /// Names for which there is no room.
    waiting: BTreeSet<Name>,
    /// The entries that nobody is asking for at present.
    due: PerFamily<BTreeSet<(Instant, Name)>>,
    /// How many questions were never asked to the end.
    untried: usize,
    /// The entries whose last lookup failed, and since when what is known of them is known.
    failing: BTreeSet<(SystemTime, Name)>,
}

#[derive(Debug, Default)]
struct Entry {
    halves: PerFamily<Half>,
    /// What was handed on.
    told: Option<ResolvedName>,
    failing_since: Option<SystemTime>,
}

/// What is known of one type of a name's addresses.
#[derive(Debug, Default)]
struct Half {
    /// The last good word; `None` before the first.
    found: Option<Resolution>,
    /// When it is asked for again; `None` while it is.
    due: Option<Instant>,
    was_tried: bool,
    failures: u32,
    good_at: Option<SystemTime>,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            entries: HashMap::new(),
            waiting: BTreeSet::new(),
            due: PerFamily::default(),
            untried: 0,
            failing: BTreeSet::new(),
        }
    }

    /// Takes in a name that is to be asked for at once, if there is room.
    pub(super) fn add(&mut self, name: Name, now: Instant) {
        if self.entries.contains_key(&name) {
            return;
        }
        if self.entries.len() >= self.most {
            self.waiting.insert(name);
            return;
        }
        let mut entry = Entry::default();
        for family in Family::BOTH {
            entry.halves.of_mut(family).due = Some(now);
            self.due.of_mut(family).insert((now, name.clone()));
            self.untried += 1;
        }
        self.entries.insert(name, entry);
    }

    /// Forgets a name.
    pub(super) fn remove(&mut self, name: &Name) {
        self.waiting.remove(name);
        let Some(entry) = self.entries.remove(name) else {
            return;
        };
        for family in Family::BOTH {
            let half = entry.halves.of(family);
            self.untried -= usize::from(!half.was_tried);
            if let Some(due) = half.due {
                self.due.of_mut(family).remove(&(due, name.clone()));
            }
        }
        if let Some(since) = entry.failing_since {
            self.failing.remove(&(since, name.clone()));
        }
        if let Some(next) = self.waiting.pop_first() {
            self.add(next, Instant::now());
        }
    }

    /// Has what failed asked for at once.
    pub(super) fn retry(&mut self, now: Instant) {
        for (_, name) in &self.failing {
            let Some(entry) = self.entries.get_mut(name) else {
                continue;
            };
            for family in Family::BOTH {
                let half = entry.halves.of_mut(family);
                let due = half.due.as_mut().filter(|_| half.failures > 0);
                if let Some(due) = due {
                    let all = self.due.of_mut(family);
                    all.remove(&(*due, name.clone()));
                    *due = now;
                    all.insert((now, name.clone()));
                }
            }
        }
    }

    /// A name that is to be asked for at `now`; what is found has to be [noted](Table::note).
    pub(super) fn take_due(&mut self, family: Family, now: Instant) -> Option<Name> {
        let (due, _) = self.due.of(family).first()?;
        if *due > now {
            return None;
        }
        let (_, name) = self.due.of_mut(family).pop_first()?;
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.halves.of_mut(family).due = None;
        }
        Some(name)
    }

    /// A name that was never asked for, as [`Table::take_due`] gives it.
    pub(super) fn take_new(&mut self, family: Family) -> Option<Name> {
        let (due, name) = self.due.of(family).first()?;
        let was_tried = |entry: &Entry| entry.halves.of(family).was_tried;
        if self.entries.get(name).is_none_or(was_tried) {
            return None;
        }
        let due = *due;
        self.take_due(family, due)
    }

    /// When a name is to be asked for.
    pub(super) fn next_due(&self, family: Family) -> Option<Instant> {
        self.due.of(family).first().map(|(due, _)| *due)
    }

    /// Takes in what was found for `name` by `now`. Returns what is to be told of it, where that is another thing than
    /// before.
    pub(super) fn note(
        &mut self,
        name: &Name,
        family: Family,
        found: Result<Resolution, ResolutionError>,
        now: Instant,
    ) -> Option<ResolvedName> {
        // It may have gone meanwhile.
        let entry = self.entries.get_mut(name)?;
        let at = SystemTime::now();
        let half = entry.halves.of_mut(family);
        // It may even have come back, and be due already.
        if let Some(due) = half.due.take() {
            self.due.of_mut(family).remove(&(due, name.clone()));
        }
        let due = now + spread(half.take_in(found, at));
        half.due = Some(due);
        self.untried -= usize::from(!std::mem::replace(&mut half.was_tried, true));
        self.due.of_mut(family).insert((due, name.clone()));

        let before = entry.failing_since;
        let failing = entry
            .halves
            .both()
            .into_iter()
            .filter(|half| half.failures > 0);
        let failing_since = failing
            .map(|half| half.good_at.or(before).unwrap_or(at))
            .min();
        entry.failing_since = failing_since;
        if before != failing_since {
            if let Some(before) = before {
                self.failing.remove(&(before, name.clone()));
            }
            self.failing
                .extend(failing_since.map(|since| (since, name.clone())));
        }
        entry.news(at)
    }

    /// Whether each name was asked for once.
    pub(super) fn is_settled(&self) -> bool {
        self.untried == 0
    }

    /// How many names are asked for.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// For how many names there is no room.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many names could not be looked up the last time.
    pub(super) fn failing(&self) -> usize {
        self.failing.len()
    }

    /// Whether `name` is one of them.
    pub(super) fn is_failing(&self, name: &Name) -> bool {
        let entry = self.entries.get(name);
        entry.is_some_and(|entry| entry.failing_since.is_some())
    }

    /// Whether `name` is one of them for this type of address alone.
    pub(super) fn fails_only_for(&self, name: &Name, family: Family) -> bool {
        self.entries.get(name).is_some_and(|entry| {
            Family::BOTH
                .into_iter()
                .all(|one| (entry.halves.of(one).failures > 0) == (one == family))
        })
    }

    /// Since when what is known of one of them is known, at the longest.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.failing.first().map(|(since, _)| *since)
    }
}

impl Half {
    /// Returns when to ask again.
    fn take_in(&mut self, found: Result<Resolution, ResolutionError>, at: SystemTime) -> Duration {
        let Ok(found) = found else {
            let pause = LEAST_INTERVAL * 2_u32.saturating_pow(self.failures.min(16));
            self.failures += 1;
            return pause.min(MOST_PAUSE);
        };
        let interval = interval(&found);
        self.found = Some(found);
        self.failures = 0;
        self.good_at = Some(at);
        interval
    }
}

impl Entry {
    /// What is to be told, where it is another thing than before.
    fn news(&mut self, at: SystemTime) -> Option<ResolvedName> {
        let halves = self.halves.both();
        let found: Vec<_> = halves
            .into_iter()
            .filter_map(|half| half.found.as_ref())
            .collect();
        if found.is_empty() {
            return None;
        }
        let addresses = found.iter().flat_map(|found| &found.addresses);
        let told = ResolvedName {
            alias: found.iter().find_map(|found| found.alias.clone()),
            ..ResolvedName::new(addresses.copied().collect(), at)
        };
        let is_known = self.told.as_ref().is_some_and(|known| known.means(&told));
        self.told = Some(told.clone());
        (!is_known).then_some(told)
    }
}

/// After which time what was found may be another thing.
fn interval(resolution: &Resolution) -> Duration {
    let ttl = Duration::from_secs(resolution.ttl_seconds.into());
    if resolution.addresses.is_empty() && resolution.alias.is_none() {
        return match resolution.ttl_seconds {
            0 => NEGATIVE_INTERVAL,
            _ => ttl.clamp(LEAST_INTERVAL, MOST_NEGATIVE_INTERVAL),
        };
    }
    ttl.clamp(LEAST_INTERVAL, MOST_INTERVAL)
}

fn spread(interval: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0);
    interval + (interval / SPREAD).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Rcode;
    use Family::{V4, V6};

    fn name(text: &str) -> Name {
        Name::from_text(text).expect("a name")
    }

    #[allow(clippy::unnecessary_wraps, reason = "it is how a lookup ends")]
    fn found(addresses: &[&str], ttl_seconds: u32) -> Result<Resolution, ResolutionError> {
        let addresses = addresses.iter().map(|text| text.parse());
        Ok(Resolution {
            addresses: addresses.collect::<Result<_, _>>().expect("addresses"),
            alias: None,
            ttl_seconds,
        })
    }

    fn failed() -> Result<Resolution, ResolutionError> {
        Err(ResolutionError::Failed(Some(Rcode::ServFail)))
    }

    /// A table with one name that is being asked for.
    fn asking(text: &str, now: Instant) -> Table {
        let mut table = Table::new(2);
        table.add(name(text), now);
        for family in Family::BOTH {
            assert_eq!(table.take_due(family, now), Some(name(text)));
        }
        table
    }

    /// Notes a lookup and returns after how many seconds the next one is due, and the addresses that are told.
    #[track_caller]
    fn note(
        table: &mut Table,
        family: Family,
        found: Result<Resolution, ResolutionError>,
    ) -> (u64, Option<String>) {
        let now = Instant::now();
        let told = table.note(&name("a.test"), family, found, now);
        let due = table.next_due(family).expect("it is asked for again");
        table.take_due(family, due);
        let told = told.map(|told| {
            let addresses = told.addresses.iter().map(ToString::to_string);
            addresses.collect::<Vec<_>>().join(" ")
        });
        ((due - now).as_secs(), told)
    }

    #[test]
    fn a_name_is_asked_for_again_by_its_ttl_and_told_when_it_changes() {
        let mut table = asking("a.test", Instant::now());
        assert!(!table.is_settled());
        let first = note(&mut table, V4, found(&["192.0.2.2", "192.0.2.1"], 8));
        assert_eq!(first, (8, Some("192.0.2.1 192.0.2.2".into())));
        assert!(!table.is_settled());
        let (_, told) = note(&mut table, V6, found(&[], 300));
        assert_eq!(told, None);
        assert!(table.is_settled());
        let same = note(&mut table, V4, found(&["192.0.2.1", "192.0.2.2"], 8));
        assert_eq!(same, (8, None));
        let both = note(&mut table, V6, found(&["2001:db8::1"], 4));
        assert_eq!(both, (4, Some("192.0.2.1 192.0.2.2 2001:db8::1".into())));
        let gone = note(&mut table, V4, found(&[], 0));
        assert_eq!(gone, (5, Some("2001:db8::1".into())));
        let gone = note(&mut table, V6, found(&[], 0));
        assert_eq!(gone, (5, Some(String::new())));
    }

    #[test]
    fn intervals_have_limits() {
        let mut table = asking("a.test", Instant::now());
        let (least, _) = note(&mut table, V4, found(&["192.0.2.1"], 0));
        assert_eq!(least, 1);
        let long = 1 << 30;
        let (most, _) = note(&mut table, V4, found(&["192.0.2.1"], long));
        assert!((3600..3900).contains(&most), "{most}");
        let (negative, _) = note(&mut table, V6, found(&[], long));
        assert!((300..330).contains(&negative), "{negative}");
    }

    #[test]
    fn what_was_good_stays_while_a_family_fails_and_the_other_keeps_its_pace() {
        let mut table = asking("a.test", Instant::now());
        assert_eq!(note(&mut table, V4, failed()), (1, None));
        assert_eq!(note(&mut table, V6, failed()), (1, None));
        assert_eq!(table.failing(), 1);
        let one = || found(&["192.0.2.1"], 9);
        assert_eq!(note(&mut table, V4, one()), (9, Some("192.0.2.1".into())));
        assert!(table.is_failing(&name("a.test")) && table.fails_only_for(&name("a.test"), V6));
        let pauses: Vec<_> = (0..6).map(|_| note(&mut table, V6, failed()).0).collect();
        assert_eq!(pauses[..4], [2, 4, 8, 16]);
        assert!((30..32).contains(&pauses[5]), "{pauses:?}");
        assert_eq!(note(&mut table, V4, one()), (9, None));
        assert_eq!(note(&mut table, V6, found(&[], 9)), (9, None));
        assert_eq!((table.failing(), table.oldest()), (0, None));
        note(&mut table, V4, failed());
        let since = table.oldest();
        assert!(since.is_some());
        note(&mut table, V4, failed());
        assert_eq!(table.oldest(), since);
    }

    #[test]
    fn what_failed_may_be_asked_for_at_once() {
        let now = Instant::now();
        let mut table = asking("a.test", now);
        table.note(&name("a.test"), V4, failed(), now);
        table.note(&name("a.test"), V6, found(&[], 9), now);
        assert_eq!(table.take_due(V4, now), None);
        table.retry(now);
        assert_eq!(table.take_due(V4, now), Some(name("a.test")));
        assert_eq!(table.take_due(V6, now), None, "that has not failed");
        table.retry(now);
        assert_eq!(table.take_due(V4, now), None, "it is on its way");
    }

    #[test]
    fn further_names_wait_for_room() {
        let now = Instant::now();
        let mut table = Table::new(2);
        for text in ["a.test", "b.test", "c.test"] {
            table.add(name(text), now);
        }
        assert_eq!((table.len(), table.waiting()), (2, 1));
        table.remove(&name("a.test"));
        assert_eq!((table.len(), table.waiting()), (2, 0));
        let later = now + Duration::from_secs(9);
        let due: Vec<_> = std::iter::from_fn(|| table.take_due(V4, later)).collect();
        assert_eq!(due, [name("b.test"), name("c.test")]);
        table.remove(&name("b.test"));
        assert_eq!(table.note(&name("b.test"), V4, failed(), now), None);
    }

    #[test]
    fn a_name_that_comes_back_while_it_is_looked_up_is_due_once() {
        let now = Instant::now();
        let mut table = asking("a.test", now);
        table.remove(&name("a.test"));
        table.add(name("a.test"), now);
        table.note(&name("a.test"), V4, found(&["192.0.2.1"], 9), now);
        let later = now + Duration::from_mins(1);
        assert_eq!(table.take_due(V4, later), Some(name("a.test")));
        assert_eq!(table.take_due(V4, later), None);
    }
}
