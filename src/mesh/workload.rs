use std::sync::Arc;

use super::{
    addresses::Addresses, exclusion::Exclusion, labels::Labels, read_from::ReadFrom,
    statement::Statement,
};
use crate::{
    diagnostic::{ObjectKey, Origin},
    dns::Name,
    manifest::{Attributes, Notes},
};

/// A Pod or a VM: after this point they differ only in what `explain` prints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Workload {
    /// Its kind, namespace and name.
    pub key: ObjectKey,
    /// What a selector sees.
    pub labels: Labels,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// What its object says of its health and of itself; `None` where that is nothing. Of those that say no more than that they
    /// are well, or that they have these ports and this weight, there is one copy.
    pub statement: Option<Arc<Statement>>,
    /// What it was read from.
    pub read_from: ReadFrom,
}

impl Workload {
    /// Where it was read, as it is shown.
    pub fn origin(&self) -> Origin {
        self.read_from.origin_of(&self.key)
    }

    /// Why it is no endpoint, as far as its object says; `None` where nothing speaks against it.
    pub fn excluded(&self) -> Option<&Exclusion> {
        self.statement.as_ref()?.excluded.as_ref()
    }

    /// What is noted on it for us.
    pub fn notes(&self) -> Option<&Notes> {
        self.statement.as_ref()?.notes.as_deref()
    }

    /// What it says of itself besides where it is and how well.
    pub fn attributes(&self) -> &Attributes {
        let stated = self
            .statement
            .as_ref()
            .and_then(|said| said.attributes.as_deref());
        stated.unwrap_or(Attributes::plain())
    }

    /// Whether it is a Pod that asks for others, by its labels, and is in.
    pub(super) fn asks_for_others(&self) -> bool {
        let said = self.statement.as_ref();
        said.is_some_and(|said| said.asks_for_others && said.excluded.is_none())
    }

    /// Its name, where it has that in place of an address.
    pub fn name(&self) -> Option<&Name> {
        match &self.addresses {
            Addresses::Name(name) => Some(name),
            Addresses::One(_) | Addresses::Other(_) => None,
        }
    }
}
