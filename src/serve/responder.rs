use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use arc_swap::cache::Cache;
use smallvec::SmallVec;

use super::{ServedAddress, amend::amend};
use crate::{
    answer::{Query, answer},
    forward::{Deferred, Forwarder, InForce, Now},
    metrics::{Exchange, Protocol, Recorder, Traffic},
    wire::{self, NameBuffer, Refusal, TransportOptions},
    zone::Snapshot,
};

/// How many messages are read before the first of them is answered, so that what their names need is fetched from memory
/// side by side.
pub(super) const GROUP: usize = Snapshot::MOST_FETCHED;

/// Turns messages into answers and counts them, for one worker at a time.
#[derive(Debug)]
pub(super) struct Responder {
    names: [NameBuffer; GROUP],
    turns: Turns,
    replies: Replies,
}

/// A message, as it was read and as it came, and who sent it, where that matters.
type Read<'m> = (Result<Query<'m>, Refusal<'m>>, &'m [u8], Option<IpAddr>);

/// How far the handling of a message is.
#[derive(Debug)]
pub(super) enum Handled {
    /// The answer is written, where one is due.
    Done,
    /// An upstream has to be asked for the answer.
    Deferred(Deferred),
}

/// Writes and counts what messages get.
#[derive(Debug)]
struct Replies {
    protocol: Protocol,
    transport_options: TransportOptions,
    recorder: Recorder,
    forwarder: Cache<Arc<InForce>, Option<Arc<Forwarder>>>,
}

impl Responder {
    pub(super) fn new(
        served: ServedAddress,
        traffic: &Arc<Traffic>,
        forwarder: Arc<InForce>,
    ) -> Self {
        Self {
            names: Default::default(),
            turns: Turns::seeded(),
            replies: Replies {
                protocol: served.protocol,
                transport_options: served.transport_options,
                recorder: traffic.recorder(served.address, served.protocol),
                forwarder: Cache::new(forwarder),
            },
        }
    }

    /// Whether it matters who the client is.
    pub(super) fn forwards(&mut self) -> bool {
        self.replies.forwarder.load().is_some()
    }

    /// Appends the answer to `message`; nothing where none is due, or not yet.
    ///
    /// `client` is who sent it, where [`Responder::forwards`].
    pub(super) fn respond(
        &mut self,
        snapshot: &Snapshot,
        message: &[u8],
        client: Option<IpAddr>,
        out: &mut Vec<u8>,
    ) -> Handled {
        let query = wire::parse(message, self.turns.next(), &mut self.names[0]);
        self.replies.write(snapshot, &(query, message, client), out)
    }

    /// Answers each of at most [`GROUP`] messages as [`Responder::respond`] does, and faster. Calls `later` with the index
    /// of each message that an upstream has to be asked for.
    pub(super) fn respond_to_each<'b>(
        &mut self,
        snapshot: &Snapshot,
        exchanges: impl Iterator<Item = (&'b [u8], &'b mut Vec<u8>)>,
        clients: [Option<IpAddr>; GROUP],
        mut later: impl FnMut(usize, &[u8], Deferred),
    ) {
        let read: SmallVec<[(Read<'_>, &mut Vec<u8>); GROUP]> = exchanges
            .zip(clients)
            .zip(&mut self.names)
            .map(|(((message, out), client), name)| {
                let query = wire::parse(message, self.turns.next(), name);
                ((query, message, client), out)
            })
            .collect();
        let names = read
            .iter()
            .filter_map(|((query, ..), _)| query.as_ref().ok());
        snapshot.fetch(names.map(|query| query.name));
        for (index, (read, out)) in read.into_iter().enumerate() {
            if let Handled::Deferred(deferred) = self.replies.write(snapshot, &read, out) {
                later(index, read.1, deferred);
            }
        }
    }

    /// Notes how long the answers since the last call took together.
    pub(super) fn finish(&mut self, duration: Duration) {
        self.replies.recorder.finish(duration);
    }

    /// What everyone counts into.
    pub(super) fn traffic(&self) -> &Traffic {
        self.replies.recorder.traffic()
    }
}

impl Replies {
    fn write(
        &mut self,
        snapshot: &Snapshot,
        (query, message, client): &Read<'_>,
        out: &mut Vec<u8>,
    ) -> Handled {
        let start = out.len();
        let query = match query {
            Ok(query) => query,
            Err(refusal) => {
                self.refuse(refusal, message.len(), out);
                return Handled::Done;
            }
        };
        let answer = answer(snapshot, query);
        let limit_bytes = limit_bytes(self.protocol, query);
        // Nobody asks who the client is where nothing is forwarded.
        let served = client.and_then(|client| forwarder_for(&mut self.forwarder, client));
        let recursion_available = served.is_some();
        let forwarded = match (served, answer.others) {
            (Some(forwarder), Some(_)) => match forwarder.now(query, message, limit_bytes, out) {
                Now::Passed(passed) => Some(amend(query, &answer, passed, limit_bytes, start, out)),
                Now::Refused => None,
                Now::Later(deferred) => return Handled::Deferred(deferred),
            },
            _ => None,
        };
        let (apex, rcode, truncated, opt_bytes) = if let Some(passed) = forwarded {
            let apex = Some(&[0][..]);
            (apex, passed.rcode, passed.truncated, passed.opt_bytes)
        } else {
            let written = wire::write(query, &answer, limit_bytes, out);
            let apex = answer.apex_at.map(|at| &query.name[at..]);
            let rcode = Some(answer.outcome.rcode());
            (apex, rcode, written.truncated, written.opt_bytes)
        };
        if self.protocol != Protocol::Udp
            && let Some(edns) = query.edns
        {
            wire::add_transport_options(edns, self.transport_options, start, opt_bytes, out);
        }
        if recursion_available {
            wire::set_recursion_available(&mut out[start..]);
        }
        self.recorder.follow(snapshot);
        self.recorder.record(&Exchange {
            apex,
            record_type: Some(query.record_type),
            rcode,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            truncated,
            request_bytes: message.len(),
            response_bytes: out.len() - start,
        });
        Handled::Done
    }

    fn refuse(&mut self, refusal: &Refusal<'_>, request_bytes: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let Some(rcode) = wire::write_refusal(refusal, out) else {
            self.recorder.traffic().count_ignored();
            return;
        };
        self.recorder.record(&Exchange {
            apex: None,
            record_type: None,
            rcode: Some(rcode),
            dnssec_ok: false,
            truncated: false,
            request_bytes,
            response_bytes: out.len() - start,
        });
    }
}

/// Who looks names up for `client`.
fn forwarder_for(
    in_force: &mut Cache<Arc<InForce>, Option<Arc<Forwarder>>>,
    client: IpAddr,
) -> Option<&Arc<Forwarder>> {
    let forwarder = in_force.load().as_ref()?;
    forwarder.serves(client).then_some(forwarder)
}

/// How large the answer to `query` may be.
pub(super) fn limit_bytes(protocol: Protocol, query: &Query<'_>) -> usize {
    match protocol {
        Protocol::Udp => wire::udp_limit_bytes(query),
        Protocol::Tcp | Protocol::Tls | Protocol::Https | Protocol::Quic => wire::MAX_TCP_BYTES,
    }
}

/// Random numbers that choose the first record of answers. Nothing secret hangs on them: the generator is `SplitMix64`.
#[derive(Debug)]
struct Turns(u64);

impl Turns {
    fn seeded() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits are left")
    }
}
