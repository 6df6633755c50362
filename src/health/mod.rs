//! What holds of endpoints' health besides what their objects say: our own checks.
//!
//! A [`Target`] is an address and a [`Probe`](crate::manifest::Probe): who is probed alike is probed once. The pipeline derives targets from the mesh and
//! tells who probes what it wants ([`TargetChanges`]); what comes back is a [`Ruling`] for each target that has another one.
//! An observation is never told: what one more failure means is decided here, before the mesh hears of it.
//!
//! A status in an object is a statement, a check is a guess: a guess never takes out a host's last endpoint, nor half of the mesh
//! at once, nor anybody before that check has ever passed.
//!
//! Never opens a socket and never reads a clock.

mod board;
mod describe;
mod freeze;
mod observation;
mod overrides;
mod pace;
mod policy;
mod reach;
mod saved;
mod settings;
mod target;
mod verdict;
mod verdicts;

pub use board::{Board, Due, Epoch, Figures, Standings, View};
pub use describe::Described;
pub use freeze::MassFailure;
pub use observation::{Failure, GrpcFault, Nothing, Observation, Pass, ProtocolFault};
pub use overrides::{OverrideLine, Overrides, OverridesError, Pattern};
pub use policy::{CheckPolicy, CheckRule, GroupProbes, WhenAllFail};
pub use reach::{Forbidden, Reach};
pub(crate) use saved::stanza;
pub use saved::{Saved, SavedError};
pub use settings::Settings;
pub use target::{Begin, HeldFor, Out, Ruling, Target, TargetChanges, TargetId, Wanted};
pub use verdict::Verdict;
pub use verdicts::Verdicts;
pub(crate) use verdicts::{Judgement, Subject};
