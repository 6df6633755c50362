//! What is known of clients by the addresses that Pods and WorkloadEntries have.

use std::{collections::BTreeMap, fmt, hash::BuildHasher, net::IpAddr, sync::Arc};

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::locality::Locality;

/// How many parts are shared with earlier copies as a whole: a change copies one of them.
const SHARDS: usize = 1024;

/// Who has an address, as far as objects tell.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Resident {
    /// The namespace of its objects.
    pub namespace: Arc<str>,
    /// Where it is.
    pub locality: Option<Locality>,
}

/// Who has which address. A clone shares all that doesn't change.
#[derive(Clone, PartialEq)]
pub struct Residents {
    shards: Box<[Shard]>,
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
        let locality = others
            .iter()
            .all(|other| other.locality == first.locality)
            .then_some(first.locality);
        (namespace, locality.flatten())
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
