//! What upstreams said, for as long as it may be given again.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use quick_cache::{
    Equivalent, Weighter,
    sync::{Cache as Evicting, DefaultLifecycle},
};

use super::{
    answered::Answered,
    decide::{Held, Life, RENEWAL_PAUSE},
    question::{AskedQuestion, Question},
};
use crate::wire::{Age, Alias, UpstreamReply};

/// The longest that a reply is kept fresh, whatever its TTLs say: a day.
const LONGEST_LIFETIME: u32 = 86_400;

/// The longest that "no such name" and "no such data" are kept: three hours ([RFC 2308 §5]).
///
/// [RFC 2308 §5]: https://www.rfc-editor.org/rfc/rfc2308#section-5
const LONGEST_NEGATIVE_LIFETIME: u32 = 10_800;

/// How long a failure is kept, in seconds, so that a broken domain or a dead upstream is not asked for each query: the least
/// that [RFC 9520 §3.2] allows at first, twice as long each time that an upstream says so again.
///
/// [RFC 9520 §3.2]: https://www.rfc-editor.org/rfc/rfc9520#section-3.2
const FAILURE_LIFETIME: u32 = 1;
const LONGEST_FAILURE_LIFETIME: u32 = 5;

/// A reply that is asked for in the last tenth of its lifetime is asked for often, and renewed.
const LAST_TENTH: u64 = 10;

/// What an entry takes beside its reply: the question, the table's and the policy's part, and a pointer.
const ENTRY_BYTES: usize = mem::size_of::<Kept>() + mem::size_of::<Question>() + 64;

/// In the place of a time that there is none of.
const NEVER: u64 = u64::MAX;

/// Replies by question, within a limit of bytes.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Evicting<Question, Arc<Kept>, Bytes, RandomState>,
}

/// A reply and its age.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) reply: UpstreamReply,
    /// Where the asked name leads, where it is an alias.
    pub(super) aliases: Box<[Alias]>,
    /// Whether the reply is of use only where an alias leads into the mesh: it says nothing of where they end.
    pub(super) is_open: bool,
    /// Whether the reply has records of other names or types than the asked one, which may be the mesh's.
    pub(super) says_more: bool,
    /// The generation of the snapshot that answers for none of the reply's records, or [`NEVER`].
    pub(super) cleared_at: AtomicU64,
    is_failure: bool,
    since: Instant,
    lifetime_seconds: u32,
    /// When the upstreams could not renew it the last time, in milliseconds after `since`, or [`NEVER`].
    failed_at_millis: AtomicU64,
    /// From when on, in milliseconds after `since`, it may be asked for anew.
    renew_after_millis: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<Question, Arc<Kept>> for Bytes {
    fn weight(&self, question: &Question, kept: &Arc<Kept>) -> u64 {
        let aliases = kept.aliases.iter();
        let aliases = aliases.map(|alias| mem::size_of::<Alias>() + alias.target.as_wire().len());
        let heap_bytes = kept.reply.heap_bytes() + question.heap_bytes() + aliases.sum::<usize>();
        (ENTRY_BYTES + heap_bytes) as u64
    }
}

impl Equivalent<Question> for AskedQuestion<'_> {
    fn equivalent(&self, key: &Question) -> bool {
        *self == key.as_asked()
    }
}

impl Cache {
    pub(super) fn new(most_bytes: u64) -> Self {
        const USUAL_ENTRY_BYTES: u64 = 512;
        let entries = usize::try_from(most_bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        Self {
            entries: Evicting::with(
                entries,
                most_bytes,
                Bytes,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    /// Takes at most so much memory from now on.
    pub(super) fn resize(&self, most_bytes: u64) {
        self.entries.set_capacity(most_bytes);
    }

    /// The reply to `question`, however old.
    pub(super) fn get(&self, question: &AskedQuestion<'_>) -> Option<Arc<Kept>> {
        self.entries.get(question)
    }

    /// Takes in what the upstreams say at `now`; `None` where none of them said anything. Returns what answers the question:
    /// that, or where it is a failure, the reply that is held and may be given for as long as `serve_stale` beyond its
    /// lifetime.
    pub(super) fn take_in(
        &self,
        question: &Question,
        answered: Option<Answered>,
        now: Instant,
        serve_stale: Duration,
    ) -> Arc<Kept> {
        let is_said = answered.is_some();
        let answered = answered.unwrap_or_else(Answered::nothing);
        let mut kept = Kept::new(answered, now);
        kept.says_more = kept.reply.says_more(&question.name, question.record_type);
        if let Some(held) = self.get(&question.as_asked())
            && !kept.reply.settles()
        {
            if held.is_usable(now, serve_stale) {
                held.note_failure(now);
                return held;
            }
            if is_said {
                kept.prolong_failure(&held);
            }
        }
        let kept = Arc::new(kept);
        if kept.lifetime_seconds > 0 {
            self.entries.insert(question.clone(), kept.clone());
        }
        kept
    }

    /// How many replies are held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How much memory they take.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

impl Kept {
    pub(super) fn new(answered: Answered, since: Instant) -> Self {
        let Answered {
            reply,
            aliases,
            is_open,
        } = answered;
        let is_failure = !reply.settles() && !reply.truncated;
        let shortest_alias = || aliases.iter().map(|alias| alias.ttl_seconds).min();
        let lifetime_seconds = match reply.lifetime_seconds {
            _ if is_failure => FAILURE_LIFETIME,
            _ if is_open => shortest_alias().unwrap_or(0).min(LONGEST_LIFETIME),
            seconds if reply.is_negative() => seconds.min(LONGEST_NEGATIVE_LIFETIME),
            seconds => seconds.min(LONGEST_LIFETIME),
        };
        let lifetime_millis = u64::from(lifetime_seconds) * 1000;
        Self {
            reply,
            aliases: aliases.into(),
            is_open,
            says_more: false,
            cleared_at: AtomicU64::new(NEVER),
            is_failure,
            since,
            lifetime_seconds,
            failed_at_millis: AtomicU64::new(NEVER),
            renew_after_millis: AtomicU64::new(lifetime_millis - lifetime_millis / LAST_TENTH),
        }
    }

    /// What the TTLs are to say at `now`.
    pub(super) fn age(&self, now: Instant) -> Age {
        let age = self.since_then(now).as_secs();
        match u32::try_from(age) {
            Ok(seconds) if seconds < self.lifetime_seconds => Age::Fresh(seconds),
            // Not kept, but given to those who waited for it together.
            _ if self.lifetime_seconds == 0 || self.is_failure => Age::Fresh(0),
            _ => Age::Stale,
        }
    }

    /// What the reply is worth at `now`, where it may be given for as long as `serve_stale` beyond its lifetime. `back_at` says
    /// when an upstream was back that was down, and is asked only where that matters.
    pub(super) fn held(
        &self,
        now: Instant,
        serve_stale: Duration,
        back_at: impl FnOnce() -> Option<Instant>,
    ) -> Held {
        let age = self.since_then(now);
        let lifetime = Duration::from_secs(self.lifetime_seconds.into());
        let back_at = if self.is_failure || age >= lifetime {
            back_at().and_then(|back| back.checked_duration_since(self.since))
        } else {
            None
        };
        let failed_at = match self.failed_at_millis.load(Relaxed) {
            NEVER => None,
            at => Some(Duration::from_millis(at)),
        };
        Held::of(&Life {
            age,
            lifetime,
            serve_stale,
            is_failure: self.is_failure,
            renew_after: Duration::from_millis(self.renew_after_millis.load(Relaxed)),
            failed_at,
            back_at,
        })
    }

    /// Whether the time for a renewal has come by `now`; only one caller is told so.
    pub(super) fn claim_renewal(&self, now: Instant) -> bool {
        let age = millis(self.since_then(now));
        let due = self.renew_after_millis.load(Relaxed);
        age >= due
            && self
                .renew_after_millis
                .compare_exchange(due, age + millis(RENEWAL_PAUSE), Relaxed, Relaxed)
                .is_ok()
    }

    /// Whether the reply says something that may be given at `now` at least in need.
    fn is_usable(&self, now: Instant, serve_stale: Duration) -> bool {
        let lifetime = Duration::from_secs(self.lifetime_seconds.into());
        !self.is_failure && self.since_then(now) < lifetime + serve_stale
    }

    fn note_failure(&self, now: Instant) {
        let age = self.since_then(now);
        self.failed_at_millis.store(millis(age), Relaxed);
        self.renew_after_millis
            .store(millis(age + RENEWAL_PAUSE), Relaxed);
    }

    /// Keeps a failure for longer than the one before, where that is over no longer than it lasted.
    fn prolong_failure(&mut self, before: &Self) {
        let ended = before.since + Duration::from_secs(before.lifetime_seconds.into());
        let lasted = Duration::from_secs(before.lifetime_seconds.into());
        if self.is_failure && before.is_failure && self.since < ended + lasted {
            let seconds = 2 * before.lifetime_seconds;
            self.lifetime_seconds = seconds.min(LONGEST_FAILURE_LIFETIME);
        }
    }

    fn since_then(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Name, RecordType};

    fn failure() -> Answered {
        Answered {
            reply: UpstreamReply::failed(),
            ..Answered::nothing()
        }
    }

    #[test]
    fn a_failure_is_kept_longer_each_time_that_it_is_said_again() {
        let cache = Cache::new(1 << 20);
        let question = Question {
            name: Name::root(),
            record_type: RecordType::A,
            dnssec_ok: false,
            checking_disabled: false,
        };
        let start = Instant::now();
        let after = |seconds, answered| {
            let now = start + Duration::from_secs(seconds);
            let kept = cache.take_in(&question, answered, now, Duration::ZERO);
            kept.lifetime_seconds
        };
        assert_eq!(after(0, Some(failure())), 1);
        assert_eq!(after(1, Some(failure())), 2);
        assert_eq!(after(3, Some(failure())), 4);
        assert_eq!(after(8, Some(failure())), 5);
        assert_eq!(after(14, None), 1, "the upstreams may be back at any time");
        assert_eq!(after(20, Some(failure())), 1, "that was long ago");
    }
}
