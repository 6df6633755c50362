//! When targets are probed.

use super::*;

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
