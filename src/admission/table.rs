//! Who has which places and how much memory, as one value. Never waits and never reads a clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{Client, Departure, Limits};

/// All connections that have a place.
#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    /// The number of the connection, or of the idle one, that comes next.
    next: u64,
    connections: HashMap<u64, Connection, foldhash::fast::RandomState>,
    clients: HashMap<Client, Holdings, foldhash::fast::RandomState>,
    /// Each client with how many connections it has.
    by_places: BTreeSet<(usize, Client)>,
    /// Each client whose messages take memory, with how many bytes.
    by_bytes: BTreeSet<(usize, Client)>,
    /// Idle connections, the longest idle first.
    idle: BTreeMap<u64, u64>,
    bytes: usize,
    /// Connections that have to make room and were not told yet, and whether to end at once.
    leaving: Vec<(Arc<Departure>, bool)>,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    departure: Arc<Departure>,
    bytes: usize,
    /// Its key among the idle ones.
    idle: Option<u64>,
}

/// What one client has.
#[derive(Debug, Default)]
struct Holdings {
    /// The oldest first.
    connections: BTreeSet<u64>,
    bytes: usize,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 0,
            connections: HashMap::default(),
            clients: HashMap::default(),
            by_places: BTreeSet::new(),
            by_bytes: BTreeSet::new(),
            idle: BTreeMap::new(),
            bytes: 0,
            leaving: Vec::new(),
        }
    }

    /// How many bytes messages take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether every place is taken.
    pub(super) fn is_full(&self) -> bool {
        self.connections.len() >= self.limits.places
    }

    /// Whether `client` has fewer places than it may have.
    pub(super) fn has_share_left(&self, client: Client) -> bool {
        self.places_of(client) < self.limits.places_per_client
    }

    /// Gives a place to a connection of `client` and tells its number; `None` where the client has its share already, or
    /// nobody makes room.
    pub(super) fn admit(&mut self, client: Client, departure: Arc<Departure>) -> Option<u64> {
        let held = self.places_of(client);
        if !self.has_share_left(client) {
            return None;
        }
        if self.is_full() && !self.make_room(held) {
            return None;
        }
        let number = self.number();
        let connection = Connection {
            client,
            departure,
            bytes: 0,
            idle: None,
        };
        self.connections.insert(number, connection);
        let held = self.places_of(client);
        self.by_places.remove(&(held, client));
        self.by_places.insert((held + 1, client));
        let holdings = self.clients.entry(client).or_default();
        holdings.connections.insert(number);
        Some(number)
    }

    /// Ends the longest idle connection; `false` where none is.
    pub(super) fn displace_idle(&mut self) -> bool {
        let longest = self.idle.first_key_value();
        let Some((_, &number)) = longest else {
            return false;
        };
        self.displace(number, false);
        true
    }

    /// Ends the longest idle connection, else the oldest one of the client with the most, where that has more than a client
    /// with `held` and one more would have.
    fn make_room(&mut self, held: usize) -> bool {
        if self.displace_idle() {
            return true;
        }
        let least = if self.limits.newcomers_win {
            1
        } else {
            held + 2
        };
        let Some(&(most, client)) = self.by_places.last() else {
            return false;
        };
        let oldest = self.clients.get(&client);
        let oldest = oldest.and_then(|holdings| holdings.connections.first());
        let Some(&oldest) = oldest.filter(|_| most >= least) else {
            return false;
        };
        self.displace(oldest, true);
        true
    }

    /// Takes a connection out; nothing where it had to make room before.
    pub(super) fn remove(&mut self, number: u64) -> Option<Arc<Departure>> {
        let connection = self.connections.remove(&number)?;
        if let Some(key) = connection.idle {
            self.idle.remove(&key);
        }
        let client = connection.client;
        self.bytes -= connection.bytes;
        let holdings = self.clients.get_mut(&client)?;
        let (places, bytes) = (holdings.connections.len(), holdings.bytes);
        holdings.connections.remove(&number);
        holdings.bytes -= connection.bytes;
        let left = (places - 1, holdings.bytes);
        if left.0 == 0 {
            self.clients.remove(&client);
        }
        self.by_places.remove(&(places, client));
        if left.0 > 0 {
            self.by_places.insert((left.0, client));
        }
        self.rank_by_bytes(client, bytes, left.1);
        Some(connection.departure)
    }

    /// Lets a connection make room before those that are not idle.
    pub(super) fn mark_idle(&mut self, number: u64) {
        let key = self.number();
        if let Some(connection) = self.connections.get_mut(&number)
            && connection.idle.is_none()
        {
            connection.idle = Some(key);
            self.idle.insert(key, number);
        }
    }

    /// The end of that.
    pub(super) fn mark_busy(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number)
            && let Some(key) = connection.idle.take()
        {
            self.idle.remove(&key);
        }
    }

    /// Gives memory to a connection; `None` where it has no place any more, or its client would have the most.
    pub(super) fn hold(&mut self, number: u64, bytes: usize) -> Option<()> {
        let client = self.connections.get(&number)?.client;
        while self.bytes + bytes > self.limits.bytes {
            let held = self.clients.get(&client)?.bytes;
            let &(most, largest) = self.by_bytes.last()?;
            if most <= held + bytes {
                return None;
            }
            self.displace_largest_of(largest)?;
        }
        self.change_bytes(number, |held| held + bytes);
        Some(())
    }

    /// Takes memory back.
    pub(super) fn give_back(&mut self, number: u64, bytes: usize) {
        self.change_bytes(number, |held| held - bytes);
    }

    /// The connections that have to make room since the last call, and whether each is to end at once. Whoever asks tells them.
    pub(super) fn take_leaving(&mut self) -> Vec<(Arc<Departure>, bool)> {
        std::mem::take(&mut self.leaving)
    }

    /// Ends that connection of a client whose messages take most.
    fn displace_largest_of(&mut self, client: Client) -> Option<()> {
        let connections = self.clients.get(&client)?.connections.iter();
        let bytes = |number: &u64| self.connections.get(number).map(|held| held.bytes);
        let largest = connections.copied().max_by_key(bytes)?;
        self.displace(largest, true);
        Some(())
    }

    fn displace(&mut self, number: u64, at_once: bool) {
        if let Some(departure) = self.remove(number) {
            self.leaving.push((departure, at_once));
        }
    }

    fn change_bytes(&mut self, number: u64, change: impl Fn(usize) -> usize) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let (before, after) = (connection.bytes, change(connection.bytes));
        let client = connection.client;
        connection.bytes = after;
        self.bytes = self.bytes - before + after;
        if let Some(holdings) = self.clients.get_mut(&client) {
            let were = holdings.bytes;
            holdings.bytes = were - before + after;
            let are = holdings.bytes;
            self.rank_by_bytes(client, were, are);
        }
    }

    fn rank_by_bytes(&mut self, client: Client, were: usize, are: usize) {
        if were != are {
            self.by_bytes.remove(&(were, client));
            if are > 0 {
                self.by_bytes.insert((are, client));
            }
        }
    }

    fn places_of(&self, client: Client) -> usize {
        let holdings = self.clients.get(&client);
        holdings.map_or(0, |holdings| holdings.connections.len())
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with so many places, so many of them for each client, and so many bytes.
    struct Crowd {
        table: Table,
        connections: Vec<(u64, Arc<Departure>)>,
    }

    impl Crowd {
        fn new(places: usize, places_per_client: usize, bytes: usize) -> Self {
            let limits = Limits {
                places,
                places_per_client,
                bytes,
                newcomers_win: false,
            };
            Self {
                table: Table::new(limits),
                connections: Vec::new(),
            }
        }

        /// Connects as the client with this last byte; tells whether it may stay.
        fn connect(&mut self, client: u8) -> bool {
            let departure = Arc::<Departure>::default();
            let client = Client::from(std::net::IpAddr::from([192, 0, 2, client]));
            let admitted = self.table.admit(client, departure.clone());
            self.connections
                .extend(admitted.map(|number| (number, departure)));
            admitted.is_some()
        }

        /// Which connections have to end, by the order in which they came.
        fn displaced(&mut self) -> Vec<usize> {
            for (departure, at_once) in self.table.take_leaving() {
                departure.tell(at_once);
            }
            let connections = self.connections.iter().enumerate();
            let told = connections.filter(|(_, (_, departure))| departure.is_told());
            told.map(|(index, _)| index).collect()
        }

        fn number(&self, index: usize) -> u64 {
            self.connections[index].0
        }
    }

    #[test]
    fn the_longest_idle_makes_room_before_the_client_with_the_most() {
        let mut crowd = Crowd::new(3, 3, 0);
        assert!(crowd.connect(1) && crowd.connect(1) && crowd.connect(2));
        for index in [2, 1] {
            crowd.table.mark_idle(crowd.number(index));
        }
        crowd.table.mark_busy(crowd.number(1));
        crowd.table.mark_idle(crowd.number(1));
        assert!(crowd.connect(3));
        assert_eq!(crowd.displaced(), [2]);
        crowd.table.mark_busy(crowd.number(1));
        assert!(crowd.connect(4));
        assert_eq!(
            crowd.displaced(),
            [0, 2],
            "the oldest of the client with the most"
        );
    }

    #[test]
    fn nobody_makes_room_for_a_client_that_would_have_the_most() {
        let mut crowd = Crowd::new(2, 2, 0);
        assert!(crowd.connect(1) && crowd.connect(2));
        assert!(!crowd.connect(1) && !crowd.connect(3));
        let mut crowd = Crowd::new(4, 4, 0);
        assert!((0..4).all(|_| crowd.connect(1)));
        assert!(crowd.connect(2) && crowd.connect(2));
        assert!(!crowd.connect(2), "each has two");
        assert_eq!(crowd.displaced(), [0, 1]);
    }

    #[test]
    fn a_client_has_no_more_than_its_share() {
        let mut crowd = Crowd::new(9, 2, 0);
        assert!(crowd.connect(1) && crowd.connect(1));
        crowd.table.mark_idle(crowd.number(0));
        assert!(!crowd.connect(1) && crowd.connect(2));
        assert_eq!(crowd.displaced(), [0_usize; 0]);
        crowd.table.remove(crowd.number(0));
        assert!(crowd.connect(1));
    }

    #[test]
    fn memory_is_taken_from_the_client_with_the_most() {
        let mut crowd = Crowd::new(9, 9, 100);
        assert!(crowd.connect(1) && crowd.connect(1) && crowd.connect(2));
        let hold = |crowd: &mut Crowd, index: usize, bytes| {
            let number = crowd.number(index);
            crowd.table.hold(number, bytes).is_some()
        };
        assert!(hold(&mut crowd, 0, 30) && hold(&mut crowd, 1, 60));
        assert!(!hold(&mut crowd, 0, 20), "its client has the most itself");
        assert!(hold(&mut crowd, 2, 40));
        assert_eq!((crowd.displaced(), crowd.table.bytes()), (vec![1], 70));
        assert!(!hold(&mut crowd, 1, 1), "it has to end");
        crowd.table.give_back(crowd.number(1), 60);
        crowd.table.give_back(crowd.number(2), 40);
        crowd.table.remove(crowd.number(0));
        assert_eq!(crowd.table.bytes(), 0);
        assert!(!hold(&mut crowd, 2, 101) && hold(&mut crowd, 2, 100));
    }

    #[test]
    fn where_newcomers_win_a_client_makes_room_for_itself() {
        let mut crowd = Crowd::new(2, 2, 0);
        crowd.table.limits.newcomers_win = true;
        crowd.table.limits.places_per_client = 3;
        assert!((0..4).all(|_| crowd.connect(1)));
        assert_eq!(crowd.displaced(), [0, 1]);
    }
}
