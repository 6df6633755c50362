use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    health::{Failure, HeldFor, Nothing, Out, Pass},
    manifest::Probe,
};

/// 2026-01-01 12:00:00.
const NOON: u64 = 1_767_268_800;

const EPOCH: Epoch = Epoch {
    wall: Duration::from_secs(NOON),
    seed: 7,
};

/// A board, the time, and what was told last of each target.
struct Watch {
    board: Board,
    now: Duration,
    told: BTreeMap<TargetId, Ruling>,
}

/// A pass after 3 ms.
const PASS: Observation = Observation::Pass(Pass {
    latency: Duration::from_millis(3),
    status: 0,
});

const REFUSED: Observation = Observation::Fail(Failure::Refused);

impl Watch {
    fn new() -> Self {
        Self::with(&Settings::default())
    }

    fn with(settings: &Settings) -> Self {
        Self::after(settings, EPOCH, Saved::default())
    }

    fn after(settings: &Settings, epoch: Epoch, saved: Saved) -> Self {
        Self {
            board: Board::new(settings, epoch, saved),
            now: Duration::ZERO,
            told: BTreeMap::new(),
        }
    }

    fn want(&mut self, number: u64, probe: &Arc<Probe>, begin: Begin) {
        self.want_created(number, probe, begin, 0);
    }

    fn want_created(&mut self, number: u64, probe: &Arc<Probe>, begin: Begin, created: i64) {
        let wanted = Wanted {
            id: TargetId(number),
            target: target(number, probe),
            begin,
            created,
        };
        self.told.insert(wanted.id, begin.ruling());
        self.board.want(wanted, self.now);
        self.take_rulings();
    }

    /// Wants the targets 1 to `count` and has all of them pass for a minute, as `observe` says of each then.
    fn established(count: u64, probe: &Arc<Probe>) -> Self {
        let mut watch = Self::new();
        for number in 1..=count {
            watch.want(number, probe, Begin::Start);
        }
        watch.run_until(Duration::from_secs(75), |_| PASS);
        watch
    }

    /// Lets time pass until `end`, with an answer of each target that is probed by its number and how often it was.
    fn run_until(
        &mut self,
        end: Duration,
        mut answer: impl FnMut(u64) -> Observation,
    ) -> Vec<(Duration, u64)> {
        let mut probed = Vec::new();
        while let Some(due) = self.board.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.board.tick(self.now);
            for Due { id, .. } in self.board.take_due(self.now, 100) {
                probed.push((self.now, id.0));
                self.board.observe(id, answer(id.0), self.now);
            }
            self.take_rulings();
        }
        self.now = end;
        self.board.tick(end);
        self.take_rulings();
        probed
    }

    fn run_for(&mut self, seconds: u64, answer: impl FnMut(u64) -> Observation) {
        self.run_until(self.now + Duration::from_secs(seconds), answer);
    }

    fn take_rulings(&mut self) {
        self.told.extend(self.board.take_rulings(self.now));
    }

    fn is_in(&self, number: u64) -> bool {
        !matches!(self.told[&TargetId(number)], Ruling::Out(_))
    }

    fn count_in(&self) -> usize {
        let told = self.told.values();
        told.filter(|ruling| !matches!(ruling, Ruling::Out(_)))
            .count()
    }

    fn why(&self, number: u64) -> String {
        let view = self.board.view(TargetId(number), self.now);
        view.expect("it is wanted").why.into()
    }

    fn saved(&mut self) -> Saved {
        let bytes = self
            .board
            .to_save(self.now)
            .expect("there is something to save");
        Saved::parse(&bytes).expect("it was just written")
    }
}

fn target(number: u64, probe: &Arc<Probe>) -> Target {
    let number = u32::try_from(number).expect("few targets");
    Target {
        address: Ipv4Addr::from(0x0a00_0000 + number).into(),
        probe: probe.clone(),
    }
}

fn probe(text: &str) -> Arc<Probe> {
    Arc::new(Probe::from_text(text).expect("a probe"))
}

fn tcp() -> Arc<Probe> {
    probe("tcpSocket: {port: 80}")
}

/// Fails of `dead`, passes of all others.
fn dead(dead: impl Fn(u64) -> bool) -> impl Fn(u64) -> Observation {
    move |number| if dead(number) { REFUSED } else { PASS }
}

#[test]
fn one_that_is_dead_at_the_start_is_out_after_two_probes_a_second_apart() {
    let mut watch = Watch::new();
    for number in 1..=3 {
        watch.want(number, &tcp(), Begin::Start);
    }
    assert!(watch.is_in(2) && !watch.board.is_settled());
    let probed = watch.run_until(Duration::from_secs(5), dead(|number| number == 2));
    assert!(watch.board.is_settled());
    assert_eq!(
        [1, 2, 3].map(|number| watch.is_in(number)),
        [true, false, true]
    );
    let times: Vec<_> = probed
        .iter()
        .filter(|(_, number)| *number == 2)
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(times[1], times[0] + Duration::from_secs(1));
    assert!(
        times[1] < Duration::from_secs(4),
        "a probe that times out is done by then"
    );
}

#[test]
fn all_that_are_dead_at_the_start_stay_for_their_check_may_be_wrong() {
    let mut watch = Watch::new();
    for number in 1..=3 {
        watch.want(number, &tcp(), Begin::Start);
    }
    watch.run_for(60, |_| REFUSED);
    assert!(watch.board.is_settled());
    let text = "check never passed for anyone (TCP :80, 3 targets): not trusted";
    assert_eq!(
        watch.told[&TargetId(1)],
        Ruling::Held(HeldFor::Unproven, text.into())
    );
    assert_eq!(watch.count_in(), 3);
    assert_eq!(watch.board.standings().unproven_checks, 1);
    assert_eq!(watch.board.standings().held_unproven, 3);
    assert!(watch.board.take_never_passed(watch.now).is_empty());
    watch.run_for(600, |_| REFUSED);
    let warning = "check never passed for anyone (TCP :80, 3 targets)";
    assert_eq!(watch.board.take_never_passed(watch.now), [warning]);
    assert!(watch.board.take_never_passed(watch.now).is_empty());
}

#[test]
fn the_first_pass_of_anyone_takes_out_who_fails_the_same_check() {
    let mut watch = Watch::new();
    for number in 1..=3 {
        watch.want(number, &tcp(), Begin::Start);
    }
    watch.run_for(60, |_| REFUSED);
    watch.run_for(12, dead(|number| number != 1));
    assert_eq!(
        [1, 2, 3].map(|number| watch.is_in(number)),
        [true, false, false]
    );
}

#[test]
fn a_restart_keeps_who_was_out_out_until_it_passes() {
    let mut watch = Watch::established(3, &tcp());
    watch.run_for(60, dead(|number| number == 2));
    assert!(!watch.is_in(2));
    let saved = watch.saved();
    let epoch = Epoch {
        wall: EPOCH.wall + Duration::from_mins(5),
        seed: 9,
    };
    let mut watch = Watch::after(&Settings::default(), epoch, saved);
    for number in 1..=3 {
        watch.want(number, &tcp(), Begin::Start);
    }
    assert!(!watch.is_in(2) && watch.is_in(1) && watch.board.is_settled());
    assert!(
        watch
            .why(2)
            .starts_with("check failed before the restart: TCP :80, since 12:0"),
        "{}",
        watch.why(2)
    );
    let probed = watch.run_until(Duration::from_secs(5), |_| PASS);
    assert_eq!(probed.iter().filter(|(_, number)| *number == 2).count(), 1);
    assert!(watch.is_in(2));
}

#[test]
fn verdicts_of_more_than_ten_minutes_ago_are_forgotten_and_proven_checks_are_not() {
    let mut watch = Watch::established(3, &tcp());
    watch.run_for(60, dead(|number| number == 2));
    let saved = watch.saved();
    let epoch = Epoch {
        wall: EPOCH.wall + watch.now + Duration::from_mins(11),
        seed: 9,
    };
    let mut watch = Watch::after(&Settings::default(), epoch, saved);
    for number in 1..=2 {
        watch.want(number, &tcp(), Begin::Start);
    }
    assert!(watch.is_in(2) && !watch.board.is_settled());
    watch.run_for(5, |_| REFUSED);
    assert_eq!(watch.count_in(), 0, "the check is known to be right");
}

#[test]
fn a_new_one_that_is_dead_never_comes_in() {
    let mut watch = Watch::new();
    watch.want(1, &tcp(), Begin::New);
    watch.run_for(100, |_| REFUSED);
    let Ruling::Out(Out {
        is_pending: false,
        had_place: false,
        text,
    }) = &watch.told[&TargetId(1)]
    else {
        panic!("{:?}", watch.told);
    };
    assert!(
        text.contains("check never passed for anyone (TCP :80, 1 target)"),
        "{text}"
    );
    assert!(watch.board.is_settled(), "nobody waits for what came later");
}

#[test]
fn a_new_one_that_is_well_comes_in_with_its_first_pass_at_once() {
    let mut watch = Watch::established(2, &tcp());
    watch.want(9, &tcp(), Begin::New);
    assert!(!watch.is_in(9));
    assert_eq!(watch.why(9), "waits for its first check");
    let probed = watch.run_until(watch.now, |_| PASS);
    assert_eq!(probed.len(), 1);
    assert!(watch.is_in(9));
    watch.run_for(1, |_| PASS);
    assert_eq!(watch.why(9), "check passes: TCP :80 in 3 ms, 1 s ago");
}

#[test]
fn the_delay_counts_from_when_the_object_was_made() {
    let slow = probe("{tcpSocket: {port: 80}, initialDelaySeconds: 5}");
    let noon = i64::try_from(NOON).expect("a time");
    for (created, begin, expected) in [
        (noon - 3600, Begin::New, 0),
        (noon, Begin::New, 5),
        (noon - 2, Begin::New, 3),
        (0, Begin::New, 5),
        (noon + 3600, Begin::New, 5),
    ] {
        let mut watch = Watch::new();
        watch.want_created(1, &slow, begin, created);
        assert_eq!(
            watch.board.next_due(),
            Some(Duration::from_secs(expected)),
            "{created}"
        );
    }
}

#[test]
fn a_check_that_never_was_right_takes_nobody_out_and_one_that_was_does() {
    let wrong = probe("tcpSocket: {port: 81}");
    let mut watch = Watch::new();
    watch.want(1, &wrong, Begin::Kept);
    watch.run_for(60, |_| REFUSED);
    assert!(watch.is_in(1));
    watch.run_for(10, |_| PASS);
    watch.run_for(60, |_| REFUSED);
    let Ruling::Out(Out {
        is_pending: false,
        had_place: true,
        text,
    }) = &watch.told[&TargetId(1)]
    else {
        panic!("{:?}", watch.told);
    };
    assert!(
        text.starts_with("check fails: TCP :81 refused, 3 in a row, since 12:01:"),
        "{text}"
    );
}

#[test]
fn an_edited_check_leaves_who_is_in_where_it_is() {
    let mut watch = Watch::established(2, &tcp());
    let edited = probe("tcpSocket: {port: 81}");
    for number in 1..=2 {
        watch.board.unwant(TargetId(number), watch.now);
        watch.told.remove(&TargetId(number));
        watch.want(number + 10, &edited, Begin::Kept);
    }
    assert_eq!(watch.count_in(), 2);
    watch.run_for(120, |_| REFUSED);
    assert_eq!(watch.count_in(), 2);
}

#[test]
fn what_comes_of_a_probe_of_one_that_is_gone_is_dropped() {
    let mut watch = Watch::established(2, &tcp());
    while watch.board.take_due(watch.now, 1).is_empty() {
        watch.now += Duration::from_millis(10);
    }
    assert_eq!(watch.board.figures().in_flight, 1);
    for number in 1..=2 {
        watch.board.unwant(TargetId(number), watch.now);
    }
    for number in 1..=2 {
        watch.board.observe(TargetId(number), REFUSED, watch.now);
    }
    assert_eq!(watch.board.figures().in_flight, 0);
    assert!(watch.board.take_rulings(watch.now).is_empty());
    assert!(watch.board.is_empty());
    assert!(
        watch
            .run_until(Duration::from_hours(1), |_| PASS)
            .is_empty()
    );
}

#[test]
fn a_probe_that_tells_nothing_changes_nothing() {
    let mut watch = Watch::established(4, &tcp());
    let local = Observation::Nothing(Nothing::Local(24));
    watch.run_for(100, |_| local);
    assert_eq!(watch.count_in(), 4);
    let late = Observation::Nothing(Nothing::Late);
    watch.run_for(100, |_| late);
    assert_eq!(watch.count_in(), 4);
    assert_eq!(watch.board.figures().falls, 0);
}

#[test]
fn when_more_than_half_fail_at_once_nobody_leaves() {
    let mut watch = Watch::established(100, &tcp());
    watch.run_for(60, dead(|number| number <= 60));
    assert_eq!(watch.count_in(), 100);
    assert!(watch.board.standings().frozen_since.is_some());
    assert_eq!(watch.board.standings().held_frozen, 60);
    let frozen = watch.told[&TargetId(1)].clone();
    assert!(
        matches!(frozen, Ruling::Held(HeldFor::Frozen, _)),
        "{frozen:?}"
    );
    assert!(
        watch
            .why(1)
            .starts_with("check fails, kept: 60 % of all checks fail since 12:01:"),
        "{}",
        watch.why(1)
    );
    watch.run_for(12, dead(|number| number <= 20));
    assert_eq!(watch.board.standings().frozen_since, None);
    assert_eq!(watch.count_in(), 80, "the rest is believed");
}

#[test]
fn who_left_before_it_was_plain_that_too_many_do_comes_back() {
    let quick = probe("{tcpSocket: {port: 80}, failureThreshold: 1}");
    let mut watch = Watch::established(100, &quick);
    let mut fewest = 100;
    for _ in 0..200 {
        let then = watch.now + Duration::from_millis(100);
        watch.run_until(then, dead(|number| number <= 60));
        fewest = fewest.min(watch.count_in());
    }
    assert!(fewest < 100, "the first were believed");
    assert_eq!(watch.count_in(), 100);
}

#[test]
fn when_it_lasts_for_five_minutes_they_leave() {
    let mut watch = Watch::established(100, &tcp());
    watch.run_for(290, dead(|number| number <= 60));
    assert_eq!(watch.count_in(), 100);
    watch.run_for(70, dead(|number| number <= 60));
    assert_eq!(watch.count_in(), 40);
    assert_eq!(watch.board.standings().frozen_since, None);
}

#[test]
fn when_nearly_all_fail_they_stay_for_as_long_as_that_lasts() {
    let mut watch = Watch::established(100, &tcp());
    watch.run_for(3600, dead(|number| number <= 95));
    assert_eq!(watch.count_in(), 100);
}

#[test]
fn while_nobody_leaves_others_come() {
    let mut watch = Watch::established(100, &tcp());
    watch.run_for(60, dead(|number| number == 100));
    assert!(!watch.is_in(100));
    watch.want(101, &tcp(), Begin::New);
    watch.run_for(60, dead(|number| number <= 60 && number != 101));
    assert!(watch.board.standings().frozen_since.is_some());
    assert!(watch.is_in(100) && watch.is_in(101));
}

#[test]
fn four_of_four_are_believed() {
    let mut watch = Watch::established(4, &tcp());
    watch.run_for(60, |_| REFUSED);
    assert_eq!(watch.count_in(), 0);
    assert_eq!(watch.board.standings().frozen_since, None);
}

#[test]
fn while_canaries_answer_many_failures_are_believed() {
    let settings = Settings {
        canaries: vec!["10.0.0.1:53".parse().expect("an address")],
        ..Settings::default()
    };
    let mut watch = Watch::with(&settings);
    for number in 1..=100 {
        watch.want(number, &tcp(), Begin::Start);
    }
    watch.board.set_canaries(Some(true), watch.now);
    watch.run_for(80, |_| PASS);
    watch.run_for(60, dead(|number| number <= 60));
    assert_eq!(watch.count_in(), 40);
    watch.run_for(20, |_| PASS);
    watch.board.set_canaries(Some(false), watch.now);
    watch.run_for(3600, |_| REFUSED);
    assert_eq!(watch.count_in(), 100);
    assert!(
        watch
            .why(1)
            .starts_with("check fails, kept: most canaries fail since"),
        "{}",
        watch.why(1)
    );
    watch.board.set_canaries(Some(true), watch.now);
    watch.take_rulings();
    assert_eq!(watch.count_in(), 0);
}

#[test]
fn a_freeze_that_settings_turn_off_ends() {
    let mut watch = Watch::established(10, &tcp());
    watch.run_for(60, |_| REFUSED);
    assert_eq!(watch.count_in(), 10);
    let settings = Settings {
        mass_failure: None,
        ..Settings::default()
    };
    watch.board.set_settings(&settings, watch.now);
    watch.take_rulings();
    assert_eq!(watch.count_in(), 0);
}

#[test]
fn after_a_restart_the_state_file_says_how_many_there_were() {
    let mut watch = Watch::established(10, &tcp());
    let saved = watch.saved();
    let epoch = Epoch {
        wall: EPOCH.wall + watch.now,
        seed: 1,
    };
    let mut watch = Watch::after(&Settings::default(), epoch, saved);
    for number in 1..=10 {
        watch.want(number, &tcp(), Begin::Start);
    }
    watch.run_for(60, |_| REFUSED);
    assert_eq!(watch.count_in(), 10);
}

#[test]
fn a_target_that_is_slower_than_its_period_is_probed_once_at_a_time() {
    let quick = probe("{tcpSocket: {port: 80}, periodSeconds: 1, timeoutSeconds: 5}");
    let mut watch = Watch::new();
    watch.want(1, &quick, Begin::New);
    let mut starts = 0;
    for _ in 0..60 {
        let due = watch.board.take_due(watch.now, 10);
        assert_eq!(due.len(), 1);
        starts += 1;
        watch.now += Duration::from_millis(1500);
        assert!(watch.board.take_due(watch.now, 10).is_empty());
        watch.board.observe(TargetId(1), PASS, watch.now);
        watch.now = watch
            .board
            .next_due()
            .map_or(watch.now, |due| due.max(watch.now));
    }
    assert_eq!(starts, 60);
    assert!(watch.now < Duration::from_secs(130), "{:?}", watch.now);
}

#[test]
fn a_full_house_goes_on_in_the_order_in_which_probes_are_due() {
    let mut watch = Watch::new();
    for number in 1..=1000 {
        watch.want(number, &tcp(), Begin::Start);
    }
    let mut due: Vec<_> = watch.board.schedule.iter().copied().collect();
    due.sort_unstable();
    watch.now = Duration::from_secs(20);
    let mut taken = Vec::new();
    while taken.len() < 1000 {
        let some = watch.board.take_due(watch.now, 40);
        assert!(some.len() <= 40);
        taken.extend(some.into_iter().map(|due| due.id));
        watch.now += Duration::from_millis(10);
    }
    assert!(due.into_iter().map(|(_, id)| id).eq(taken));
    assert_eq!(watch.board.figures().late, 1000);
    assert_eq!(watch.board.figures().in_flight, 1000);
}

#[test]
fn who_comes_and_goes_needs_more_passes_unless_settings_say_no() {
    let quick = probe("{tcpSocket: {port: 80}, failureThreshold: 1, periodSeconds: 1}");
    for (has_flap_damping, expected) in [(true, [1, 1, 2, 4, 8, 8]), (false, [1; 6])] {
        let settings = Settings {
            has_flap_damping,
            mass_failure: None,
            ..Settings::default()
        };
        let mut watch = Watch::with(&settings);
        watch.want(1, &quick, Begin::New);
        watch.run_for(3, |_| PASS);
        let needed = expected.map(|_| {
            while watch.is_in(1) {
                watch.run_for(1, |_| REFUSED);
            }
            let mut passes = 0;
            while !watch.is_in(1) {
                let then = watch.board.next_due().expect("it is probed on");
                passes += watch.run_until(then, |_| PASS).len();
            }
            passes
        });
        assert_eq!(needed, expected);
    }
}

#[test]
fn what_an_operator_reads_is_true_at_each_step() {
    let http = probe("{httpGet: {path: /healthz, port: 8080}, timeoutSeconds: 2}");
    let mut watch = Watch::new();
    watch.want(1, &http, Begin::Start);
    assert_eq!(watch.why(1), "waits for its first check");
    let ok = Observation::Pass(Pass {
        latency: Duration::from_millis(3),
        status: 200,
    });
    watch.run_for(6, |_| ok);
    assert!(
        watch
            .why(1)
            .starts_with("check passes: GET :8080/healthz 200 in 3 ms, "),
        "{}",
        watch.why(1)
    );
    let due = watch.board.next_due().expect("it is probed on");
    watch.run_until(due, |_| Observation::Fail(Failure::Timeout));
    assert_eq!(
        watch.why(1),
        "check failed 1 of 3: GET :8080/healthz timeout after 2 s, 0 ms ago"
    );
    watch.run_for(30, |_| Observation::Fail(Failure::Status(500)));
    assert!(
        watch
            .why(1)
            .starts_with("check fails: GET :8080/healthz 500, "),
        "{}",
        watch.why(1)
    );
    assert!(
        watch.why(1).contains(" in a row, since 12:00:"),
        "{}",
        watch.why(1)
    );
}

#[test]
fn starts_are_spread_and_stay_so_after_a_restart() {
    let mut watch = Watch::new();
    for number in 1..=1000 {
        watch.want(number, &tcp(), Begin::Start);
    }
    let probed = watch.run_until(Duration::from_secs(70), |_| PASS);
    check_spread(&probed, 20_000);
    let saved = watch.saved();
    let epoch = Epoch {
        wall: EPOCH.wall + watch.now,
        seed: 1,
    };
    let mut watch = Watch::after(&Settings::default(), epoch, saved);
    for number in 1..=1000 {
        watch.want(number, &tcp(), Begin::Start);
    }
    let probed = watch.run_until(Duration::from_secs(50), |_| PASS);
    check_spread(&probed, 0);
}

/// Checks what starts from `from_ms` on: no tenth of a second more than 30, no second less than 60 or more than 140.
#[track_caller]
fn check_spread(probed: &[(Duration, u64)], from_ms: u64) {
    let last = probed.last().map_or(0, |(at, _)| to_ms(*at)) / 1000;
    let mut tenths = BTreeMap::<u64, usize>::new();
    let mut seconds = BTreeMap::<u64, usize>::new();
    for (at, _) in probed {
        let at = to_ms(*at);
        if at >= from_ms {
            *tenths.entry(at / 100).or_default() += 1;
            *seconds.entry(at / 1000).or_default() += 1;
        }
    }
    seconds.remove(&last);
    assert!(tenths.values().all(|count| *count <= 30), "{tenths:?}");
    assert!(
        seconds.values().all(|count| (60..=140).contains(count)),
        "{seconds:?}"
    );
}

#[test]
fn the_state_is_not_written_before_those_come_that_an_earlier_process_knew() {
    let mut watch = Watch::established(2, &tcp());
    let saved = watch.saved();
    let epoch = Epoch {
        wall: EPOCH.wall + watch.now,
        seed: 1,
    };
    let mut watch = Watch::after(&Settings::default(), epoch, saved);
    assert_eq!(watch.board.to_save(watch.now), None);
    watch.want(1, &tcp(), Begin::Start);
    assert!(watch.board.to_save(watch.now).is_some());
}

/// What happens to a board, by the numbers of targets.
#[derive(Clone, Debug)]
enum Step {
    Want(u64, Begin),
    Unwant(u64),
    /// The next target that is due is observed so, after so many milliseconds.
    Observe(u16, bool),
    Tick(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    let begin = prop_oneof![Just(Begin::Start), Just(Begin::Kept), Just(Begin::New)];
    prop_oneof![
        2 => (0..12_u64, begin).prop_map(|(number, begin)| Step::Want(number, begin)),
        1 => (0..12_u64).prop_map(Step::Unwant),
        20 => (0..900_u16, any::<bool>()).prop_map(|(wait, is_pass)| Step::Observe(wait, is_pass)),
        2 => any::<u16>().prop_map(Step::Tick),
    ]
}

proptest! {
    /// Whatever happens: what was told is what holds, what is counted is what is there, and a board that is built from the state
    /// of another lets in who was in and nobody else.
    #[test]
    fn a_board_keeps_its_books(steps in proptest::collection::vec(any_step(), 0..300)) {
        let quick = probe("{tcpSocket: {port: 80}, failureThreshold: 2, periodSeconds: 1}");
        let mut watch = Watch::new();
        let mut ids = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Want(address, begin) => {
                    ids.entry(address).or_insert_with(|| {
                        let id = TargetId(number as u64);
                        let wanted = Wanted { id, target: target(address, &quick), begin, created: 0 };
                        watch.told.insert(id, begin.ruling());
                        watch.board.want(wanted, watch.now);
                        id
                    });
                }
                Step::Unwant(address) => {
                    if let Some(id) = ids.remove(&address) {
                        watch.board.unwant(id, watch.now);
                        watch.told.remove(&id);
                    }
                }
                Step::Observe(wait, is_pass) => {
                    let due = watch.board.take_due(watch.now, 1);
                    watch.now += Duration::from_millis(wait.into());
                    for Due { id, .. } in due {
                        let observation = if is_pass { PASS } else { REFUSED };
                        watch.board.observe(id, observation, watch.now);
                    }
                }
                Step::Tick(wait) => {
                    watch.now += Duration::from_millis(wait.into());
                    watch.board.tick(watch.now);
                }
            }
            watch.take_rulings();
            check_books(&watch);
        }
        let before: BTreeMap<_, _> = watch.board.views(watch.now).map(|view| (view.target, view.verdict)).collect();
        prop_assert_eq!(before.len(), ids.len());
        if let Some(bytes) = watch.board.to_save(watch.now) {
            let saved = Saved::parse(&bytes).expect("it was just written");
            let epoch = Epoch { wall: EPOCH.wall + watch.now, seed: 0 };
            let mut rebuilt = Watch::after(&Settings::default(), epoch, saved);
            for (number, (target, _)) in before.iter().enumerate() {
                let id = TargetId(number as u64);
                let wanted = Wanted { id, target: target.clone(), begin: Begin::Start, created: 0 };
                rebuilt.board.want(wanted, Duration::ZERO);
            }
            let after: BTreeMap<_, _> = rebuilt.board.views(rebuilt.now).map(|view| (view.target, view.verdict)).collect();
            prop_assert_eq!(before, after);
        }
    }
}

#[track_caller]
fn check_books(watch: &Watch) {
    let board = &watch.board;
    for view in board.views(watch.now) {
        let told = &watch.told[&view.id];
        let kind = |ruling: &Ruling| match ruling {
            Ruling::Passing => (0, false),
            Ruling::Pending => (1, false),
            Ruling::Held(HeldFor::Frozen, _) => (2, false),
            Ruling::Held(HeldFor::Unproven, _) => (3, false),
            Ruling::Out(out) => (4 + i32::from(out.is_pending), out.had_place),
        };
        assert_eq!(kind(told), kind(&view.ruling), "{view:?}");
    }
    let mut tally = Tally::default();
    for watched in board.targets.values() {
        tally.passed += u32::from(watched.tallied != watched::Tallied::No);
        tally.failed += u32::from(watched.tallied == watched::Tallied::Failed);
        assert_eq!(watched.tallied, watched.to_tally());
    }
    assert_eq!(tally, board.tally);
    let in_flight = board
        .targets
        .values()
        .filter(|watched| watched.is_in_flight)
        .count();
    assert_eq!(in_flight as u64, board.figures.in_flight);
    assert_eq!(board.schedule.len() + in_flight, board.targets.len());
    let frozen = board
        .targets
        .values()
        .filter(|watched| watched.is_frozen)
        .count();
    assert_eq!(frozen, board.frozen.len());
    let awaited = board
        .targets
        .values()
        .filter(|watched| watched.is_awaited)
        .count();
    assert_eq!(awaited, board.awaited);
}
