//! Questions that are asked on along aliases.

use std::time::Instant;

use tokio::time::timeout;

use super::{Forwarder, ResolutionError, question::Question, special};
use crate::{
    dns::{Name, Rcode},
    wire::{self, Alias, Content, MOST_ALIASES, UpstreamReply},
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

    fn of(reply: UpstreamReply) -> Self {
        Self {
            reply,
            aliases: Vec::new(),
            is_open: false,
        }
    }
}

impl Forwarder {
    /// What the upstreams say to `question`, whatever its response code. Where they say only what the name is an alias of,
    /// they are asked for that name, and so on, unless one that `is_ours` is reached: nobody is asked for those.
    ///
    /// `marks` are of those through whom the question came, and of this process.
    ///
    /// # Errors
    ///
    /// [`ResolutionError`] where nobody replies to the first question, and where a later one fails, or the aliases lead in a
    /// circle or to more than [`MOST_ALIASES`] names.
    pub(super) async fn ask_along(
        &self,
        question: &Question,
        marks: &[u8],
        is_ours: impl Fn(&Name) -> bool,
    ) -> Result<Answered, ResolutionError> {
        let start = Instant::now();
        let mut answered = Answered::of(self.ask_one(question, marks).await?);
        let mut asked = question.clone();
        while answered.reply.has_aliases() {
            let is_end_open = answered.reply.content == Content::OnlyAliases;
            match answered.follow(question, &is_ours)? {
                Reached::Mesh { goes_in_circle } => {
                    answered.is_open = is_end_open || goes_in_circle;
                    break;
                }
                Reached::Name(target) if is_end_open && target != asked.name => {
                    asked.name = target;
                }
                Reached::Name(_) | Reached::Nothing => break,
            }
            if answered.aliases.len() >= MOST_ALIASES {
                return Err(ResolutionError::Endless);
            }
            let left = self.settings().timeout.saturating_sub(start.elapsed());
            let next = match timeout(left, self.ask_one(&asked, marks)).await {
                Ok(Err(ResolutionError::NoUpstream)) => break, // whoever asked may know more
                Ok(next) => next?,
                Err(_) => return Err(ResolutionError::NoReply),
            };
            if !next.settles() {
                return Err(ResolutionError::Failed(Rcode::from_number(next.rcode)));
            }
            let message = question.message(0, None);
            answered.reply = wire::behind_aliases(&message, &answered.aliases, &next)
                .ok_or(ResolutionError::Broken)?;
        }
        Ok(answered)
    }

    /// What the upstreams say to one question.
    async fn ask_one(
        &self,
        question: &Question,
        marks: &[u8],
    ) -> Result<UpstreamReply, ResolutionError> {
        let name = question.name.as_wire();
        let special = special::answer(name, question.record_type, self.routes.domains());
        if let Some((local, apex_at)) = special {
            return Ok(wire::local_reply(
                &question.message(0, None),
                local,
                apex_at,
            ));
        }
        let pool = self.routes.pool_for(name);
        let pool = pool.ok_or(ResolutionError::NoUpstream)?;
        let reply = pool.ask(question, marks).await;
        reply.ok_or(ResolutionError::NoReply)
    }
}

/// Where aliases lead.
enum Reached {
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
    fn follow(
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
