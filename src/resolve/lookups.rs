use std::{collections::HashMap, future::Future};

use tokio::task::{Id, JoinSet};

use super::{Family, PerFamily};
use crate::{
    dns::Name,
    forward::{Resolution, ResolutionError},
};

/// How many names are looked up at a time for each type of address: a type that is never answered takes no place of the
/// other's.
const MOST_LOOKUPS: usize = 32;

/// Lookups under way.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    running: JoinSet<Result<Resolution, ResolutionError>>,
    asked: HashMap<Id, (Name, Family)>,
    counts: PerFamily<usize>,
}

/// What became of a lookup.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Ended {
    pub(super) name: Name,
    pub(super) family: Family,
    pub(super) found: Result<Resolution, ResolutionError>,
}

impl Lookups {
    /// Whether one more for this type of address may begin.
    pub(super) fn has_room(&self, family: Family) -> bool {
        *self.counts.of(family) < MOST_LOOKUPS
    }

    /// Begins one.
    pub(super) fn start(
        &mut self,
        name: Name,
        family: Family,
        lookup: impl Future<Output = Result<Resolution, ResolutionError>> + Send + 'static,
    ) {
        *self.counts.of_mut(family) += 1;
        let id = self.running.spawn(lookup).id();
        self.asked.insert(id, (name, family));
    }

    /// The next that ends, be it by a panic; `None` where there is none.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        let (id, found) = match self.running.join_next_with_id().await? {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(ResolutionError::Panicked)),
        };
        let (name, family) = self.asked.remove(&id).expect("noted when it began");
        *self.counts.of_mut(family) -= 1;
        Some(Ended {
            name,
            family,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lookup_that_panics_ends_like_any_other() {
        let name = Name::from_text("a.test").expect("a name");
        let mut lookups = Lookups::default();
        lookups.start(name.clone(), Family::V6, async { panic!("a mistake") });
        let ended = lookups.next().await.expect("it has begun");
        let expected = Ended {
            name,
            family: Family::V6,
            found: Err(ResolutionError::Panicked),
        };
        assert_eq!(ended, expected);
        assert_eq!(lookups.next().await, None);
    }

    #[tokio::test]
    async fn a_type_that_is_never_answered_leaves_the_other_its_places() {
        let name = |number| Name::from_text(&format!("name{number}.test")).expect("a name");
        let mut lookups = Lookups::default();
        let mut started = 0;
        while lookups.has_room(Family::V6) {
            lookups.start(name(started), Family::V6, std::future::pending());
            started += 1;
        }
        assert_eq!(started, MOST_LOOKUPS);
        assert!(lookups.has_room(Family::V4));
        let found = Err(ResolutionError::NoReply);
        lookups.start(name(0), Family::V4, std::future::ready(found));
        let ended = lookups.next().await.expect("one ends");
        assert_eq!(ended.family, Family::V4);
    }
}
