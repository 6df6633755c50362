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

#[test]
fn starts_are_spread_when_settings_and_every_check_change() {
    const TARGETS: u64 = 1000;
    let mut watch = Watch::established(TARGETS, &tcp());
    let settings = Settings {
        start_within: Duration::from_secs(10),
        ..Settings::default()
    };
    watch.board.set_settings(&settings, watch.now);
    let from = watch.now;
    let probed = watch.run_until(from + Duration::from_secs(40), |_| PASS);
    check_spread(&probed, to_ms(from) + 1000);
    let other = probe("{tcpSocket: {port: 81}}");
    for number in 1..=TARGETS {
        watch.board.unwant(TargetId(number), watch.now);
        watch.want(TARGETS + number, &other, Begin::Kept);
    }
    let from = watch.now;
    let probed = watch.run_until(from + Duration::from_secs(40), |_| PASS);
    check_spread(&probed, to_ms(from) + 11_000);
}

#[test]
fn two_servers_probe_a_target_at_times_of_their_own() {
    const TARGETS: u64 = 1000;
    let tenths = |seed| {
        let mut watch = Watch::after(
            &Settings::default(),
            Epoch { seed, ..EPOCH },
            Saved::default(),
        );
        for number in 1..=TARGETS {
            watch.want(number, &tcp(), Begin::Start);
        }
        let probed = watch.run_until(Duration::from_secs(70), |_| PASS);
        let late = probed.iter().filter(|(at, _)| at.as_secs() >= 60);
        late.map(|(at, number)| (to_ms(*at) / 100, *number))
            .collect::<BTreeSet<_>>()
    };
    let [one, other] = [1, 2].map(tenths);
    let together = one.intersection(&other).count();
    assert!(one.len() > 900, "{}", one.len());
    // A hundredth by chance.
    assert!(together < 40, "{together} of {}", one.len());
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
