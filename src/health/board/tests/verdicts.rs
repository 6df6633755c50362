//! Who is in and who is out, by what was observed.

use super::*;

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
