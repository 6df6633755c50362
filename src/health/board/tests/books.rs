//! Whatever happens.

use proptest::prelude::*;

use super::*;

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
