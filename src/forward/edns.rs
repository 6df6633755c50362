//! How much EDNS an upstream bears, or a firewall before it.

use std::time::{Duration, Instant};

use crate::{dns::Rcode, wire::UpstreamReply};

/// How long an upstream is asked with less before all is tried again, beside the question of a client.
const RETRY_AFTER: Duration = Duration::from_mins(10);

/// How many questions are asked again with less because of NOTIMP, REFUSED or nothing, without any success.
const MOST_FRUITLESS: u32 = 3;

/// What a question carries, from most to least.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Edns {
    /// An OPT record with our marks, by which a loop is known.
    Marked,
    /// An OPT record without options.
    Plain,
    /// No OPT record.
    None,
}

impl Edns {
    fn less(self) -> Option<Self> {
        match self {
            Self::Marked => Some(Self::Plain),
            Self::Plain => Some(Self::None),
            Self::None => None,
        }
    }

    /// `marks` as far as they are told.
    pub(super) fn of(self, marks: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Marked => Some(marks),
            Self::Plain => Some(&[]),
            Self::None => None,
        }
    }
}

/// What is known of one upstream.
///
/// Until it has answered, one that is silent is asked with less each time its patience is over, and again with everything
/// after that: a question may be lost for other reasons. Once it has answered, silence says nothing of EDNS.
#[derive(Debug)]
pub(super) struct Tolerance {
    bears: Edns,
    is_proven: bool,
    /// Since when there is no reply to a question asked so.
    silent_since: Option<Instant>,
    fruitless: u32,
    /// When everything may be tried again; `None` for at once.
    retry_at: Option<Instant>,
}

impl Tolerance {
    pub(super) fn unknown() -> Self {
        Self {
            bears: Edns::Marked,
            is_proven: false,
            silent_since: None,
            fruitless: 0,
            retry_at: None,
        }
    }

    /// How to ask at `now`, where a reply is waited for as long as `patience`.
    pub(super) fn choose(&mut self, now: Instant, patience: Duration) -> Edns {
        if self.is_proven {
            return self.bears;
        }
        let since = *self.silent_since.get_or_insert(now);
        // Who asks again may come a moment early.
        if now.saturating_duration_since(since) >= patience * 3 / 4 {
            self.bears = self.bears.less().unwrap_or(Edns::Marked);
            self.silent_since = Some(now);
        }
        self.bears
    }

    /// What to ask with instead, after `reply` to a question with `asked`.
    pub(super) fn less(&mut self, asked: Edns, reply: &UpstreamReply) -> Option<Edns> {
        self.silent_since = None;
        let is = |rcode| reply.rcode == rcode as u16;
        let is_about_edns = is(Rcode::FormErr) || is(Rcode::BadVers);
        // Or about the name or the type, or nothing at all.
        let is_empty = is(Rcode::NoError) && !reply.settles() && !reply.truncated;
        let may_be_about_edns = (is(Rcode::NotImp) || is(Rcode::Refused) || is_empty)
            && !self.is_proven
            && self.fruitless < MOST_FRUITLESS;
        asked.less().filter(|_| is_about_edns || may_be_about_edns)
    }

    /// Notes an answer to a question with `asked`; `after_complaint` where it was refused with more.
    pub(super) fn count_answer(&mut self, asked: Edns, after_complaint: bool, now: Instant) {
        self.silent_since = None;
        self.fruitless = 0;
        let is_news = !self.is_proven || asked < self.bears || after_complaint;
        if is_news {
            self.bears = asked;
            self.is_proven = true;
            self.retry_at = after_complaint.then(|| now + RETRY_AFTER);
        }
    }

    /// Notes that asking with less did not help either.
    pub(super) fn count_fruitless(&mut self) {
        self.fruitless += 1;
    }

    /// Whether everything is to be tried again; only one caller is told so.
    pub(super) fn claim_retry(&mut self, now: Instant) -> bool {
        let is_due = self.is_proven
            && self.bears != Edns::Marked
            && self.retry_at.is_none_or(|at| now >= at);
        if is_due {
            self.retry_at = Some(now + RETRY_AFTER);
        }
        is_due
    }

    /// Forgets what silence would contradict: the upstream does not answer any more.
    pub(super) fn doubt(&mut self) {
        self.is_proven = false;
        self.silent_since = None;
        self.fruitless = 0;
        self.retry_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(400);

    /// Reads `events`, one a patience (`?` a question, `+` an answer to the last, `d` doubt), and compares what each question
    /// is asked with (`M`, `P`, `N`).
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let mut tolerance = Tolerance::unknown();
        let mut now = Instant::now();
        let (mut asked, mut found) = (Edns::Marked, String::new());
        for event in events.chars() {
            match event {
                '?' => {
                    asked = tolerance.choose(now, PATIENCE);
                    now += PATIENCE;
                    found.push(match asked {
                        Edns::Marked => 'M',
                        Edns::Plain => 'P',
                        Edns::None => 'N',
                    });
                }
                '+' => tolerance.count_answer(asked, false, now),
                _ => tolerance.doubt(),
            }
        }
        assert_eq!(found, expected, "{events}");
    }

    #[test]
    fn silence_leads_to_less_until_there_is_an_answer() {
        check("???????", "MPNMPNM");
        check("?+???", "MMMM");
        check("??+???", "MPPPP");
        check("???+??", "MPNNN");
        check("?+d????", "MMPNM");
    }

    #[test]
    fn an_answer_to_more_counts_more() {
        let (mut tolerance, now) = (Tolerance::unknown(), Instant::now());
        tolerance.count_answer(Edns::None, false, now);
        assert!(tolerance.claim_retry(now), "silence proves little");
        assert!(!tolerance.claim_retry(now), "one tries");
        tolerance.count_answer(Edns::Marked, false, now);
        tolerance.count_answer(Edns::None, false, now);
        assert_eq!(tolerance.choose(now, PATIENCE), Edns::Marked);
        assert!(!tolerance.claim_retry(now + RETRY_AFTER));
    }

    #[test]
    fn a_complaint_is_believed_for_a_while() {
        let (mut tolerance, now) = (Tolerance::unknown(), Instant::now());
        tolerance.count_answer(Edns::Plain, true, now);
        assert!(!tolerance.claim_retry(now));
        assert!(tolerance.claim_retry(now + RETRY_AFTER));
        assert_eq!(tolerance.choose(now + RETRY_AFTER, PATIENCE), Edns::Plain);
    }
}
