use std::{net::IpAddr, time::SystemTime};

use foldhash::HashMap;

use crate::dns::Name;

/// What was told of endpoints that are names: an input from outside, as files are.
#[derive(Clone, Debug, Default)]
pub struct Resolved(HashMap<Name, Told>);

/// What was told of one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Its addresses; none where it does not exist or has none.
    pub addresses: Box<[IpAddr]>,
    /// The name that it is an alias of, where the mesh has to tell what that means.
    pub alias: Option<Name>,
    /// When these addresses were told last, as far as that was passed on.
    pub at: SystemTime,
}

impl Told {
    /// `addresses` in ascending order, once each, and no alias.
    pub fn new(mut addresses: Vec<IpAddr>, at: SystemTime) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        Self {
            addresses: addresses.into(),
            alias: None,
            at,
        }
    }

    /// Whether the two mean the same, whenever they were told.
    pub fn means(&self, other: &Self) -> bool {
        (&self.addresses, &self.alias) == (&other.addresses, &other.alias)
    }
}

impl Resolved {
    /// What was told of `name`.
    pub fn get(&self, name: &Name) -> Option<&Told> {
        self.0.get(name)
    }

    /// Takes in what is told of `name`, `None` for nothing any more. Returns whether that makes a difference.
    pub fn set(&mut self, name: &Name, told: Option<Told>) -> bool {
        let before = match told.clone() {
            Some(told) => self.0.insert(name.clone(), told),
            None => self.0.remove(name),
        };
        match (before, told) {
            (Some(before), Some(after)) => !before.means(&after),
            (before, after) => before.is_some() != after.is_some(),
        }
    }
}
