use std::time::Duration;

/// So many questions in a row without any reply, and an upstream is taken to be down.
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
    /// ([RFC 6298 §2](https://www.rfc-editor.org/rfc/rfc6298#section-2)).
    times: Option<(Duration, Duration)>,
    unanswered: u32,
    is_down: bool,
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

    /// How long a reply takes, if there was one.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.times.map(|(smoothed, _)| smoothed)
    }

    /// How long to wait for a reply before another upstream is asked too.
    pub(super) fn patience(&self) -> Duration {
        if let Some(fixed) = self.fixed_patience {
            return fixed;
        }
        self.times.map_or(FIRST_PATIENCE, |(smoothed, deviation)| {
            (smoothed + 4 * deviation).clamp(LEAST_PATIENCE, MOST_PATIENCE)
        })
    }

    /// Notes a reply, whatever it says. Returns whether that ends a time of being down.
    pub(super) fn answered(&mut self, after: Duration) -> bool {
        self.times = Some(match self.times {
            None => (after, after / 2),
            Some((smoothed, deviation)) => (
                (7 * smoothed + after) / 8,
                (3 * deviation + smoothed.abs_diff(after)) / 4,
            ),
        });
        self.unanswered = 0;
        std::mem::take(&mut self.is_down)
    }

    /// Notes a question without reply. Returns whether the upstream is down from now on.
    pub(super) fn missed(&mut self) -> bool {
        self.unanswered += 1;
        let turns = !self.is_down && self.unanswered >= MOST_UNANSWERED;
        self.is_down |= turns;
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `events` (`+` a reply, `-` none) and compares the state after each (`U` up, `D` down).
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let mut health = Health::default();
        let states = events.chars().map(|event| {
            match event {
                '+' => drop(health.answered(Duration::from_millis(1))),
                _ => drop(health.missed()),
            }
            if health.is_down() { 'D' } else { 'U' }
        });
        assert_eq!(states.collect::<String>(), expected, "{events}");
    }

    #[test]
    fn is_down_after_three_questions_in_a_row_and_up_after_one_reply() {
        check("--+--+", "UUUUUU");
        check("---", "UUD");
        check("+----+-", "UUUDDUU");
    }

    #[test]
    fn patience_follows_the_times_of_replies() {
        let mut health = Health::default();
        assert_eq!(health.patience(), FIRST_PATIENCE);
        health.answered(Duration::from_millis(1));
        assert_eq!(health.patience(), LEAST_PATIENCE);
        for _ in 0..50 {
            health.answered(Duration::from_millis(300));
        }
        assert!(health.patience() > Duration::from_millis(300));
        health.answered(Duration::from_secs(9));
        assert_eq!(health.patience(), MOST_PATIENCE);
    }
}
