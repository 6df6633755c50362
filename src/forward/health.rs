use std::time::{Duration, Instant};

use crate::dns::RecordType;

/// So many questions in a row without any reply, and an upstream is tried with one that every server can answer.
const MOST_UNANSWERED: u32 = 3;

/// How long an upstream that was never heard of is waited for before another one is asked too.
const FIRST_PATIENCE: Duration = Duration::from_millis(400);

/// The same for one whose times are known, at least and at most.
const LEAST_PATIENCE: Duration = Duration::from_millis(200);
pub(super) const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// What is known of an upstream from how it answers.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// How long to wait for it, whatever it usually takes.
    fixed_patience: Option<Duration>,
    /// How long replies take, smoothed, and how much that varies, as TCP reckons it
    /// ([RFC 6298 §2](https://www.rfc-editor.org/rfc/rfc6298#section-2)); for AAAA apart from all others, for there are
    /// servers that are quick about one type of address and slow about the other.
    times: [Option<(Duration, Duration)>; 2],
    unanswered: u32,
    /// Whether it is being tried.
    is_suspect: bool,
    is_down: bool,
    back_at: Option<Instant>,
}

impl Health {
    /// Nothing yet; with `fixed_patience`, that is how long to wait for a reply.
    pub(super) fn unknown(fixed_patience: Option<Duration>) -> Self {
        Self {
            fixed_patience,
            ..Self::default()
        }
    }

    /// Sets how long to wait for a reply, `None` for what it usually takes.
    pub(super) fn set_patience(&mut self, fixed_patience: Option<Duration>) {
        self.fixed_patience = fixed_patience;
    }

    /// Whether the upstream is taken not to answer.
    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// How long a reply takes, if there was one, about the type that is answered sooner.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        let times = self.times.iter().flatten();
        times.map(|(smoothed, _)| *smoothed).min()
    }

    /// How long to wait for a reply about this type before another upstream is asked too.
    pub(super) fn patience(&self, record_type: RecordType) -> Duration {
        if let Some(fixed) = self.fixed_patience {
            return fixed;
        }
        self.times[place(record_type)].map_or(FIRST_PATIENCE, |(smoothed, deviation)| {
            (smoothed + 4 * deviation).clamp(LEAST_PATIENCE, MOST_PATIENCE)
        })
    }

    /// Notes a reply to a question for this type, whatever it says. Returns whether that ends a time of being down.
    pub(super) fn answered(&mut self, record_type: RecordType, after: Duration) -> bool {
        let times = &mut self.times[place(record_type)];
        *times = Some(match *times {
            None => (after, after / 2),
            Some((smoothed, deviation)) => (
                (7 * smoothed + after) / 8,
                (3 * deviation + smoothed.abs_diff(after)) / 4,
            ),
        });
        self.unanswered = 0;
        self.is_suspect = false;
        let was_down = std::mem::take(&mut self.is_down);
        if was_down {
            self.back_at = Some(Instant::now());
        }
        was_down
    }

    /// Notes a question without reply. Returns whether the upstream is to be tried from now on: there may be names and types
    /// that it never answers, which say nothing of the others.
    pub(super) fn missed(&mut self) -> bool {
        self.unanswered = self.unanswered.saturating_add(1);
        let turns = !self.is_suspect && self.unanswered >= MOST_UNANSWERED;
        self.is_suspect |= turns;
        turns
    }

    /// Notes a try without reply. Returns whether the upstream is down from now on.
    pub(super) fn missed_try(&mut self) -> bool {
        let turns = self.is_suspect && !self.is_down;
        self.is_down |= turns;
        turns
    }

    /// Whether the upstream is to be tried until it replies, to a try or to a question.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// When the upstream answered again for the last time that was down before.
    pub(super) fn back_at(&self) -> Option<Instant> {
        self.back_at
    }
}

/// Where the times of a type are.
fn place(record_type: RecordType) -> usize {
    usize::from(record_type == RecordType::AAAA)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RecordType = RecordType::A;

    /// Reads `events` (`+` a reply, `-` a question without one, `x` a try without one) and compares the state after each
    /// (`U` up, `S` up and tried, `D` down).
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let mut health = Health::default();
        let states = events.chars().map(|event| {
            match event {
                '+' => drop(health.answered(A, Duration::from_millis(1))),
                'x' => drop(health.missed_try()),
                _ => drop(health.missed()),
            }
            match (health.is_down(), health.is_suspect()) {
                (false, false) => 'U',
                (false, true) => 'S',
                (true, _) => 'D',
            }
        });
        assert_eq!(states.collect::<String>(), expected, "{events}");
    }

    #[test]
    fn is_down_after_three_questions_and_a_try_without_reply_and_up_after_one_reply() {
        check("--+--+", "UUUUUU");
        check("---x", "UUSD");
        check("+---x-+-", "UUUSDDUU");
        check("---+x", "UUSUU");
        check("---xxx+---x", "UUSDDDUUUSD");
    }

    #[test]
    fn says_when_it_was_back() {
        let mut health = Health::default();
        health.answered(A, Duration::ZERO);
        assert_eq!(health.back_at(), None);
        for _ in 0..3 {
            health.missed();
        }
        health.missed_try();
        assert!(health.answered(A, Duration::ZERO) && health.back_at().is_some());
    }

    #[test]
    fn patience_follows_the_times_of_replies() {
        let mut health = Health::default();
        assert_eq!(health.patience(A), FIRST_PATIENCE);
        health.answered(A, Duration::from_millis(1));
        assert_eq!(health.patience(A), LEAST_PATIENCE);
        for _ in 0..50 {
            health.answered(A, Duration::from_millis(300));
        }
        assert!(health.patience(A) > Duration::from_millis(300));
        health.answered(A, Duration::from_secs(9));
        assert_eq!(health.patience(A), MOST_PATIENCE);
    }

    #[test]
    fn one_type_of_address_sets_no_pace_for_the_other() {
        let mut health = Health::default();
        health.answered(A, Duration::from_millis(1));
        health.answered(RecordType::AAAA, Duration::from_secs(3));
        assert_eq!(health.patience(A), LEAST_PATIENCE);
        assert_eq!(health.patience(RecordType::AAAA), MOST_PATIENCE);
        assert_eq!(health.smoothed(), Some(Duration::from_millis(1)));
    }
}
