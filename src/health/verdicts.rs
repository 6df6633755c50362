//! What holds of one endpoint: its object's word, a person's, and our checks', joined by rank.

use std::{
    fmt::Write as _,
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use foldhash::HashMap;
use smallvec::SmallVec;

use super::{
    overrides::{OverrideLine, Overrides},
    target::{Out, Ruling, TargetId},
};
use crate::{
    diagnostic::ObjectKey,
    manifest::{Notes, Order, OrderedState},
    mesh::{Exclusion, Service, Slot, Statement, Workload},
};

/// Everything besides the objects that decides who is healthy.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// In seconds since 1970.
    pub(crate) now: i64,
    pub(crate) overrides: Arc<Overrides>,
    /// The age in seconds from which on a report counts for nothing, where an object says no other.
    pub(crate) report_max_age_seconds: Option<u32>,
    /// Whether a host whose endpoints only fail checks keeps them.
    pub(crate) keeps_last: bool,
    /// Whether every report is too old: then it is the objects that are, and reports hold as they are.
    pub(crate) holds_stale: bool,
    /// Whether heartbeats count: only where health is configured.
    pub(crate) counts_reports: bool,
    /// The targets of workloads, and of the inline endpoints of ServiceEntries by their places.
    pub(crate) targets: HashMap<Slot, SmallVec<[(u32, TargetId); 1]>>,
    /// What was told of targets, or holds until something is.
    pub(crate) rulings: HashMap<TargetId, Ruling>,
}

/// An endpoint, as far as a verdict on it is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'m> {
    /// The number of the workload, or of the ServiceEntry that it stands in.
    pub(crate) slot: Option<Slot>,
    /// Its place in the ServiceEntry; 0 for a workload.
    pub(crate) place: u32,
    pub(crate) key: &'m ObjectKey,
    pub(crate) addresses: &'m [IpAddr],
    pub(crate) is_inline: bool,
    /// Why its object rules it out.
    pub(crate) excluded: Option<&'m Exclusion>,
    pub(crate) statement: Option<&'m Statement>,
    pub(crate) notes: Option<&'m Notes>,
}

/// What is decided of an endpoint before anyone looks at its host as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judgement<'m> {
    /// It is in.
    In,
    /// Its object rules it out.
    Object(&'m Exclusion),
    /// A person takes it out.
    Ordered(Ordered<'m>),
    /// Its report is too old to count.
    Stale {
        age_seconds: i64,
        limit_seconds: u32,
    },
    /// A check of ours rules it out.
    Check(&'m Out),
}

/// A person's word that is in force.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ordered<'m> {
    /// By a line of the override file.
    Line(&'m OverrideLine, &'m str),
    /// By the object's annotation.
    Annotation(&'m Order),
}

impl<'m> Subject<'m> {
    /// A workload.
    pub(crate) fn of_workload(slot: Slot, workload: &'m Workload) -> Self {
        let statement = workload.statement.as_deref();
        Self {
            slot: Some(slot),
            place: 0,
            key: &workload.key,
            addresses: &workload.addresses,
            is_inline: false,
            excluded: statement.and_then(|said| said.excluded.as_ref()),
            statement,
            notes: statement.and_then(|said| said.notes.as_deref()),
        }
    }

    /// An endpoint that stands in a ServiceEntry.
    pub(crate) fn of_inline(
        slot: Option<Slot>,
        place: u32,
        service: &'m Service,
        addresses: &'m [IpAddr],
        excluded: Option<&'m Exclusion>,
    ) -> Self {
        Self {
            slot,
            place,
            key: &service.key,
            addresses,
            is_inline: true,
            excluded,
            statement: None,
            notes: service.notes.as_deref(),
        }
    }
}

impl Order {
    /// Whether it holds at `now`, in seconds since 1970.
    pub fn is_in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl Verdicts {
    /// Joins what is said of an endpoint: the object's hard facts, then persons, then its report, then checks.
    pub(crate) fn judge<'m>(&'m self, subject: &Subject<'m>) -> Judgement<'m> {
        if let Some(hard) = subject.excluded.filter(|excluded| !excluded.is_unready()) {
            return Judgement::Object(hard);
        }
        if let Some(ordered) = self.ordered(subject) {
            match ordered.order().state {
                OrderedState::Up => return Judgement::In,
                OrderedState::Down | OrderedState::Drain => return Judgement::Ordered(ordered),
                OrderedState::Auto => {}
            }
        }
        let ruling = self.ruling(subject);
        let passes = ruling == Some(&Ruling::Passing);
        match (subject.excluded, self.staleness(subject)) {
            (Some(Exclusion::HealthUnknown), _) | (_, Some(_)) if passes => return Judgement::In,
            (Some(excluded @ Exclusion::HealthUnknown), _) => {
                return match ruling {
                    Some(Ruling::Out(out)) => Judgement::Check(out),
                    _ => Judgement::Object(excluded),
                };
            }
            (_, Some((age_seconds, limit_seconds))) if ruling.is_none() => {
                return Judgement::Stale {
                    age_seconds,
                    limit_seconds,
                };
            }
            (Some(excluded), None) => return Judgement::Object(excluded),
            (_, _) => {}
        }
        match ruling {
            Some(Ruling::Out(out)) => Judgement::Check(out),
            Some(Ruling::Passing | Ruling::Pending | Ruling::Held(..)) | None => Judgement::In,
        }
    }

    /// The person's word that is in force for an endpoint, `auto` included.
    pub(crate) fn ordered<'m>(&'m self, subject: &Subject<'m>) -> Option<Ordered<'m>> {
        let line = if self.overrides.lines.is_empty() {
            None
        } else {
            let Subject {
                key,
                addresses,
                is_inline,
                ..
            } = *subject;
            self.overrides.find(key, addresses, is_inline, self.now)
        };
        let annotation = || {
            let order = subject.notes?.order.as_ref()?;
            order
                .is_in_force(self.now)
                .then_some(Ordered::Annotation(order))
        };
        match line {
            Some(line) => Some(Ordered::Line(line, &self.overrides.file)),
            None => annotation(),
        }
    }

    /// The person's word that an endpoint is in.
    pub(crate) fn forced<'m>(&'m self, subject: &Subject<'m>) -> Option<Ordered<'m>> {
        let ordered = self.ordered(subject);
        ordered.filter(|ordered| ordered.order().state == OrderedState::Up)
    }

    /// What follows from the check of an endpoint that has one.
    pub(crate) fn ruling(&self, subject: &Subject<'_>) -> Option<&Ruling> {
        self.rulings.get(&self.target(subject)?)
    }

    /// The target of an endpoint that has a check.
    pub(crate) fn target(&self, subject: &Subject<'_>) -> Option<TargetId> {
        if self.targets.is_empty() {
            return None;
        }
        let targets = self.targets.get(&subject.slot?)?;
        let mut targets = targets.iter().filter(|(place, _)| *place == subject.place);
        targets.next().map(|(_, id)| *id)
    }

    /// The age of a report that is too old, and the limit, both in seconds.
    fn staleness(&self, subject: &Subject<'_>) -> Option<(i64, u32)> {
        if self.holds_stale {
            return None;
        }
        let reported = subject.statement?.reported()?;
        let limit = self.max_age(subject)?;
        let age = self.now - reported;
        (age > i64::from(limit)).then_some((age, limit))
    }

    /// What is to be said of an endpoint that is in.
    pub(crate) fn note(
        &self,
        subject: &Subject<'_>,
        judgement: &Judgement<'_>,
    ) -> Option<Box<str>> {
        if !matches!(judgement, Judgement::In) {
            return None;
        }
        let forced = self.forced(subject);
        let of_check = match self.ruling(subject) {
            Some(Ruling::Passing) => Some("check passes"),
            Some(Ruling::Pending) => Some("waits for its first check"),
            Some(Ruling::Held(_, text)) => Some(&**text),
            Some(Ruling::Out(out)) => Some(&*out.text),
            None => None,
        };
        match (forced, of_check) {
            (Some(ordered), Some(check)) => {
                Some(format!("forced up {}, {check}", ordered.by()).into())
            }
            (Some(ordered), None) => Some(format!("forced up {}", ordered.by()).into()),
            (None, check) => check.map(Into::into),
        }
    }

    /// When the report of an endpoint becomes too old, in seconds since 1970.
    pub(crate) fn stale_at(&self, subject: &Subject<'_>) -> Option<i64> {
        let reported = subject.statement?.reported()?;
        let limit = self.max_age(subject)?;
        Some(reported.saturating_add(i64::from(limit)).saturating_add(1))
    }

    fn max_age(&self, subject: &Subject<'_>) -> Option<u32> {
        if !self.counts_reports {
            return None;
        }
        let heartbeat = subject.notes.and_then(|notes| notes.heartbeat_seconds);
        heartbeat
            .map(NonZeroU32::get)
            .or(self.report_max_age_seconds)
    }
}

impl<'m> Ordered<'m> {
    /// The order.
    pub(crate) fn order(self) -> &'m Order {
        match self {
            Self::Line(line, _) => &line.order,
            Self::Annotation(order) => order,
        }
    }

    /// Who says it, why, and until when.
    pub(crate) fn by(self) -> String {
        let mut text = match self {
            Self::Line(line, file) => format!("by {file}:{}", line.number),
            Self::Annotation(_) => "by annotation".to_owned(),
        };
        let Order { until, reason, .. } = self.order();
        if let Some(reason) = reason {
            let _ = write!(text, " ({reason})");
        }
        if let Some(until) = until.and_then(|until| u64::try_from(until).ok()) {
            let until = UNIX_EPOCH + Duration::from_secs(until);
            let _ = write!(text, " until {}", humantime::format_rfc3339_seconds(until));
        }
        text
    }
}

impl Judgement<'_> {
    /// Why the endpoint is out by itself; `None` where it is in.
    pub(crate) fn exclusion(&self) -> Option<Exclusion> {
        Some(match self {
            Self::In => return None,
            Self::Object(exclusion) => (*exclusion).clone(),
            Self::Ordered(ordered) => match ordered.order().state {
                OrderedState::Drain => {
                    Exclusion::Drained(format!("drained {}", ordered.by()).into())
                }
                _ => Exclusion::ForcedDown(format!("forced down {}", ordered.by()).into()),
            },
            Self::Stale {
                age_seconds,
                limit_seconds,
            } => Exclusion::ReportStale(
                format!("report is {age_seconds} s old (heartbeat {limit_seconds} s)").into(),
            ),
            Self::Check(out) if out.is_pending => Exclusion::CheckPending(out.text.clone()),
            Self::Check(out) => Exclusion::CheckFailed(out.text.clone()),
        })
    }

    /// Whether it only lacks health, so that it may stand in where everybody does.
    pub(crate) fn is_unready(&self) -> bool {
        match self {
            Self::In | Self::Ordered(_) => false,
            Self::Object(exclusion) => exclusion.is_unready(),
            Self::Stale { .. } | Self::Check(_) => true,
        }
    }

    /// Whether only a check of ours is against it, and it was in before: the last ones of a host stay.
    pub(crate) fn may_be_kept(&self) -> bool {
        matches!(self, Self::Check(out) if out.had_place && !out.is_pending)
    }
}
