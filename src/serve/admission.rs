use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::TcpLimits;

/// How long a connection is idle before it may be closed in favour of another.
pub(super) const IDLE_GRACE: Duration = Duration::from_secs(1);

/// How long a connection waits for an idle one to make room.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// Decides who may connect; counts the connections of all addresses and transports.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) limits: TcpLimits,
    slots: Arc<Semaphore>,
    clients: Mutex<HashMap<IpAddr, usize>>,
    /// Idle connections wait here, the longest idle first.
    make_room: Notify,
    idle: AtomicUsize,
}

/// Whether a connection may stay.
pub(super) enum Admitted {
    /// Yes, for as long as its slot is held.
    Yes(Slot),
    /// No: a limit is reached.
    No,
}

/// A connection's slot; free for another connection when dropped.
pub(super) struct Slot {
    admission: Arc<Admission>,
    client: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(limits: TcpLimits) -> Self {
        Self {
            limits,
            slots: Arc::new(Semaphore::new(
                limits.connections.min(Semaphore::MAX_PERMITS),
            )),
            clients: Mutex::default(),
            make_room: Notify::new(),
            idle: AtomicUsize::new(0),
        }
    }

    /// Finds a slot for a connection from `client`.
    pub(super) async fn admit(self: &Arc<Self>, client: IpAddr) -> Admitted {
        if !self.count_in(client) {
            return Admitted::No;
        }
        let Some(permit) = self.permit().await else {
            self.count_out(client);
            return Admitted::No;
        };
        Admitted::Yes(Slot {
            admission: Arc::clone(self),
            client,
            _permit: permit,
        })
    }

    /// Ends the connection that has been idle longest, if there is one.
    pub(super) fn make_room(&self) {
        // Without a connection that waits, the next to turn idle would end for no reason.
        if self.idle.load(Relaxed) > 0 {
            self.make_room.notify_one();
        }
    }

    /// Whether over half of the slots are taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.slots.available_permits() < self.limits.connections / 2
    }

    /// Whether all slots are taken.
    pub(super) fn is_full(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Waits until another connection needs the slot of the idle connection that calls this.
    pub(super) async fn slot_wanted(&self) {
        struct Idle<'a>(&'a AtomicUsize);
        impl Drop for Idle<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        self.idle.fetch_add(1, Relaxed);
        let _idle = Idle(&self.idle);
        self.make_room.notified().await;
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(permit);
        }
        self.make_room();
        let freed = Arc::clone(&self.slots).acquire_owned();
        tokio::time::timeout(ROOM_WAIT, freed).await.ok()?.ok()
    }

    fn count_in(&self, client: IpAddr) -> bool {
        let mut clients = self.clients();
        let open = clients.entry(client).or_default();
        let is_admitted = *open < self.limits.connections_per_client;
        if is_admitted {
            *open += 1;
        } else if *open == 0 {
            clients.remove(&client);
        }
        is_admitted
    }

    fn count_out(&self, client: IpAddr) {
        let mut clients = self.clients();
        if let Some(open) = clients.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.count_out(self.client);
    }
}
