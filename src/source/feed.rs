//! The feed of mesh folders: batches for as long as somebody asks.
//!
//! Owns when to look and where, how far to trust what is found, and how long to wait for what can't be read at the start.
//! Whoever takes in its batches needs to know nothing of files, events and polling.
//!
//! Never publishes and never waits: [`Feed::next_look`] says when a look is worth it.

use std::{
    mem,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    batch::Batch,
    folder::Folder,
    links::FollowLinks,
    listing::Listing,
    look::{Look, Scan, Trust, Work},
    signals::{Evidence, Extent, Signals},
    waker::Waker,
    watch::{Watch, Wish},
};
use crate::status::Watching;

/// How often everything is looked at although no event asked for it.
const RESCAN_INTERVAL: Duration = Duration::from_secs(30);

/// How long a file must be the same before it counts as complete, where no event tells.
const STILLNESS: Duration = Duration::from_millis(250);

/// The same after the kernel dropped events, and how long nothing that events say about writers is believed then. Also how
/// old a file must be at the start, for its writer may have begun before there were events.
const STILLNESS_IN_DOUBT: Duration = Duration::from_millis(100);
const DISTRUST: Duration = Duration::from_secs(1);

/// How long the first complete batch waits for files that can't be read.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// How often to list again where folders appear or vanish while they are listed, before others get the processor.
const MAX_LISTINGS: usize = 8;

/// How often to look again because events came during a look, so that changes without end are served all the same.
const MAX_FOLLOWING: usize = 8;

/// When to try again where nothing could be listed whole.
const BREATH: Duration = Duration::from_millis(5);

/// How long links may be swapped faster than their folders can be read, before what is found is taken as it is.
const TORN_PATIENCE: Duration = Duration::from_secs(30);

/// Mesh folders that are looked at again and again.
#[derive(Debug)]
pub struct Feed {
    folder: Folder,
    watch: Watch,
    signals: Arc<Signals>,
    evidence: Evidence,
    /// What is there, as long as events tell all that becomes of it.
    listing: Option<Listing>,
    /// When everything was looked at.
    last_rescan: Instant,
    again_at: Option<Instant>,
    distrust_until: Option<Instant>,
    /// Since when no look could be finished.
    torn_since: Option<Instant>,
    /// Whether every file is to be read, and no look was finished that did.
    rereads: bool,
    start: Start,
    missing: Vec<PathBuf>,
    overflows: u64,
}

/// How far the feed is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    /// Nothing was looked at as a whole.
    Nothing,
    /// Some files can't be read, and are waited for until then.
    Waiting(Instant),
    /// Everything was told once.
    Over,
}

impl Feed {
    /// A feed of mesh folders, or single files, that nobody has looked at. It wakes `waker` when a look is worth it.
    pub fn new(
        paths: Vec<PathBuf>,
        follow_links: FollowLinks,
        wish: Wish,
        waker: Arc<Waker>,
    ) -> Self {
        let signals = Arc::new(Signals::new(waker));
        Self {
            folder: Folder::new(paths, follow_links),
            watch: Watch::new(wish, signals.clone()),
            signals,
            evidence: Evidence::default(),
            listing: None,
            last_rescan: Instant::now(),
            again_at: None,
            distrust_until: None,
            torn_since: None,
            rereads: false,
            start: Start::Nothing,
            missing: Vec::new(),
            overflows: 0,
        }
    }

    /// When to look even if nothing wakes: for everything, and for what a look waits for.
    pub fn next_look(&self) -> (Instant, Option<Instant>) {
        let interval = match self.watch.state() {
            Watching::Polling { every, .. } => every,
            Watching::Events | Watching::Starting | Watching::Stopped => RESCAN_INTERVAL,
        };
        (self.last_rescan + interval, self.again_at)
    }

    /// The given paths that are not there; what they last held stays.
    pub fn missing(&self) -> &[PathBuf] {
        &self.missing
    }

    /// How changes are noticed.
    pub fn watching(&self) -> Watching {
        self.watch.state()
    }

    /// How often the kernel dropped events and everything was looked at again.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Looks once, at `every_file` whether or not it seems unchanged, and hands on what changed. The last batch says whether
    /// more belongs to it; then another look is worth it soon.
    pub fn look(&mut self, every_file: bool, mut take_in: impl FnMut(Batch)) {
        if every_file {
            self.rereads = true;
            self.watch.retry();
        }
        let overflows = self.signals.take_overflows();
        if overflows > 0 {
            self.overflows += overflows;
            self.distrust_until = Some(Instant::now() + DISTRUST);
        }
        let Some(mut scan) = self.settled_scan(&mut take_in) else {
            self.again_at = Some(Instant::now() + BREATH);
            take_in(Batch {
                together: true,
                ..Batch::default()
            });
            return;
        };
        self.rereads = false;
        self.again_at = scan.again_at;
        self.missing = mem::take(&mut scan.missing);
        let (changes, together) = if self.end_start() {
            (self.folder.give_up(&mut scan), false)
        } else {
            (Vec::new(), scan.is_half)
        };
        take_in(Batch {
            changes,
            complete: true,
            pending: self.folder.pending().cloned().collect(),
            together,
            files: scan.files,
            work: scan.work,
        });
    }

    /// Scans until no event came meanwhile: the events of one change come one by one, and what a scan found may be half of
    /// it.
    fn settled_scan(&mut self, take_in: &mut impl FnMut(Batch)) -> Option<Scan> {
        let mut scan = self.scan(take_in);
        for _ in 0..MAX_FOLLOWING {
            self.watch.catch_up();
            if !self.signals.has_extent() {
                break;
            }
            if let Some(half) = scan {
                take_in(Batch::of(Vec::new(), half.files, half.work));
            }
            scan = self.scan(take_in);
        }
        scan
    }

    /// Notes that everything was looked at. Tells whether what is pending is to be waited for no longer.
    fn end_start(&mut self) -> bool {
        let has_pending = self.folder.pending().next().is_some();
        let now = Instant::now();
        let until = match self.start {
            Start::Over => return false,
            Start::Nothing => now + FIRST_PATIENCE,
            Start::Waiting(until) => until,
        };
        self.start = if has_pending && now < until {
            self.again_at = Some(self.again_at.map_or(until, |again| again.min(until)));
            Start::Waiting(until)
        } else {
            Start::Over
        };
        self.start == Start::Over
    }

    /// Looks until nothing was swapped on the way; `None` where that takes too long.
    fn scan(&mut self, take_in: &mut impl FnMut(Batch)) -> Option<Scan> {
        let listing = self.listing.take();
        let is_due = self.last_rescan.elapsed() >= RESCAN_INTERVAL;
        if !self.rereads
            && !is_due
            && let Some(listing) = listing
            && let Some(scan) = self.look_at_changes(listing, take_in)
        {
            return Some(scan);
        }
        self.last_rescan = Instant::now();
        let torn_since = *self.torn_since.get_or_insert_with(Instant::now);
        let strict = torn_since.elapsed() < TORN_PATIENCE;
        for _ in 0..MAX_LISTINGS {
            self.signals.take_extent();
            let look = Look::begin(Trust::Everything);
            let listing = self.folder.list();
            if self.watch.arm(&listing) {
                continue;
            }
            self.watch.catch_up();
            self.signals.add_to(&mut self.evidence);
            let look = Look {
                every_file: self.rereads,
                trust: self.trust(),
                strict,
                ..look
            };
            let scan = self.read(&listing, &look, take_in);
            if !scan.is_torn {
                self.evidence.use_up(&Extent::Everywhere);
                self.torn_since = None;
                self.listing = Some(listing);
                return Some(scan);
            }
        }
        None
    }

    /// Looks only where events say that something changed since the last look, which found `listing`; `None` where they
    /// don't tell enough.
    fn look_at_changes(
        &mut self,
        mut listing: Listing,
        take_in: &mut impl FnMut(Batch),
    ) -> Option<Scan> {
        if !self.folder.knows_all() {
            return None;
        }
        let look = Look::begin(Trust::Everything);
        self.watch.catch_up();
        let extent = self.signals.take_extent();
        let only = listing.refresh(&extent)?;
        self.signals.add_to(&mut self.evidence);
        let trust = self.trust();
        if !self.watch.is_told() || matches!(trust, Trust::Everything | Trust::Stillness(_)) {
            return None;
        }
        let look = Look {
            only: Some(only),
            trust,
            ..look
        };
        let scan = self.read(&listing, &look, take_in);
        if scan.is_torn {
            return None;
        }
        self.evidence.use_up(&extent);
        self.listing = Some(listing);
        Some(scan)
    }

    /// Reads what changed and hands it on; the work that is left to tell is that of the scan.
    fn read(&mut self, listing: &Listing, look: &Look, take_in: &mut impl FnMut(Batch)) -> Scan {
        let mut told = Work::default();
        let mut scan = self.folder.read(listing, look, |change, scan| {
            let work = scan.work - mem::replace(&mut told, scan.work);
            take_in(Batch::of(vec![change], scan.files, work));
        });
        scan.work = scan.work - told;
        if scan.is_torn {
            take_in(Batch::of(Vec::new(), scan.files, mem::take(&mut scan.work)));
        }
        scan
    }

    fn trust(&self) -> Trust {
        let distrusts = self
            .distrust_until
            .is_some_and(|until| until > Instant::now());
        let is_told = self.watch.is_told();
        match self.start {
            Start::Waiting(until) if until <= Instant::now() => Trust::Everything,
            Start::Nothing | Start::Waiting(_) => {
                let age = if is_told {
                    STILLNESS_IN_DOUBT
                } else {
                    STILLNESS
                };
                Trust::Age(self.evidence.clone(), age)
            }
            // Who asks for every file says that they are complete.
            Start::Over if !is_told && self.rereads => Trust::Everything,
            Start::Over if !is_told => Trust::Stillness(STILLNESS),
            Start::Over if distrusts => Trust::Stillness(STILLNESS_IN_DOUBT),
            Start::Over => Trust::Events(self.evidence.clone()),
        }
    }
}
