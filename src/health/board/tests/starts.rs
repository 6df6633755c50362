//! How targets begin: with the server, with its earlier verdicts, or later.

use super::*;

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
