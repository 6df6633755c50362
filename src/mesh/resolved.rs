use std::{net::IpAddr, time::SystemTime};

use foldhash::HashMap;

use crate::dns::Name;

/// The addresses of endpoints that are names, as others resolve them: an input from outside, as files are.
#[derive(Clone, Debug, Default)]
pub struct ResolvedNames(HashMap<Name, ResolvedName>);

/// One name as others resolve it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedName {
    /// Its addresses; none where it does not exist or has none.
    pub addresses: Box<[IpAddr]>,
    /// The name that it is an alias of, where the mesh has to tell what that means.
    pub alias: Option<Name>,
    /// When an upstream last said so, as far as that was passed on.
    pub at: SystemTime,
}

impl ResolvedName {
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

    /// Whether the two mean the same, whenever they were looked up.
    pub fn means(&self, other: &Self) -> bool {
        (&self.addresses, &self.alias) == (&other.addresses, &other.alias)
    }
}

impl ResolvedNames {
    /// How `name` resolves, as far as somebody knows.
    pub fn get(&self, name: &Name) -> Option<&ResolvedName> {
        self.0.get(name)
    }

    /// Takes in how `name` resolves, `None` where nobody knows any more. Returns whether that makes a difference.
    pub fn set(&mut self, name: &Name, resolved: Option<ResolvedName>) -> bool {
        let before = match resolved.clone() {
            Some(resolved) => self.0.insert(name.clone(), resolved),
            None => self.0.remove(name),
        };
        match (before, resolved) {
            (Some(before), Some(after)) => !before.means(&after),
            (before, after) => before.is_some() != after.is_some(),
        }
    }
}
