use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{HostCounts, Published};
use crate::{
    authority::{Authority, Standing},
    dns::Name,
    mesh::{Endpoints, Service},
    select::{Choice, Loss},
};

/// Where the endpoints of a host come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndpointsFrom {
    /// What a selector picks.
    Selector,
    /// `spec.endpoints`.
    Endpoints,
    /// `spec.addresses`.
    Addresses,
    /// Several of these.
    Several,
    /// The ServiceEntry has no endpoint to give.
    Nothing,
    /// `exportTo` keeps the host from everyone.
    Hidden,
    /// Upstreams are asked for it.
    Forwarded,
}

impl EndpointsFrom {
    /// The word, as tables and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selector => "selector",
            Self::Endpoints => "endpoints",
            Self::Addresses => "addresses",
            Self::Several => "several",
            Self::Nothing => "none",
            Self::Hidden => "hidden",
            Self::Forwarded => "forwarded",
        }
    }

    /// What it is for `host`, for which `chosen` answer and `lost` do not.
    pub fn of<'s>(
        authority: &Authority,
        host: &Name,
        chosen: impl IntoIterator<Item = &'s Service>,
        lost: impl IntoIterator<Item = Loss>,
    ) -> Self {
        if authority.standing(host) == Standing::Left && authority.forwards(host) {
            return Self::Forwarded;
        }
        let kind = |service: &Service| match &service.endpoints {
            Endpoints::Selector(_) => Self::Selector,
            Endpoints::Inline(_) => Self::Endpoints,
            Endpoints::Neither if service.has_real_addresses() => Self::Addresses,
            Endpoints::Neither => Self::Nothing,
        };
        let mut kinds = chosen.into_iter().map(kind);
        match kinds.next() {
            Some(first) if kinds.all(|kind| kind == first) => first,
            Some(_) => Self::Several,
            None if lost.into_iter().any(|loss| loss == Loss::Hidden) => Self::Hidden,
            None => Self::Nothing,
        }
    }
}

/// What there is of a host when it was compiled.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// The ServiceEntries that answer, the oldest first.
    pub chosen: Vec<Arc<Service>>,
    /// Those that have the host and do not answer.
    pub lost: Vec<(Arc<Service>, Loss)>,
    /// Where the endpoints come from.
    pub source: EndpointsFrom,
    /// How many there are.
    pub counts: Arc<HostCounts>,
}

impl HostFacts {
    /// What `choice` comes to, which the endpoints of `counts` are of.
    pub fn new(
        authority: &Authority,
        host: &Name,
        choice: &Choice<'_>,
        counts: Arc<HostCounts>,
    ) -> Self {
        let services = choice.chosen.iter().map(|service| &***service);
        let losses = choice.lost.iter().map(|(_, loss)| *loss);
        let lost = choice.lost.iter();
        Self {
            source: EndpointsFrom::of(authority, host, services, losses),
            chosen: choice.chosen.iter().copied().cloned().collect(),
            lost: lost
                .map(|(service, loss)| ((*service).clone(), *loss))
                .collect(),
            counts,
        }
    }
}

/// A host as lists show it. There may be a hundred thousand.
#[derive(Clone, Debug)]
pub struct HostRow {
    /// A ServiceEntry that has the host, the first that answers where one does.
    service: Arc<Service>,
    /// Which of its hosts it is.
    place: u32,
    is_answered: bool,
    source: EndpointsFrom,
    others: Option<Box<Others>>,
    counts: Arc<HostCounts>,
    generation: u64,
    /// In milliseconds since 1970.
    changed: u64,
}

const _: () = assert!(size_of::<HostRow>() <= 48);

/// The other ServiceEntries that have the host, and how it moved: few hosts have either.
#[derive(Clone, Debug)]
struct Others {
    chosen: Box<[Arc<Service>]>,
    lost: Box<[(Arc<Service>, Loss)]>,
    moves: Moves,
}

/// When a host moved from VMs to Pods, as far as that was seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moves {
    /// When a Pod came in for the first time; `None` where none did, or one was in from the start on.
    pub first_pod: Option<SystemTime>,
    /// When the last VM went out, where none has come back.
    pub last_vm: Option<SystemTime>,
    /// Whether Pods were in from the start on, and have all gone out since: those that come now are not the first.
    had_pods: bool,
}

impl Moves {
    /// What is known once `after` takes the place of `before`.
    fn then(self, before: &HostCounts, after: &HostCounts, at: SystemTime) -> Self {
        let [pods_before, pods_after] = [before, after].map(|counts| counts.pods.in_count > 0);
        let pod_came = !pods_before && pods_after && !self.had_pods;
        let vms_went = before.vms_in() > 0 && after.vms_in() == 0;
        Self {
            first_pod: self.first_pod.or(pod_came.then_some(at)),
            had_pods: self.had_pods || self.first_pod.is_none() && pods_before && !pods_after,
            last_vm: if vms_went {
                Some(at)
            } else {
                self.last_vm.filter(|_| after.vms_in() == 0)
            },
        }
    }
}

impl HostRow {
    /// The row of `host` behind `before`, which stands since then where it has the same counts and is `unchanged`.
    pub(super) fn new(
        host: &Name,
        facts: HostFacts,
        before: Option<&Self>,
        unchanged: bool,
        published: Published,
    ) -> Self {
        let is_answered = !facts.chosen.is_empty();
        let mut chosen = facts.chosen.into_iter();
        let service = chosen
            .next()
            .or_else(|| facts.lost.first().map(|(service, _)| service.clone()))
            .expect("a host that is there is of a ServiceEntry");
        let place = service.hosts.iter().position(|other| other == host);
        let place = place.expect("it has the host");
        let chosen: Box<[_]> = chosen.collect();
        let moves = before.map_or_else(Moves::default, |before| {
            let moves = before.moves();
            moves.then(before.counts(), &facts.counts, published.at)
        });
        let is_alone = chosen.is_empty() && facts.lost.is_empty() && moves == Moves::default();
        let before = unchanged.then_some(before).flatten();
        let before = before.filter(|before| before.counts == facts.counts);
        let since_1970 = published.at.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            service,
            place: u32::try_from(place).expect("a file is no larger"),
            is_answered,
            source: facts.source,
            others: (!is_alone).then(|| {
                Box::new(Others {
                    chosen,
                    lost: facts.lost.into(),
                    moves,
                })
            }),
            generation: before.map_or(published.generation, |before| before.generation),
            changed: before.map_or_else(
                || {
                    let millis = since_1970.unwrap_or_default().as_millis();
                    u64::try_from(millis).unwrap_or(u64::MAX)
                },
                |before| before.changed,
            ),
            // Where nothing changed, the count that many share.
            counts: before.map_or(facts.counts, |before| before.counts.clone()),
        }
    }

    /// The host; a wildcard as `*.<name>`.
    pub fn host(&self) -> &Name {
        &self.service.hosts[self.place as usize]
    }

    /// The ServiceEntries that answer, the oldest first: all of one namespace.
    pub fn chosen(&self) -> impl Iterator<Item = &Arc<Service>> {
        let first = self.is_answered.then_some(&self.service);
        let others = self.others.iter().flat_map(|others| others.chosen.iter());
        first.into_iter().chain(others)
    }

    /// Those that have the host and do not answer.
    pub fn lost(&self) -> impl Iterator<Item = &(Arc<Service>, Loss)> {
        self.others.iter().flat_map(|others| others.lost.iter())
    }

    /// The namespace that answers.
    pub fn namespace(&self) -> Option<&str> {
        self.is_answered.then_some(&*self.service.key.namespace)
    }

    /// Where the endpoints come from.
    pub fn source(&self) -> EndpointsFrom {
        self.source
    }

    /// How many endpoints there are.
    pub fn counts(&self) -> &HostCounts {
        &self.counts
    }

    /// When it moved from VMs to Pods.
    pub fn moves(&self) -> Moves {
        self.others
            .as_ref()
            .map_or_else(Moves::default, |others| others.moves)
    }

    /// When it last answered otherwise, or had other endpoints.
    pub fn changed(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.changed)
    }

    /// The generation of that.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}
