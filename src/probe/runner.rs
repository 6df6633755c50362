//! The loop on the thread that probes: what is due goes out, what comes back goes to the board, and what follows to the mesh.

use std::{
    mem, panic,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    select,
    task::{JoinError, JoinSet},
    time::sleep_until,
};

use super::{canaries::Canaries, observer::Observer, saved::Saver, shared::Shared, talk::Talk};
use crate::{
    control::Health,
    descriptors,
    health::{Observation, Reach, Settings, TargetChanges, TargetId},
};

/// For how long changes are collected before the mesh hears of them: what serials count.
const COLLECT: Duration = Duration::from_millis(50);

/// How often the log is told of what lasts, and the state file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Goes where `settings` let it, but never to this server.
fn observer(settings: &Settings, shared: &Shared) -> Observer {
    let reach = Reach::new(settings.networks.clone(), shared.own.clone());
    Observer::new(reach, settings.source)
}

/// The loop, and what only it needs.
pub(super) struct Runner {
    health: Arc<Health>,
    shared: Arc<Shared>,
    settings: Settings,
    observer: Arc<Observer>,
    under_way: JoinSet<(TargetId, Observation)>,
    canaries: Canaries,
    /// When what has changed is told, since the board's start.
    tell_at: Option<Duration>,
    look_at: Duration,
    saver: Saver,
    talk: Talk,
}

impl Runner {
    pub(super) fn new(health: Arc<Health>, shared: Arc<Shared>, settings: Settings) -> Self {
        Self {
            observer: Arc::new(observer(&settings, &shared)),
            saver: Saver::new(settings.state_file.clone()),
            health,
            shared,
            settings,
            under_way: JoinSet::new(),
            canaries: Canaries::default(),
            tell_at: Some(Duration::ZERO),
            look_at: Duration::ZERO,
            talk: Talk::default(),
        }
    }

    /// Probes until told to stop.
    pub(super) async fn run(mut self) {
        self.canaries.watch(&self.settings);
        let shared = self.shared.clone();
        loop {
            let until = self.go_on();
            select! {
                changes = self.health.changes() => self.take_in(changes),
                Some(ended) = self.under_way.join_next() => self.note(ended),
                are_well = self.canaries.changed() => {
                    self.shared.board().set_canaries(Some(are_well), self.shared.now());
                    self.tell_soon();
                }
                settings = shared.orders() => match settings {
                    Some(settings) => self.change(settings),
                    None => break,
                },
                () = self.saver.written(&shared) => {}
                () = sleep_until(until.into()) => {}
            }
        }
        self.under_way.shutdown().await;
        self.saver.finish(&self.shared).await;
    }

    /// Does what is due; returns when there is something to do again.
    fn go_on(&mut self) -> Instant {
        let now = self.shared.now();
        let room = self.most_under_way().saturating_sub(self.under_way.len());
        let mut board = self.shared.board();
        board.tick(now);
        for due in board.take_due(now, room) {
            let observer = self.observer.clone();
            self.under_way
                .spawn(async move { (due.id, observer.observe(&due.target).await) });
        }
        let mut told = Vec::new();
        let mut is_settled = false;
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_at = None;
            told = board.take_rulings(now);
            is_settled = board.is_settled();
            Talk::tell_of_rulings(&board, &told, now);
        }
        if self.look_at <= now {
            self.look_at = now + LOOK;
            self.talk.tell_of_standing(&mut board, now);
            self.saver.go_on(&mut board, now);
        }
        let has_room = self.under_way.len() < self.most_under_way();
        let next = board.next_due().filter(|_| has_room);
        drop(board);
        if !told.is_empty() {
            self.health.tell(told);
        }
        if is_settled {
            self.health.mark_settled();
        }
        let next = [next, self.tell_at].into_iter().flatten();
        self.shared.begun() + next.fold(self.look_at, Duration::min)
    }

    /// As the settings say, and no more than may be open.
    fn most_under_way(&self) -> usize {
        self.settings.max_in_flight.min(descriptors::most_probes())
    }

    fn take_in(&mut self, changes: TargetChanges) {
        let now = self.shared.now();
        let mut board = self.shared.board();
        for id in changes.unwanted {
            board.unwant(id, now);
        }
        for wanted in changes.wanted {
            board.want(wanted, now);
        }
        drop(board);
        self.tell_soon();
    }

    /// Takes in what `ended`, and what else has.
    fn note(&mut self, ended: Result<(TargetId, Observation), JoinError>) {
        let now = self.shared.now();
        let mut board = self.shared.board();
        let mut next = Some(ended);
        while let Some(ended) = next {
            let (id, observation) =
                ended.unwrap_or_else(|bug| panic::resume_unwind(bug.into_panic()));
            self.talk.note(observation);
            board.observe(id, observation, now);
            next = self.under_way.try_join_next();
        }
        drop(board);
        self.tell_soon();
    }

    fn tell_soon(&mut self) {
        if self.tell_at.is_none() {
            self.tell_at = Some(self.shared.now() + COLLECT);
        }
    }

    /// Goes on by other settings. What is under way ends by those with which it began.
    fn change(&mut self, settings: Settings) {
        let before = mem::replace(&mut self.settings, settings);
        let now = self.shared.now();
        self.observer = Arc::new(observer(&self.settings, &self.shared));
        self.shared.board().set_settings(&self.settings, now);
        if (&before.canaries, before.source) != (&self.settings.canaries, self.settings.source) {
            self.canaries.watch(&self.settings);
        }
        if before.state_file != self.settings.state_file {
            self.saver.save_to(self.settings.state_file.clone());
        }
        self.tell_soon();
    }
}
