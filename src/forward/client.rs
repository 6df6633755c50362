use std::sync::{Arc, atomic::Ordering::Relaxed};

use arc_swap::ArcSwap;

use super::cache::Kept;
use crate::{
    answer::{Answer, Outcome, Query, answer},
    authority::Verdict,
    dns::{Name, Rcode, RecordType},
    wire::{self, Age, Alias, UpstreamReply, Written},
    zone::{Asker, Found, Snapshot},
};

/// What was written for a query.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// The response code; `None` for one that we have no name for.
    pub rcode: Option<Rcode>,
    /// Whether records were left out because they did not fit.
    pub truncated: bool,
    /// How many bytes at the end of the answer are its OPT record's; 0 where there is none.
    pub opt_bytes: usize,
}

/// One who asks, and how much it takes.
pub(super) struct Client<'q> {
    pub(super) query: &'q Query<'q>,
    pub(super) message: &'q [u8],
    pub(super) limit_bytes: usize,
}

/// The snapshot in force.
pub type Mesh = Arc<ArcSwap<Snapshot>>;

impl Client<'_> {
    /// Writes `kept`, of this `age`, as the answer: where an alias leads into the mesh, what the mesh says there.
    pub(super) fn write(&self, mesh: &Mesh, kept: &Kept, age: Age, out: &mut Vec<u8>) -> Passed {
        let start = out.len();
        let passed = if kept.aliases.is_empty() && !kept.says_more {
            self.relay(&kept.reply, age, out)
        } else {
            let snapshot = mesh.load();
            match leads_into(&snapshot, &kept.aliases, self.query) {
                Some((aliases, answer)) => self.complete(aliases, age, &answer, out),
                None => self.relay_without_mesh(&snapshot, kept, age, out),
            }
        };
        if passed.truncated && self.is_stream() {
            // There is no other way to ask that could take more.
            out.truncate(start);
            return self.relay(&UpstreamReply::failed(), Age::Fresh(0), out);
        }
        passed
    }

    /// Whether it asks over a stream: then there is no TC, and no other way to ask.
    fn is_stream(&self) -> bool {
        self.limit_bytes > wire::MAX_UDP_BYTES
    }

    fn relay(&self, reply: &UpstreamReply, age: Age, out: &mut Vec<u8>) -> Passed {
        let (query, message, limit_bytes) = (self.query, self.message, self.limit_bytes);
        let relayed = wire::relay(query, message, reply, age, limit_bytes, out);
        Passed {
            rcode: Rcode::from_number(relayed.rcode),
            truncated: relayed.truncated,
            opt_bytes: relayed.opt_bytes,
        }
    }

    /// Passes `kept` on without what it says of names that the mesh answers for. They are looked up once for each snapshot.
    fn relay_without_mesh(
        &self,
        snapshot: &Snapshot,
        kept: &Kept,
        age: Age,
        out: &mut Vec<u8>,
    ) -> Passed {
        let generation = snapshot.generation();
        if !kept.says_more || kept.cleared_at.load(Relaxed) == generation {
            return self.relay(&kept.reply, age, out);
        }
        let name = Name::from_lowercase_wire(self.query.name);
        let record_type = self.query.record_type;
        let is_of_mesh = |owner: &[u8], kind: RecordType| {
            // What becomes of an alias at the asked name is decided by who passes this on.
            let is_asked = owner == self.query.name && kind == RecordType::CNAME;
            !is_asked && is_of_mesh(snapshot, owner, kind)
        };
        if kept.reply.any(&name, record_type, is_of_mesh) {
            let reply = kept.reply.without(&name, record_type, is_of_mesh);
            return self.relay(&reply, age, out);
        }
        kept.cleared_at.store(generation, Relaxed);
        self.relay(&kept.reply, age, out)
    }

    fn complete(
        &self,
        aliases: &[Alias],
        age: Age,
        answer: &Answer<'_>,
        out: &mut Vec<u8>,
    ) -> Passed {
        let (query, message, limit_bytes) = (self.query, self.message, self.limit_bytes);
        let written = wire::write_aliased(query, message, aliases, age, answer, limit_bytes, out);
        Passed::of(answer.outcome.rcode() as u16, written)
    }
}

impl Passed {
    pub(super) fn of(rcode: u16, written: Written) -> Self {
        Self {
            rcode: Rcode::from_number(rcode),
            truncated: written.truncated,
            opt_bytes: written.opt_bytes,
        }
    }
}

/// Whether the mesh has the answer to a question for `name`.
pub(super) fn is_in_mesh(mesh: &Mesh, name: &Name, record_type: RecordType) -> bool {
    in_mesh(&mesh.load(), name, record_type, (0, &Asker::DIRECT)).is_some()
}

/// What the mesh answers for `name`; `None` where others do.
fn in_mesh<'s>(
    snapshot: &'s Snapshot,
    name: &Name,
    record_type: RecordType,
    (turn, asker): (u32, &Asker),
) -> Option<Answer<'s>> {
    let query = Query {
        turn,
        asker,
        ..Query::of(name, record_type)
    };
    let answer = answer(snapshot.seen_by(*asker), &query);
    let is_loading = matches!(answer.outcome, Outcome::NotReady) && !snapshot.is_ready();
    let is_others = answer.others.is_some() || is_loading;
    (!is_others).then_some(answer)
}

/// Whether the mesh answers for records of this owner, in lower-case wire form, and type. An alias of all names below the owner
/// is the mesh's where it may have hosts there ([RFC 6672 §2.3](https://www.rfc-editor.org/rfc/rfc6672#section-2.3)).
fn is_of_mesh(snapshot: &Snapshot, owner: &[u8], record_type: RecordType) -> bool {
    let found = snapshot.find(owner);
    let is_above_hosts = match found {
        Found::Name(_) | Found::Made { .. } => true,
        Found::NotOurs { has_hosts_below } => has_hosts_below,
        Found::NoName { .. } => false,
    };
    record_type == RecordType::DNAME && is_above_hosts
        || snapshot.verdict(owner, record_type, &found) != Verdict::Others
}

/// The aliases up to the first that leads into the mesh, and what the mesh answers there.
fn leads_into<'a, 's>(
    snapshot: &'s Snapshot,
    aliases: &'a [Alias],
    query: &Query<'_>,
) -> Option<(&'a [Alias], Answer<'s>)> {
    aliases.iter().enumerate().find_map(|(at, alias)| {
        let asker = (query.turn, query.asker);
        let answer = in_mesh(snapshot, &alias.target, query.record_type, asker)?;
        Some((&aliases[..=at], answer))
    })
}
