use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::{Duration, Instant, SystemTime},
};

use super::Lookup;
use crate::{dns::Name, forward::Resolution, mesh::Told};

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
    due: BTreeSet<(Instant, Name)>,
    /// How many entries were never asked for to the end.
    untried: usize,
    /// The entries whose last lookup failed, and since when what is known of them is known.
    failing: BTreeSet<(SystemTime, Name)>,
}

#[derive(Debug, Default)]
struct Entry {
    v4: Option<Vec<IpAddr>>,
    v6: Option<Vec<IpAddr>>,
    alias: Option<Name>,
    /// What was handed on.
    told: Option<Told>,
    /// When it is asked for again; `None` while it is.
    due: Option<Instant>,
    was_tried: bool,
    failures: u32,
    /// When both questions were answered last.
    good_at: Option<SystemTime>,
    failing_since: Option<SystemTime>,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            entries: HashMap::new(),
            waiting: BTreeSet::new(),
            due: BTreeSet::new(),
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
        let entry = Entry {
            due: Some(now),
            ..Entry::default()
        };
        self.due.insert((now, name.clone()));
        self.entries.insert(name, entry);
        self.untried += 1;
    }

    /// Forgets a name.
    pub(super) fn remove(&mut self, name: &Name) {
        self.waiting.remove(name);
        let Some(entry) = self.entries.remove(name) else {
            return;
        };
        self.untried -= usize::from(!entry.was_tried);
        if let Some(due) = entry.due {
            self.due.remove(&(due, name.clone()));
        }
        if let Some(since) = entry.failing_since {
            self.failing.remove(&(since, name.clone()));
        }
        if let Some(next) = self.waiting.pop_first() {
            self.add(next, Instant::now());
        }
    }

    /// Has names that failed asked for at once.
    pub(super) fn retry(&mut self, now: Instant) {
        for (_, name) in &self.failing {
            let due = self.entries.get_mut(name).map(|entry| &mut entry.due);
            if let Some(Some(due)) = due {
                self.due.remove(&(*due, name.clone()));
                *due = now;
                self.due.insert((now, name.clone()));
            }
        }
    }

    /// A name that is to be asked for at `now`; what is found has to be [noted](Table::note).
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Name> {
        let (due, _) = self.due.first()?;
        if *due > now {
            return None;
        }
        let (_, name) = self.due.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.due = None;
        }
        Some(name)
    }

    /// When a name is to be asked for.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes in what was found for `name` by `now`. Returns what is to be told of it, where that is another thing than
    /// before.
    pub(super) fn note(&mut self, name: &Name, lookup: Lookup, now: Instant) -> Option<Told> {
        // It may have gone meanwhile.
        let entry = self.entries.get_mut(name)?;
        let at = SystemTime::now();
        let interval = entry.take_in(lookup, at);
        self.untried -= usize::from(!std::mem::replace(&mut entry.was_tried, true));
        let due = now + spread(interval);
        if let Some(other) = entry.due.replace(due) {
            self.due.remove(&(other, name.clone()));
        }
        self.due.insert((due, name.clone()));
        let before = entry.failing_since;
        let failing_since = (entry.failures > 0).then(|| entry.good_at.or(before).unwrap_or(at));
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
        entry.is_some_and(|entry| entry.failures > 0)
    }

    /// Since when what is known of one of them is known, at the longest.
    pub(super) fn oldest(&self) -> Option<SystemTime> {
        self.failing.first().map(|(since, _)| *since)
    }
}

impl Entry {
    /// Returns when to ask again.
    fn take_in(&mut self, lookup: Lookup, at: SystemTime) -> Duration {
        let Lookup { v4, v6 } = lookup;
        if let (Ok(_), _) | (_, Ok(_)) = (&v4, &v6) {
            self.alias = None;
        }
        let mut soonest = None::<Duration>;
        let mut has_failed = false;
        for (family, resolution) in [(&mut self.v4, v4), (&mut self.v6, v6)] {
            match resolution {
                Ok(resolution) => {
                    let interval = interval(&resolution);
                    soonest = Some(soonest.map_or(interval, |soonest| soonest.min(interval)));
                    self.alias = resolution.alias.or(self.alias.take());
                    *family = Some(resolution.addresses);
                }
                Err(_) => has_failed = true,
            }
        }
        if has_failed {
            let pause = LEAST_INTERVAL * 2_u32.saturating_pow(self.failures.min(16));
            self.failures += 1;
            return pause.min(MOST_PAUSE);
        }
        self.failures = 0;
        self.good_at = Some(at);
        soonest.unwrap_or(LEAST_INTERVAL)
    }

    /// What is to be told, where it is another thing than before.
    fn news(&mut self, at: SystemTime) -> Option<Told> {
        if self.v4.is_none() && self.v6.is_none() {
            return None;
        }
        let addresses = [&self.v4, &self.v6].into_iter().flatten().flatten();
        let told = Told {
            alias: self.alias.clone(),
            ..Told::new(addresses.copied().collect(), at)
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
    use crate::{dns::Rcode, forward::ResolutionError};

    fn name(text: &str) -> Name {
        Name::from_text(text).expect("a name")
    }

    fn resolution(addresses: &[&str], ttl_seconds: u32) -> Resolution {
        let addresses = addresses.iter().map(|text| text.parse());
        Resolution {
            addresses: addresses.collect::<Result<_, _>>().expect("addresses"),
            alias: None,
            ttl_seconds,
        }
    }

    fn failed() -> Result<Resolution, ResolutionError> {
        Err(ResolutionError::Failed(Some(Rcode::ServFail)))
    }

    /// A table with one name that is being asked for.
    fn asking(text: &str, now: Instant) -> Table {
        let mut table = Table::new(2);
        table.add(name(text), now);
        assert_eq!(table.take_due(now), Some(name(text)));
        table
    }

    /// Notes a lookup and returns after how many seconds the next one is due, and the addresses that are told.
    #[track_caller]
    fn note(
        table: &mut Table,
        v4: Result<Resolution, ResolutionError>,
        v6: Result<Resolution, ResolutionError>,
    ) -> (u64, Option<String>) {
        let now = Instant::now();
        let told = table.note(&name("a.test"), Lookup { v4, v6 }, now);
        let due = table.next_due().expect("it is asked for again");
        table.take_due(due);
        let told = told.map(|told| {
            let addresses = told.addresses.iter().map(ToString::to_string);
            addresses.collect::<Vec<_>>().join(" ")
        });
        ((due - now).as_secs(), told)
    }

    #[test]
    fn a_name_is_asked_for_again_by_the_shorter_ttl_and_told_when_it_changes() {
        let mut table = asking("a.test", Instant::now());
        assert!(!table.is_settled());
        let none = || Ok(resolution(&[], 300));
        let first = note(
            &mut table,
            Ok(resolution(&["192.0.2.2", "192.0.2.1"], 8)),
            none(),
        );
        assert_eq!(first, (8, Some("192.0.2.1 192.0.2.2".into())));
        assert!(table.is_settled());
        let same = note(
            &mut table,
            Ok(resolution(&["192.0.2.1", "192.0.2.2"], 8)),
            none(),
        );
        assert_eq!(same, (8, None));
        let both = note(
            &mut table,
            Ok(resolution(&["192.0.2.1"], 9)),
            Ok(resolution(&["2001:db8::1"], 4)),
        );
        assert_eq!(both, (4, Some("192.0.2.1 2001:db8::1".into())));
        let gone = note(&mut table, Ok(resolution(&[], 0)), Ok(resolution(&[], 0)));
        assert_eq!(gone, (5, Some(String::new())));
    }

    #[test]
    fn intervals_have_limits() {
        let mut table = asking("a.test", Instant::now());
        let (least, _) = note(
            &mut table,
            Ok(resolution(&["192.0.2.1"], 0)),
            Ok(resolution(&[], 9)),
        );
        assert_eq!(least, 1);
        let long = 1 << 30;
        let address = || Ok(resolution(&["192.0.2.1"], long));
        let (most, _) = note(&mut table, address(), address());
        assert!((3600..3900).contains(&most), "{most}");
        let (negative, _) = note(
            &mut table,
            Ok(resolution(&[], long)),
            Ok(resolution(&[], long)),
        );
        assert!((300..330).contains(&negative), "{negative}");
    }

    #[test]
    fn what_was_good_stays_while_a_family_fails() {
        let mut table = asking("a.test", Instant::now());
        assert_eq!(note(&mut table, failed(), failed()), (1, None));
        assert_eq!(table.failing(), 1);
        let one = note(&mut table, Ok(resolution(&["192.0.2.1"], 9)), failed());
        assert_eq!(one, (2, Some("192.0.2.1".into())));
        let pauses: Vec<_> = (0..5)
            .map(|_| note(&mut table, failed(), failed()).0)
            .collect();
        assert_eq!(pauses[..3], [4, 8, 16]);
        assert!((30..32).contains(&pauses[4]), "{pauses:?}");
        let well = note(
            &mut table,
            Ok(resolution(&["192.0.2.1"], 9)),
            Ok(resolution(&[], 9)),
        );
        assert_eq!(well, (9, None));
        assert_eq!((table.failing(), table.oldest()), (0, None));
        note(&mut table, failed(), failed());
        let since = table.oldest();
        assert!(since.is_some());
        note(&mut table, failed(), failed());
        assert_eq!(table.oldest(), since);
    }

    #[test]
    fn a_name_that_fails_may_be_asked_for_at_once() {
        let now = Instant::now();
        let mut table = asking("a.test", now);
        let lookup = Lookup {
            v4: failed(),
            v6: failed(),
        };
        table.note(&name("a.test"), lookup, now);
        assert_eq!(table.take_due(now), None);
        table.retry(now);
        assert_eq!(table.take_due(now), Some(name("a.test")));
        table.retry(now);
        assert_eq!(table.take_due(now), None, "it is on its way");
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
        let due: Vec<_> = std::iter::from_fn(|| table.take_due(later)).collect();
        assert_eq!(due, [name("b.test"), name("c.test")]);
        let lookup = Lookup {
            v4: failed(),
            v6: failed(),
        };
        table.remove(&name("b.test"));
        assert_eq!(table.note(&name("b.test"), lookup, now), None);
    }
}
