//! The addresses of endpoints that are names.

use std::net::IpAddr;

use super::{Forwarder, asker::Asker, error::ResolutionError, question::Question};
use crate::{
    dns::{Name, Rcode, RecordType},
    wire,
};

/// What upstreams say of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolution {
    /// Its addresses; none where it does not exist or has none.
    pub addresses: Vec<IpAddr>,
    /// The name of ours that it is an alias of: what that means, upstreams are not asked.
    pub alias: Option<Name>,
    /// For how many seconds that holds; 0 where upstreams do not say.
    pub ttl_seconds: u32,
}

impl Forwarder {
    /// What the upstreams say of the addresses of type A or AAAA of `name`. Nothing of it comes from the cache or goes there.
    ///
    /// # Errors
    ///
    /// [`ResolutionError`] where they can't tell; that a name does not exist is an answer.
    pub async fn addresses(
        &self,
        name: &Name,
        record_type: RecordType,
        is_ours: impl Fn(&Name) -> bool,
    ) -> Result<Resolution, ResolutionError> {
        let question = Question {
            name: name.clone(),
            record_type,
            dnssec_ok: false,
            checking_disabled: false,
        };
        let answered = self
            .ask_along(&question, &Asker::itself(self.mark), &is_ours)
            .await?;
        let mut aliases = answered.aliases.iter();
        if let Some(at) = aliases.position(|alias| is_ours(&alias.target)) {
            let used = &answered.aliases[..=at];
            let ttls = used.iter().map(|alias| alias.ttl_seconds);
            return Ok(Resolution {
                addresses: Vec::new(),
                alias: Some(used[at].target.clone()),
                ttl_seconds: ttls.min().unwrap_or(0),
            });
        }
        let reply = &answered.reply;
        if !reply.settles() {
            return Err(match Rcode::from_number(reply.rcode) {
                Some(Rcode::NoError | Rcode::NxDomain) => ResolutionError::Broken,
                rcode => ResolutionError::Failed(rcode),
            });
        }
        let found = wire::find_addresses(reply, name, record_type);
        let found = found.ok_or(ResolutionError::Broken)?;
        let mut ttl_seconds = found.ttl_seconds.unwrap_or(u32::MAX);
        if found.addresses.is_empty() {
            ttl_seconds = ttl_seconds.min(reply.lifetime_seconds);
        }
        Ok(Resolution {
            addresses: found.addresses,
            alias: None,
            ttl_seconds,
        })
    }
}
