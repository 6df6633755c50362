use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_server::{
    net::runtime::Time,
    proto::{
        op::{MessageType, OpCode},
        rr::{RData, Record, rdata::TSIG},
    },
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::Catalog,
};

use super::{
    question::Question,
    reply::{Reply, nothing_sent},
};
use crate::{
    answer::{Answer, Outcome, Query, answer},
    dns::{Class, Rcode, RecordType},
    zone::Snapshot,
};

/// Answers from the newest snapshot, over whatever listener hickory has: the same answers as
/// [`serve`](crate::serve) gives, host by host also where no zone is declared.
///
/// Another handler, `N`, may answer what is not the mesh's. Nothing here waits or takes a lock.
#[derive(Debug)]
pub struct MeshHandler<N = Catalog> {
    snapshots: Arc<ArcSwap<Snapshot>>,
    next: Option<N>,
}

/// What becomes of a request.
enum Decision {
    Answer(Reply),
    /// It is no business of the mesh.
    PassOn,
    /// It is a response: an answer could start a loop.
    Ignore,
}

impl MeshHandler {
    /// Answers from the newest of `snapshots`, and refuses what is not the mesh's.
    pub fn new(snapshots: Arc<ArcSwap<Snapshot>>) -> Self {
        Self {
            snapshots,
            next: None,
        }
    }
}

impl<N: RequestHandler> MeshHandler<N> {
    /// Answers from the newest of `snapshots`, and hands to `next` all questions for names that are in no zone of the mesh
    /// or that it leaves to others, and all requests that are no questions (such as updates). A name that exists for the
    /// mesh stays the mesh's for all types.
    ///
    /// Before the first load it is not known which names those are: until then `next` gets no question, and questions get
    /// SERVFAIL.
    pub fn before(snapshots: Arc<ArcSwap<Snapshot>>, next: N) -> Self {
        Self {
            snapshots,
            next: Some(next),
        }
    }

    fn decide(&self, request: &Request) -> Decision {
        if request.metadata.message_type == MessageType::Response {
            return Decision::Ignore;
        }
        let question = match request.metadata.op_code {
            OpCode::Query => Question::of(request).ok_or(Rcode::FormErr),
            _ => Err(Rcode::NotImp),
        };
        let question = match question {
            Ok(question) => question,
            Err(_) if self.next.is_some() => return Decision::PassOn,
            Err(rcode) => return Decision::Answer(Reply::error(request, rcode)),
        };
        let snapshot = self.snapshots.load();
        let asker = snapshot.asker(request.src().ip());
        let snapshot = snapshot.seen_by(asker);
        let query = Query {
            asker: &asker,
            ..question.query()
        };
        let answer = answer(snapshot, &query);
        if self.next.is_some() && !is_of_the_mesh(snapshot, &query, &answer) {
            return Decision::PassOn;
        }
        Decision::Answer(match signature(request) {
            Some(signature) => Reply::unknown_key(request, signature),
            None => Reply::new(request, &query, &answer),
        })
    }
}

/// Whether the mesh has the last word on the question.
fn is_of_the_mesh(snapshot: &Snapshot, query: &Query<'_>, answered: &Answer<'_>) -> bool {
    // Where the name exists for the mesh, `next` could deny it, and caches would keep that for its addresses too.
    let is_left = |answer: &Answer<'_>| {
        let others = answer.others.is_some_and(|others| !others.name_exists);
        others || matches!(answer.outcome, Outcome::NotOurs)
    };
    match answered.outcome {
        _ if is_left(answered) => false,
        // These say nothing of the name.
        Outcome::OtherClass | Outcome::Transfer | Outcome::MetaType | Outcome::MailType => {
            let address_query = Query {
                record_type: RecordType::A,
                class: Class::IN,
                ..*query
            };
            !is_left(&answer(snapshot, &address_query))
        }
        _ => true,
    }
}

/// Without its feature `dnssec`, hickory leaves a signature among the other records.
fn signature(request: &Request) -> Option<Record<TSIG>> {
    let among_others = || {
        let last = request.additionals.last()?;
        let RData::TSIG(data) = &last.data else {
            return None;
        };
        let mut record = Record::from_rdata(last.name.clone(), last.ttl, data.clone());
        record.dns_class = last.dns_class;
        Some(record)
    };
    request.signature.as_deref().cloned().or_else(among_others)
}

#[async_trait::async_trait]
impl<N: RequestHandler> RequestHandler for MeshHandler<N> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response_handle: R,
    ) -> ResponseInfo {
        match (self.decide(request), &self.next) {
            (Decision::Answer(reply), _) => reply.send(request, response_handle).await,
            (Decision::PassOn, Some(next)) => {
                next.handle_request::<R, T>(request, response_handle).await
            }
            (Decision::PassOn | Decision::Ignore, _) => nothing_sent(request.metadata),
        }
    }
}
