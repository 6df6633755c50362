//! Who may connect where places and memory are limited, and who makes room.
//!
//! A connection has a [`Place`] as long as it lives, and asks that for the memory of what it buffers. When all places are
//! taken, the connection that has been idle longest ends in favour of one that comes, else the oldest one of the client with
//! the most. When the memory is used up, a connection of the client that holds most ends. Finding a place never waits, so that
//! whoever accepts connections goes on at once.

mod client;
mod departure;
mod requests;
mod table;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::AbortHandle};

pub(crate) use self::{
    client::Client,
    requests::{Activity, Answering, drive},
};
use self::{departure::Departure, table::Table};
use crate::metrics::Crowding;

/// How long a connection is idle before it may be closed in favour of another.
pub(crate) const IDLE_GRACE: Duration = Duration::from_secs(1);

/// How long a connection may take to end in favour of another: a client that does not read can't be told.
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections together may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many there may be.
    pub(crate) places: usize,
    /// How many one client may have.
    pub(crate) places_per_client: usize,
    /// How many bytes of messages may be buffered.
    pub(crate) bytes: usize,
    /// Whether a client with the most places makes room for its own next connection, instead of being turned away.
    pub(crate) newcomers_win: bool,
}

/// Decides who may connect.
#[derive(Debug)]
pub(crate) struct Admission {
    table: Mutex<Table>,
    crowding: Arc<Crowding>,
    /// A place is free again.
    freed: Notify,
}

/// A connection's place; free for another connection when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    number: u64,
    departure: Arc<Departure>,
}

/// A connection that is idle, until dropped.
pub(crate) struct Idle<'p>(&'p Place);

/// Memory for what a connection buffers; given back when dropped.
pub(crate) struct Hold {
    admission: Arc<Admission>,
    number: u64,
    bytes: usize,
}

/// Ends a connection from outside.
pub(crate) struct Ending(Arc<Departure>);

impl Admission {
    /// Counts in `crowding` what has to make room.
    pub(crate) fn new(limits: Limits, crowding: Arc<Crowding>) -> Self {
        Self {
            table: Mutex::new(Table::new(limits)),
            crowding,
            freed: Notify::new(),
        }
    }

    /// Finds a place for a connection of `client`; `None` where a limit is reached and nobody makes room.
    pub(crate) fn admit(self: &Arc<Self>, client: Client) -> Option<Place> {
        let departure = Arc::<Departure>::default();
        let number = self.change(|table| table.admit(client, Arc::clone(&departure)))?;
        Some(Place {
            admission: Arc::clone(self),
            number,
            departure,
        })
    }

    /// Whether `client` has fewer places than it may have.
    pub(crate) fn has_share_left(&self, client: Client) -> bool {
        self.table().has_share_left(client)
    }

    /// Ends the connection that has been idle longest, if there is one, and waits until any has ended, up to `limit`.
    pub(crate) async fn make_room(&self, limit: Duration) {
        let freed = self.freed.notified();
        self.change(Table::displace_idle);
        // None may end in time.
        let _ = tokio::time::timeout(limit, freed).await;
    }

    /// Whether all places are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.table().is_full()
    }

    /// Changes the table, and tells the connections that have to make room.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table();
        let before = table.bytes();
        let done = change(&mut table);
        let leaving = table.take_leaving();
        if table.bytes() != before {
            self.crowding.set_buffered(table.bytes());
        }
        drop(table);
        for (departure, at_once) in leaving {
            self.crowding.count_displaced();
            departure.tell(at_once);
        }
        done
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What ends the connection where it has to make room at once: the handle of the task that serves it.
    pub(crate) fn ending(&self) -> Ending {
        Ending(Arc::clone(&self.departure))
    }

    /// Says that the connection is idle, so that it makes room first, as long as what is returned lives.
    pub(crate) fn idle(&self) -> Idle<'_> {
        self.admission.table().mark_idle(self.number);
        Idle(self)
    }

    /// Whether another connection has the place.
    pub(crate) fn is_wanted(&self) -> bool {
        self.departure.is_told()
    }

    /// Waits until another connection has the place. Only an idle one is asked; any other is ended.
    pub(crate) async fn wanted(&self) {
        self.departure.told().await;
    }

    /// Whether all places are taken.
    pub(crate) fn is_scarce(&self) -> bool {
        self.admission.is_full()
    }

    /// No memory yet.
    pub(crate) fn nothing_held(&self) -> Hold {
        Hold {
            admission: Arc::clone(&self.admission),
            number: self.number,
            bytes: 0,
        }
    }

    /// Memory for so many bytes; `None` where there is none for this client.
    pub(crate) fn hold(&self, bytes: usize) -> Option<Hold> {
        let mut hold = self.nothing_held();
        hold.set(bytes).then_some(hold)
    }
}

impl Hold {
    /// Holds so many bytes in the place of what is held; `false` where there are none for this client: what is held stays.
    #[must_use]
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            return true;
        }
        let (number, held) = (self.number, self.bytes);
        let is_held = self.admission.change(|table| {
            if bytes > held {
                return table.hold(number, bytes - held).is_some();
            }
            table.give_back(number, held - bytes);
            true
        });
        if is_held {
            self.bytes = bytes;
        } else {
            self.admission.crowding.count_unbuffered();
        }
        is_held
    }

    /// Holds nothing any more.
    pub(crate) fn give_back(&mut self) {
        let is_less = self.set(0);
        debug_assert!(is_less, "less is always granted");
    }

    /// Makes room in `buffer` for so many bytes `more`, and holds what it takes above those that are `free`; `false` where
    /// there is no memory for that.
    #[must_use]
    pub(crate) fn reserve(&mut self, buffer: &mut Vec<u8>, more: usize, free: usize) -> bool {
        let needed = buffer.len() + more;
        if needed <= buffer.capacity() {
            return true;
        }
        // Doubled, so that a buffer that grows byte by byte is not copied each time.
        let capacity = needed.max(2 * buffer.capacity());
        let is_held = self.set(capacity.saturating_sub(free));
        if is_held {
            buffer.reserve_exact(capacity - buffer.len());
        }
        is_held
    }
}

impl Ending {
    /// By ending this task.
    pub(crate) fn is(&self, task: AbortHandle) {
        self.0.set_task(task);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.change(|table| table.remove(self.number));
        self.admission.freed.notify_waiters();
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.admission.table().mark_busy(self.0.number);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.give_back();
    }
}
