use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;

use crate::{
    answer::{Query, answer},
    metrics::{Exchange, Protocol, Recorder, Traffic},
    wire::{self, NameBuffer, Refusal},
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

/// A message as it was read, and its length.
type Read<'m> = (Result<Query<'m>, Refusal<'m>>, usize);

/// Writes and counts what messages get.
#[derive(Debug)]
struct Replies {
    protocol: Protocol,
    recorder: Recorder,
}

impl Responder {
    pub(super) fn new(address: SocketAddr, protocol: Protocol, traffic: &Arc<Traffic>) -> Self {
        Self {
            names: Default::default(),
            turns: Turns::seeded(),
            replies: Replies {
                protocol,
                recorder: traffic.recorder(address, protocol),
            },
        }
    }

    /// Appends the answer to `message`; nothing where none is due.
    pub(super) fn respond(&mut self, snapshot: &Snapshot, message: &[u8], out: &mut Vec<u8>) {
        let query = wire::parse(message, self.turns.next(), &mut self.names[0]);
        self.replies.write(snapshot, &(query, message.len()), out);
    }

    /// Answers each of at most [`GROUP`] messages as [`Responder::respond`] does, and faster.
    pub(super) fn respond_to_each<'b>(
        &mut self,
        snapshot: &Snapshot,
        exchanges: impl Iterator<Item = (&'b [u8], &'b mut Vec<u8>)>,
    ) {
        let read: SmallVec<[(Read<'_>, &mut Vec<u8>); GROUP]> = exchanges
            .zip(&mut self.names)
            .map(|((message, out), name)| {
                let query = wire::parse(message, self.turns.next(), name);
                ((query, message.len()), out)
            })
            .collect();
        let names = read
            .iter()
            .filter_map(|((query, _), _)| query.as_ref().ok());
        snapshot.fetch(names.map(|query| query.name));
        for (read, out) in read {
            self.replies.write(snapshot, &read, out);
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
    fn write(&mut self, snapshot: &Snapshot, (query, request_bytes): &Read<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let query = match query {
            Ok(query) => query,
            Err(refusal) => return self.refuse(refusal, *request_bytes, out),
        };
        let answer = answer(snapshot, query);
        let limit_bytes = match self.protocol {
            Protocol::Udp => wire::udp_limit_bytes(query),
            Protocol::Tcp => wire::MAX_TCP_BYTES,
        };
        let written = wire::write(query, &answer, limit_bytes, out);
        self.recorder.follow(snapshot);
        self.recorder.record(&Exchange {
            apex: answer.apex_at.map(|at| &query.name[at..]),
            record_type: Some(query.record_type),
            rcode: answer.outcome.rcode(),
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            truncated: written.truncated,
            request_bytes: *request_bytes,
            response_bytes: out.len() - start,
        });
    }

    fn refuse(&mut self, refusal: &Refusal<'_>, request_bytes: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let Some(rcode) = wire::write_refusal(refusal, out) else {
            self.recorder.traffic().ignored();
            return;
        };
        self.recorder.record(&Exchange {
            apex: None,
            record_type: None,
            rcode,
            dnssec_ok: false,
            truncated: false,
            request_bytes,
            response_bytes: out.len() - start,
        });
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
