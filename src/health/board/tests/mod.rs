mod books;
mod mass;
mod starts;
mod times;
mod verdicts;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
};

use super::*;
use crate::{
    health::{Begin, Failure, HeldFor, Nothing, Out, Pass, Wanted},
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
