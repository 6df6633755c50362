//! What upstreams said, for as long as it may be given again.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use quick_cache::{
    Equivalent, Weighter,
    sync::{Cache as Evicting, DefaultLifecycle},
};

use super::{
    pool::settles,
    question::{AskedQuestion, Question},
};
use crate::{
    dns::Rcode,
    wire::{Age, UpstreamReply},
};

/// The longest that a reply is kept fresh, whatever its TTLs say: a day.
const LONGEST_LIFETIME: u32 = 86_400;

/// How long a failure is kept, so that a broken domain or a dead upstream is not asked for each query
/// ([RFC 9520 §3.2](https://www.rfc-editor.org/rfc/rfc9520#section-3.2) wants 1 s at least).
const FAILURE_LIFETIME: u32 = 1;

/// How long to leave an upstream alone about a question that it could not answer anew. [RFC 8767 §5] has 30 s for other
/// people's servers; an upstream is one's own.
///
/// [RFC 8767 §5]: https://www.rfc-editor.org/rfc/rfc8767#section-5
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);

/// A reply that is asked for in the last tenth of its lifetime is asked for often, and renewed.
const LAST_TENTH: u64 = 10;

/// What an entry takes beside its reply: the question, the table's and the policy's part, and a pointer.
const ENTRY_BYTES: usize = mem::size_of::<Kept>() + mem::size_of::<Question>() + 64;

/// Replies by question, within a limit of bytes.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Evicting<Question, Arc<Kept>, Bytes, RandomState>,
}

/// A reply and its age.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) reply: UpstreamReply,
    since: Instant,
    lifetime_seconds: u32,
    /// Whether the upstreams could not renew it when they were asked last.
    has_failed: AtomicBool,
    /// From when on, in milliseconds after `since`, it may be asked for anew.
    renew_after_millis: AtomicU64,
}

/// What may be done with a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// It answers; and who gets `renew` is to ask for it anew.
    Give { renew: bool },
    /// It answers only if the upstreams don't.
    InNeed,
    /// None.
    TooOld,
}

#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<Question, Arc<Kept>> for Bytes {
    fn weight(&self, question: &Question, kept: &Arc<Kept>) -> u64 {
        let bytes = ENTRY_BYTES + kept.reply.heap_bytes() + question.heap_bytes();
        bytes as u64
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

    /// The reply to `question`, and what it may be used for at `now`, where it may be given for as long as `serve_stale`
    /// beyond its lifetime.
    pub(super) fn get(
        &self,
        question: &AskedQuestion<'_>,
        now: Instant,
        serve_stale: Duration,
    ) -> Option<(Arc<Kept>, Use)> {
        let kept = self.entries.get(question)?;
        let usable = kept.usable(now, serve_stale);
        (usable != Use::TooOld).then_some((kept, usable))
    }

    /// Takes in what the upstreams say at `now`; `None` where none of them said anything. Returns what answers the question.
    pub(super) fn take_in(
        &self,
        question: &Question,
        reply: Option<UpstreamReply>,
        now: Instant,
        serve_stale: Duration,
    ) -> Arc<Kept> {
        let reply = reply.unwrap_or_else(UpstreamReply::none);
        if !settles(&reply)
            && let Some((held, _)) = self.get(&question.as_asked(), now, serve_stale)
        {
            held.could_not_be_renewed(now);
            return held;
        }
        let kept = Arc::new(Kept::new(reply, now));
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
    pub(super) fn new(reply: UpstreamReply, since: Instant) -> Self {
        let lifetime_seconds = if reply.rcode == Rcode::ServFail as u16 {
            FAILURE_LIFETIME
        } else {
            reply.lifetime_seconds.min(LONGEST_LIFETIME)
        };
        let lifetime_millis = u64::from(lifetime_seconds) * 1000;
        Self {
            reply,
            since,
            lifetime_seconds,
            has_failed: AtomicBool::new(false),
            renew_after_millis: AtomicU64::new(lifetime_millis - lifetime_millis / LAST_TENTH),
        }
    }

    /// What the TTLs are to say at `now`.
    pub(super) fn age(&self, now: Instant) -> Age {
        let age = now.saturating_duration_since(self.since).as_secs();
        match u32::try_from(age) {
            Ok(seconds) if seconds < self.lifetime_seconds => Age::Fresh(seconds),
            // Not kept, but given to those who waited for it together.
            _ if self.lifetime_seconds == 0 => Age::Fresh(0),
            _ => Age::Stale,
        }
    }

    fn usable(&self, now: Instant, serve_stale: Duration) -> Use {
        let age = now.saturating_duration_since(self.since);
        let lifetime = Duration::from_secs(self.lifetime_seconds.into());
        let is_failure = self.reply.rcode == Rcode::ServFail as u16;
        if age < lifetime {
            let renew = !is_failure && self.claim_renewal(age);
            return Use::Give { renew };
        }
        if is_failure || age >= lifetime + serve_stale {
            return Use::TooOld;
        }
        if self.has_failed.load(Relaxed) {
            let renew = self.claim_renewal(age);
            return Use::Give { renew };
        }
        Use::InNeed
    }

    /// Whether the time for a renewal has come; only one caller is told so.
    fn claim_renewal(&self, age: Duration) -> bool {
        let (age, due) = (millis(age), self.renew_after_millis.load(Relaxed));
        age >= due
            && self
                .renew_after_millis
                .compare_exchange(due, age + millis(RENEWAL_PAUSE), Relaxed, Relaxed)
                .is_ok()
    }

    fn could_not_be_renewed(&self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        self.renew_after_millis
            .store(millis(age + RENEWAL_PAUSE), Relaxed);
        self.has_failed.store(true, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
