//! The addresses of names that stand in the place of addresses in the mesh.

use std::net::IpAddr;

use super::{Forwarder, question::Question};
use crate::{
    dns::{Name, Rcode, RecordType},
    wire,
};

/// Over how many questions an alias is followed where upstreams leave that to those who ask.
const MOST_QUESTIONS: usize = 8;

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

/// Why a name could not be resolved.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolutionError {
    /// No upstream is asked for such a name.
    #[error("no upstream answers for it")]
    NoUpstream,
    /// No upstream replied in time.
    #[error("no upstream replied in time")]
    NoReply,
    /// The upstreams could not tell.
    #[error("the upstreams say {}", .0.map_or("something without a name", |rcode| rcode.as_str()))]
    Failed(Option<Rcode>),
    /// A reply was cut, or could not be read.
    #[error("the reply of the upstream is not whole")]
    Broken,
    /// One alias leads to another without end.
    #[error("its aliases lead nowhere")]
    Endless,
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
        let mut name = name.clone();
        let mut ttl_seconds = u32::MAX;
        for _ in 0..MOST_QUESTIONS {
            let pool = self.routes.pool_for(name.as_wire());
            let pool = pool.ok_or(ResolutionError::NoUpstream)?;
            let question = Question {
                name: name.clone(),
                record_type,
                dnssec_ok: false,
                checking_disabled: false,
            };
            let reply = pool.ask(&question, &self.mark).await;
            let reply = reply.ok_or(ResolutionError::NoReply)?;
            let exists = reply.rcode == Rcode::NoError as u16;
            if !exists && reply.rcode != Rcode::NxDomain as u16 {
                return Err(ResolutionError::Failed(Rcode::from_number(reply.rcode)));
            }
            if reply.truncated {
                return Err(ResolutionError::Broken);
            }
            let found =
                wire::find_addresses(&reply, &name, record_type).ok_or(ResolutionError::Broken)?;
            ttl_seconds = ttl_seconds.min(found.ttl_seconds.unwrap_or(u32::MAX));
            if let Some(alias) = found.aliases.iter().find(|alias| is_ours(alias)) {
                return Ok(Resolution {
                    addresses: Vec::new(),
                    alias: Some(alias.clone()),
                    ttl_seconds,
                });
            }
            let is_negative = found.addresses.is_empty();
            // An alias without more says that there is no more only where an SOA says for how long.
            match found.aliases.last() {
                Some(target) if is_negative && exists && reply.lifetime_seconds == 0 => {
                    name = target.clone();
                    continue;
                }
                _ => {}
            }
            if is_negative {
                ttl_seconds = ttl_seconds.min(reply.lifetime_seconds);
            }
            return Ok(Resolution {
                addresses: found.addresses,
                alias: None,
                ttl_seconds,
            });
        }
        Err(ResolutionError::Endless)
    }
}
