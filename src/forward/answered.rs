use super::{error::ResolutionError, question::Question};
use crate::{
    dns::Name,
    wire::{self, Alias, UpstreamReply},
};

/// What upstreams say to a question.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// As one reply, however many it took.
    pub(super) reply: UpstreamReply,
    /// Where the asked name leads, where it is an alias: each name once.
    pub(super) aliases: Vec<Alias>,
    /// Whether the reply says nothing of where the aliases end: one leads into the mesh, and nobody was asked on.
    pub(super) is_open: bool,
}

impl Answered {
    /// What stands for a reply that nobody gave.
    pub(super) fn nothing() -> Self {
        Self::of(UpstreamReply::none())
    }

    /// The answer to a question that leads nowhere.
    pub(super) fn failed() -> Self {
        Self::of(UpstreamReply::failed())
    }

    pub(super) fn of(reply: UpstreamReply) -> Self {
        Self {
            reply,
            aliases: Vec::new(),
            is_open: false,
        }
    }
}

/// Where aliases lead.
pub(super) enum Reached {
    /// They are other names'.
    Nothing,
    /// To this name, which is somebody else's.
    Name(Name),
    /// Into the mesh.
    Mesh {
        /// Whether they go on in a circle from there, as upstreams have it.
        goes_in_circle: bool,
    },
}

impl Answered {
    /// Reads where the reply leads from the name of `question` on.
    pub(super) fn follow(
        &mut self,
        question: &Question,
        is_ours: impl Fn(&Name) -> bool,
    ) -> Result<Reached, ResolutionError> {
        let found = wire::aliases(&self.reply, &question.name, question.record_type);
        self.aliases.clear();
        let mut reaches_mesh = false;
        for alias in found.ok_or(ResolutionError::Broken)? {
            let mut before = self.aliases.iter().map(|alias| &alias.target);
            if alias.target == question.name || before.any(|name| *name == alias.target) {
                let reached = Reached::Mesh {
                    goes_in_circle: true,
                };
                return reaches_mesh
                    .then_some(reached)
                    .ok_or(ResolutionError::Endless);
            }
            reaches_mesh = reaches_mesh || is_ours(&alias.target);
            self.aliases.push(alias);
        }
        Ok(match self.aliases.last() {
            None => Reached::Nothing,
            Some(_) if reaches_mesh => Reached::Mesh {
                goes_in_circle: false,
            },
            Some(last) => Reached::Name(last.target.clone()),
        })
    }
}
