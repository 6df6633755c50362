//! Questions that are asked on along aliases.

use std::time::Instant;

use tokio::time::timeout;

use super::{
    Forwarder,
    answered::{Answered, Reached},
    asker::Asker,
    error::ResolutionError,
    question::Question,
    special,
};
use crate::{
    dns::{Name, Rcode},
    wire::{self, Content, MOST_ALIASES, UpstreamReply},
};

impl Forwarder {
    /// What the upstreams say to `question`, whatever its response code. Where they say only what the name is an alias of,
    /// they are asked for that name, and so on, unless one that `is_ours` is reached: nobody is asked for those.
    ///
    /// # Errors
    ///
    /// [`ResolutionError`] where nobody replies to the first question, and where a later one fails, or the aliases lead in a
    /// circle or to more than [`MOST_ALIASES`] names.
    pub(super) async fn ask_along(
        &self,
        question: &Question,
        asker: &Asker,
        is_ours: impl Fn(&Name) -> bool,
    ) -> Result<Answered, ResolutionError> {
        let start = Instant::now();
        let mut answered = Answered::of(self.ask_one(question, asker).await?);
        let mut current = question.clone();
        while answered.reply.has_aliases() {
            let is_end_open = answered.reply.content == Content::OnlyAliases;
            match answered.follow(question, &is_ours)? {
                Reached::Mesh { goes_in_circle } => {
                    answered.is_open = is_end_open || goes_in_circle;
                    break;
                }
                Reached::Name(target) if is_end_open && target != current.name => {
                    current.name = target;
                }
                Reached::Name(_) | Reached::Nothing => break,
            }
            if answered.aliases.len() >= MOST_ALIASES {
                return Err(ResolutionError::Endless);
            }
            let left = self.settings().timeout.saturating_sub(start.elapsed());
            let next = match timeout(left, self.ask_one(&current, asker)).await {
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
        asker: &Asker,
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
        let reply = pool.ask(question, asker).await;
        reply.ok_or(ResolutionError::NoReply)
    }
}
