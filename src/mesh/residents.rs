//! What is known of clients by the addresses that Pods and WorkloadEntries have.

use std::{collections::BTreeMap, fmt, hash::BuildHasher, net::IpAddr, num::NonZeroU64, sync::Arc};

use foldhash::{HashMap, quality::FixedState};
use smallvec::SmallVec;

use super::{entry::Place, locality::Locality};

/// How many parts are shared with earlier copies as a whole: a change copies one of them.
const SHARDS: usize = 1024;

/// Who has an address, as far as objects tell.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Resident {
    /// The namespace of its objects.
    pub namespace: Arc<str>,
    /// Where it is.
    pub locality: Option<Locality>,
    /// The Node that it is on, where that alone tells where it is.
    pub node: Option<NodeId>,
}

/// A Node, as a hash of its name: it is compared and never shown.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(NonZeroU64);

impl NodeId {
    pub(super) fn of(name: &str) -> Self {
        let hash = FixedState::with_seed(0).hash_one(name).max(1);
        Self(NonZeroU64::new(hash).expect("it is at least one"))
    }
}

/// Who has which address. A clone shares all that doesn't change.
#[derive(Clone, PartialEq)]
pub struct Residents {
    shards: Box<[Shard]>,
    /// Where Nodes are that say so.
    nodes: Arc<BTreeMap<NodeId, Locality>>,
}

type Shard = Arc<BTreeMap<IpAddr, SmallVec<[Resident; 1]>>>;

impl fmt::Debug for Residents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.shards.iter().flat_map(|shard| shard.iter());
        f.debug_map().entries(known).finish()
    }
}

impl Default for Residents {
    fn default() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS].into(),
            nodes: Arc::default(),
        }
    }
}

impl Residents {
    /// Who has `address`: what all objects agree on that have it. Several namespaces are none, for a node's own address is that of
    /// many Pods.
    pub fn at(&self, address: &IpAddr) -> (Option<&Arc<str>>, Option<Locality>) {
        let Some([first, others @ ..]) = self.shards[shard_of(address)]
            .get(address)
            .map(SmallVec::as_slice)
        else {
            return (None, None);
        };
        let namespace = others
            .iter()
            .all(|other| other.namespace == first.namespace)
            .then_some(&first.namespace);
        let locality = |resident: &Resident| {
            let of_node = || self.nodes.get(&resident.node?).copied();
            resident.locality.or_else(of_node)
        };
        let of_first = locality(first);
        let agree = others.iter().all(|other| locality(other) == of_first);
        (namespace, of_first.filter(|_| agree))
    }

    /// Notes where all Nodes are.
    pub(super) fn set_nodes(&mut self, nodes: &HashMap<Box<str>, Place>) {
        let known = nodes.iter();
        let known = known.map(|(name, place)| (NodeId::of(name), place.locality));
        self.nodes = Arc::new(known.collect());
    }

    pub(super) fn insert(&mut self, address: IpAddr, resident: &Resident) {
        let shard = Arc::make_mut(&mut self.shards[shard_of(&address)]);
        let known = shard.entry(address).or_default();
        // In an order that does not tell which came first.
        let place = known.partition_point(|other| other < resident);
        known.insert(place, resident.clone());
    }

    pub(super) fn remove(&mut self, address: IpAddr, resident: &Resident) {
        let shard = Arc::make_mut(&mut self.shards[shard_of(&address)]);
        let Some(known) = shard.get_mut(&address) else {
            return;
        };
        if let Some(place) = known.iter().position(|other| other == resident) {
            known.remove(place);
        }
        if known.is_empty() {
            shard.remove(&address);
        }
    }
}

fn shard_of(address: &IpAddr) -> usize {
    let hash = FixedState::with_seed(0).hash_one(address);
    usize::try_from(hash % SHARDS as u64).expect("there are few shards")
}
