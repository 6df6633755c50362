//! The Pods that ask for others: CoreDNS, and its caches on the nodes.

use std::{collections::BTreeMap, net::IpAddr};

use super::entry::Entry;

/// The addresses of the Pods that ask for others, and are in.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwarders {
    /// How many Pods have each: those on the network of their node share its address.
    pods: BTreeMap<IpAddr, usize>,
    /// The addresses as they were told last, where they may be others by now.
    told: Option<Vec<IpAddr>>,
}

impl Forwarders {
    /// Their addresses, ascending.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.pods.keys().copied()
    }

    /// Notes that `after` takes the place of `before`.
    pub(super) fn replace(&mut self, before: Option<&Entry>, after: Option<&Entry>) {
        let (before, after) = (addresses_of(before), addresses_of(after));
        if before == after {
            return;
        }
        if self.told.is_none() {
            self.told = Some(self.addresses().collect());
        }
        for address in after {
            *self.pods.entry(*address).or_default() += 1;
        }
        for address in before {
            let pods = self.pods.get_mut(address).expect("what goes was counted");
            *pods -= 1;
            if *pods == 0 {
                self.pods.remove(address);
            }
        }
    }

    /// Whether the addresses are others than at the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        let told = self.told.take();
        told.is_some_and(|told| !self.addresses().eq(told))
    }
}

/// The addresses from which an object asks for others.
fn addresses_of(entry: Option<&Entry>) -> &[IpAddr] {
    match entry {
        Some(Entry::Workload(workload)) if workload.asks_for_others() => &workload.addresses,
        _ => &[],
    }
}
