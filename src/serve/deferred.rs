use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use super::{ServedAddress, Shared, amend::amend, responder::Terms};
use crate::{
    answer::answer,
    forward::DeferredQuery,
    metrics::{Exchange, Recorder},
    wire::{self, NameBuffer, TransportOptions},
    zone::Snapshot,
};

/// Makes the answers that wait for an upstream, so that the worker that read the query goes on.
#[derive(Debug)]
pub(super) struct Deferred {
    runtime: Handle,
    transport_options: TransportOptions,
    recorder: Mutex<Recorder>,
    snapshots: Arc<ArcSwap<Snapshot>>,
}

impl Deferred {
    /// For the queries at one address; they wait on the tokio runtime that this is called from.
    pub(super) fn of(shared: &Shared, served: ServedAddress) -> Arc<Self> {
        Arc::new(Self {
            runtime: Handle::current(),
            transport_options: served.transport_options,
            snapshots: shared.snapshots.clone(),
            recorder: Mutex::new(shared.traffic.recorder(served.address, served.protocol)),
        })
    }

    /// The runtime to wait on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The answer to the query in `message`, which was deferred, on these `terms`.
    pub(super) async fn answer(
        &self,
        message: &[u8],
        deferred: DeferredQuery,
        terms: Terms,
    ) -> Vec<u8> {
        let start = Instant::now();
        let mut out = Vec::new();
        let mut name = NameBuffer::default();
        let Ok(mut query) = wire::parse(message, terms.turn, &mut name) else {
            return out;
        };
        query.asker = &terms.asker;
        let limit_bytes = terms.limit_bytes;
        let passed = deferred
            .answer(&query, message, limit_bytes, &mut out)
            .await;
        let snapshot = self.snapshots.load();
        let own = answer(snapshot.seen_by(terms.asker), &query);
        let passed = amend(&query, &own, passed, limit_bytes, 0, &mut out);
        wire::set_recursion_available(&mut out);
        let mut opt_bytes = passed.opt_bytes;
        if let Some(cookie) = &terms.cookie {
            opt_bytes = wire::add_cookie(cookie, opt_bytes, &mut out);
        }
        if let Some(edns) = query.edns {
            let options = self.transport_options;
            wire::add_transport_options(edns, options, 0, opt_bytes, &mut out);
        }
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        recorder.record(&Exchange {
            apex: Some(&[0]),
            record_type: Some(query.record_type),
            rcode: passed.rcode,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            truncated: passed.truncated,
            request_bytes: message.len(),
            response_bytes: out.len(),
        });
        recorder.finish(start.elapsed());
        out
    }

    /// Counts an answer that the operating system did not take.
    pub(super) fn count_unsent(&self) {
        let recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        recorder.traffic().count_unsent(1);
    }
}
