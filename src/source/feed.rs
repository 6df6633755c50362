//! The feed of mesh folders: batches for as long as somebody asks.
//!
//! Owns when to look and where, how far to trust what is found, and how long to wait for what can't be read at the start.
//! Whoever takes in its batches needs to know nothing of files, events and polling.
//!
//! Never publishes and never waits: [`Feed::next_look`] says when a look is worth it.

use std::{
    collections::BTreeSet,
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
use crate::status::{Unread, Watching};

/// How often everything is looked at although no event asked for it.
const RESCAN_INTERVAL: Duration = Duration::from_secs(30);

/// How long a file must be the same before it counts as complete, where no event tells.
const STILLNESS: Duration = Duration::from_millis(250);

/// The same after the kernel dropped events, and how long nothing that events say about writers is believed then. Also how
/// old a file must be at the start, for its writer may have begun before there were events.
const STILLNESS_IN_DOUBT: Duration = Duration::from_millis(100);
const DISTRUST: Duration = Duration::from_secs(1);

/// How long the start waits for files that are being written, before what else there is is served: less than the questions wait.
const FIRST_PATIENCE: Duration = Duration::from_millis(500);

/// How often to list again where folders appear or vanish while they are listed, before others get the processor.
const MAX_LISTINGS: usize = 8;

/// How often to look again because events came during a look, so that changes without end are served all the same.
const MAX_FOLLOWING: usize = 8;

/// When to try again where nothing could be listed whole.
const BREATH: Duration = Duration::from_millis(5);

/// How long what was read beside a file in motion is held back, where some file always is.
const HALF_PATIENCE: Duration = Duration::from_secs(2);

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
    /// Since when what was found is half of a change.
    half_since: Option<Instant>,
    /// Whether every file is to be read, and no look was finished that did.
    rereads: bool,
    start: Start,
    begun: Instant,
    /// Whether every file is known that was there when the first look began: one listing may miss those that are renamed over.
    knows_names: bool,
    /// How many files were known after the last listing.
    known_files: Option<usize>,
    /// How long what can't be read at the start is waited for.
    patience: Duration,
    missing: Vec<PathBuf>,
    overflows: u64,
}

/// What a look at everything means for the start.
enum Step {
    /// Nothing.
    None,
    /// What is missing may be there in a moment: it is too early to serve the rest.
    Early,
    /// What is missing is not waited for any longer.
    Over,
}

/// How far the feed is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    /// Nothing was looked at as a whole.
    Nothing,
    /// Something can't be read, and is waited for since then.
    Waiting(Instant),
    /// Everything was told once.
    Over,
}

impl Feed {
    /// A feed of mesh folders, or single files, that nobody has looked at. It wakes `waker` when a look is worth it.
    ///
    /// What can't be read at the start it waits for as long as `patience`.
    pub fn new(
        paths: Vec<PathBuf>,
        follow_links: FollowLinks,
        wish: Wish,
        patience: Duration,
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
            half_since: None,
            rereads: false,
            start: Start::Nothing,
            begun: Instant::now(),
            knows_names: false,
            known_files: None,
            patience,
            missing: Vec::new(),
            overflows: 0,
        }
    }

    /// Notes that the mesh knows what `file` said to an earlier process, before the first look. Tells whether it is in, or is, one
    /// of the given paths.
    ///
    /// What can't be read and was not known then is hardly waited for: it is no worse off than without the restart.
    pub fn note_earlier(&mut self, file: &Arc<str>) -> bool {
        self.patience = self.patience.min(FIRST_PATIENCE);
        self.folder.note_earlier(file)
    }

    /// The files of which the mesh knows what they said to an earlier process, and nothing else, ascending.
    pub fn earlier(&self) -> &BTreeSet<Arc<str>> {
        self.folder.earlier()
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
        let (changes, together) = match self.go_on() {
            Step::Over => (self.folder.give_up(&mut scan), false),
            Step::Early => (Vec::new(), true),
            Step::None => (Vec::new(), self.waits_for_half(scan.is_half)),
        };
        take_in(Batch {
            changes,
            complete: true,
            unread: Unread::of(self.folder.unread()),
            waits: self.start != Start::Over,
            together,
            files: scan.files,
            work: scan.work,
        });
    }

    /// Whether what a look found `is_half` of a change whose other half may be there in a moment.
    fn waits_for_half(&mut self, is_half: bool) -> bool {
        if !is_half {
            self.half_since = None;
            return false;
        }
        let since = *self.half_since.get_or_insert_with(Instant::now);
        let waits = since.elapsed() < HALF_PATIENCE;
        if !waits {
            // What is served next may be half again, after as long.
            self.half_since = None;
        }
        waits
    }

    /// Scans until no event came meanwhile: the events of one change come one by one, and what a scan found may be half of
    /// it.
    fn settled_scan(&mut self, take_in: &mut impl FnMut(Batch)) -> Option<Scan> {
        let mut scan = self.scan(take_in);
        for _ in 0..MAX_FOLLOWING {
            self.watch.catch_up();
            if !self.signals.has_extent() {
                self.note_names(scan.is_some());
                break;
            }
            if let Some(half) = scan {
                take_in(Batch::of(Vec::new(), half.files, half.work));
            }
            scan = self.scan(take_in);
        }
        scan
    }

    /// Notes that no event came since the last scan, which was `whole` or not.
    fn note_names(&mut self, whole: bool) {
        let count = self.folder.file_count();
        let found_no_more = self.known_files.replace(count) == Some(count);
        self.knows_names |= whole && (self.watch.is_told() || found_no_more);
    }

    /// Notes that everything was looked at.
    fn go_on(&mut self) -> Step {
        let now = Instant::now();
        if !self.knows_names && now < self.begun + TORN_PATIENCE {
            self.again_at = Some(now + BREATH);
            return Step::Early;
        }
        let since = match self.start {
            Start::Over => return Step::None,
            Start::Nothing => now,
            Start::Waiting(since) => since,
        };
        let early_until = since + FIRST_PATIENCE.min(self.patience);
        let is_early = now < early_until && self.folder.is_in_motion();
        let is_over = self.folder.unread().is_empty() || now >= since + self.patience;
        if is_over && !is_early {
            self.start = Start::Over;
            return Step::Over;
        }
        self.start = Start::Waiting(since);
        let until = if is_early {
            early_until
        } else {
            since + self.patience
        };
        self.again_at = Some(self.again_at.map_or(until, |again| again.min(until)));
        if is_early { Step::Early } else { Step::None }
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
                first_age: self.first_age(),
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
            first_age: self.first_age(),
            ..look
        };
        let scan = self.read(&listing, &look, take_in);
        if scan.is_torn {
            return None;
        }
        self.evidence.use_up(&extent);
        self.listing = Some(listing);
        // What the listing missed, the events told.
        self.knows_names = true;
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
            // Who asks for every file says that they are complete.
            Start::Over if !is_told && self.rereads => Trust::Everything,
            _ if !is_told => Trust::Stillness(STILLNESS),
            Start::Waiting(_) | Start::Over if distrusts => Trust::Stillness(STILLNESS_IN_DOUBT),
            _ => Trust::Events(self.evidence.clone()),
        }
    }

    /// How old a file must be that was never read.
    fn first_age(&self) -> Option<Duration> {
        let age = if self.watch.is_told() {
            STILLNESS_IN_DOUBT
        } else {
            STILLNESS
        };
        (self.start != Start::Over).then_some(age)
    }
}
