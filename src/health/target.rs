use std::{net::IpAddr, sync::Arc};

use crate::manifest::Probe;

/// What is probed: two endpoints with the same address and probe are one target.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Target {
    /// Where.
    pub address: IpAddr,
    /// How.
    pub probe: Arc<Probe>,
}

/// The number of a target from when it is wanted to when it no longer is; none is given out twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TargetId(pub u64);

/// A target that is to be probed from now on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its number.
    pub id: TargetId,
    /// What is probed.
    pub target: Target,
    /// What holds until it was probed.
    pub begin: Begin,
    /// When its newest object was made, in seconds since 1970; 0 where that is not known.
    pub created: i64,
}

/// How a target begins.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Begin {
    /// It stood in the mesh when the server started: it is in, and its first observation decides.
    Start,
    /// An endpoint that was in got a check, or another one: it is in, and stays so until it fails a check that has passed.
    Kept,
    /// It came while the server ran: it is out until it passes.
    New,
}

/// What is no longer to be probed, and what is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetChanges {
    /// From now on.
    pub wanted: Vec<Wanted>,
    /// No longer.
    pub unwanted: Vec<TargetId>,
}

impl TargetChanges {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }
}

/// What follows for the endpoints of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ruling {
    /// They are in: the check passes.
    Passing,
    /// They are in: nothing was observed yet.
    Pending,
    /// They fail the check and are in all the same.
    Held(HeldFor, Box<str>),
    /// They are out.
    Out(Out),
}

/// Why the endpoints of a target that fails are in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HeldFor {
    /// Too many targets fail at once: the fault may be ours.
    Frozen,
    /// The check never passed for anyone: it may be wrong.
    Unproven,
}

/// Why the endpoints of a target are out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Out {
    /// Whether that is so because nothing was observed yet.
    pub is_pending: bool,
    /// Whether they were in before: only then they may answer for a host that has nobody else.
    pub had_place: bool,
    /// Why, as `explain` shows it: `check fails: GET :8080/healthz refused, 3 in a row, since 12:00:05`.
    pub text: Box<str>,
}

impl Begin {
    /// What holds until something is told of the target.
    pub fn ruling(self) -> Ruling {
        match self {
            Self::Start | Self::Kept => Ruling::Pending,
            Self::New => Ruling::Out(Out {
                is_pending: true,
                had_place: false,
                text: "waits for its first check".into(),
            }),
        }
    }
}
