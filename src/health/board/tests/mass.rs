//! Many failures at once.

use super::*;

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
