use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use crate::{
    answer::answer,
    metrics::{Exchange, Protocol, Recorder, Traffic},
    wire,
    zone::Snapshot,
};

/// Turns messages into answers and counts them, for one worker at a time.
#[derive(Debug)]
pub(super) struct Responder {
    protocol: Protocol,
    recorder: Recorder,
    turns: Turns,
}

impl Responder {
    pub(super) fn new(address: SocketAddr, protocol: Protocol, traffic: &Arc<Traffic>) -> Self {
        Self {
            protocol,
            recorder: traffic.recorder(address, protocol),
            turns: Turns::seeded(),
        }
    }

    /// Appends the answer to `message`; nothing where none is due.
    pub(super) fn respond(&mut self, snapshot: &Snapshot, message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let query = match wire::parse(message, self.turns.next()) {
            Ok(query) => query,
            Err(refusal) => return self.refuse(&refusal, message, out),
        };
        let answer = answer(snapshot, &query);
        let limit_bytes = match self.protocol {
            Protocol::Udp => wire::udp_limit_bytes(&query),
            Protocol::Tcp => wire::MAX_TCP_BYTES,
        };
        let written = wire::write(&query, &answer, limit_bytes, out);
        self.recorder.follow(snapshot);
        self.recorder.record(&Exchange {
            apex: answer.apex_at.map(|at| &query.name.as_wire()[at..]),
            record_type: Some(query.record_type),
            rcode: answer.outcome.rcode(),
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            truncated: written.truncated,
            request_bytes: message.len(),
            response_bytes: out.len() - start,
        });
    }

    /// Notes how long the answers since the last call took together.
    pub(super) fn finish(&mut self, duration: Duration) {
        self.recorder.finish(duration);
    }

    /// What everyone counts into.
    pub(super) fn traffic(&self) -> &Traffic {
        self.recorder.traffic()
    }

    fn refuse(&mut self, refusal: &wire::Refusal<'_>, message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let Some(rcode) = wire::write_refusal(refusal, out) else {
            self.traffic().ignored();
            return;
        };
        self.recorder.record(&Exchange {
            apex: None,
            record_type: None,
            rcode,
            dnssec_ok: false,
            truncated: false,
            request_bytes: message.len(),
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
