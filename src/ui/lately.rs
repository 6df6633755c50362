//! What was answered lately: sums of questions, looked at now and then, so that an old failure is no trouble for ever.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::metrics::Answered;

/// How often the sums are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// For how long.
pub(super) const WINDOW: Duration = Duration::from_mins(5);

/// Sums of the window, as they were looked at.
#[derive(Debug, Default)]
pub struct Lately(Mutex<VecDeque<(Instant, Answered)>>);

impl Lately {
    /// What was answered in the window, `now` being the sums of the process at `at`.
    pub(super) fn since(&self, now: Answered, at: Instant) -> Answered {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One beyond the window is what it begins with.
        while sums
            .get(1)
            .is_some_and(|(time, _)| at.duration_since(*time) >= WINDOW)
        {
            sums.pop_front();
        }
        let first = match sums.front() {
            Some((_, first)) => *first,
            None => Answered::default(),
        };
        if sums
            .back()
            .is_none_or(|(time, _)| at.duration_since(*time) >= EVERY)
        {
            sums.push_back((at, now));
        }
        Answered {
            questions: now.questions.saturating_sub(first.questions),
            failures: now.failures.saturating_sub(first.failures),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_no_trouble_any_more() {
        let lately = Lately::default();
        let start = Instant::now();
        let at = |minutes: u64, questions: u64, failures: u64| {
            let answered = Answered {
                questions,
                failures,
            };
            let since = lately.since(answered, start + Duration::from_mins(minutes));
            (since.questions, since.failures)
        };
        assert_eq!(at(0, 10, 2), (10, 2));
        assert_eq!(at(1, 15, 2), (5, 0));
        assert_eq!(at(4, 30, 3), (20, 1));
        assert_eq!(at(6, 30, 3), (15, 1));
        assert_eq!(at(20, 30, 3), (0, 0));
    }
}
