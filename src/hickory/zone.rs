use std::sync::Arc;

use arc_swap::ArcSwap;
#[cfg(feature = "hickory-dnssec")]
use hickory_server::{dnssec::NxProofKind, zone_handler::Nsec3QueryInfo};
use hickory_server::{
    proto::{
        op::ResponseCode,
        rr::{LowerName, Name as HickoryName, RecordType as HickoryType, TSigResponseContext},
        serialize::binary::{BinDecodable, BinDecoder},
    },
    server::{Request, RequestInfo},
    zone_handler::{
        AuthLookup, AxfrPolicy, Catalog, LookupControlFlow, LookupError, LookupOptions,
        LookupRecords, ZoneHandler, ZoneTransfer, ZoneType,
    },
};

use super::{question::Question, records::Sections};
use crate::{
    answer::{Outcome, answer},
    dns::Name,
    zone::Snapshot,
};

/// One declared zone of the mesh, for a [`Catalog`] that has other zones beside it.
///
/// Hosts outside of declared zones are zones of their own, which come and go: no catalog can hold those, and
/// [`MeshHandler`](super::MeshHandler) answers them. A zone that is declared no longer is refused.
#[derive(Debug)]
pub struct MeshZone {
    snapshots: Arc<ArcSwap<Snapshot>>,
    apex: Name,
    origin: LowerName,
    is_in_chain: bool,
}

impl MeshZone {
    /// The zone `apex` in the newest of `snapshots`. A name that the mesh leaves to others is refused.
    pub fn new(snapshots: Arc<ArcSwap<Snapshot>>, apex: Name) -> Self {
        let mut decoder = BinDecoder::new(apex.as_wire());
        let origin = HickoryName::read(&mut decoder).expect("a name in wire form");
        Self {
            snapshots,
            origin: LowerName::new(&origin),
            apex,
            is_in_chain: false,
        }
    }

    /// The same, with other handlers behind it in the catalog's list for this zone: a name that the mesh leaves to others
    /// is theirs.
    #[must_use]
    pub fn in_chain(self) -> Self {
        Self {
            is_in_chain: true,
            ..self
        }
    }

    /// Puts every zone that is declared at present into `catalog`, each alone.
    pub fn mount_all(snapshots: &Arc<ArcSwap<Snapshot>>, catalog: &mut Catalog) {
        for apex in &snapshots.load().settings().zones {
            let zone = Self::new(snapshots.clone(), apex.clone());
            catalog.upsert(zone.origin.clone(), vec![Arc::new(zone)]);
        }
    }

    fn look_up(&self, question: &Question) -> LookupControlFlow<AuthLookup> {
        let snapshot = self.snapshots.load();
        let query = question.query();
        let answer = answer(&snapshot, &query);
        if matches!(answer.outcome, Outcome::NotReady) {
            return self.not_ready();
        }
        let is_in_zone = answer
            .apex_at
            .is_some_and(|at| query.name[at..] == *self.apex.as_wire());
        if !is_in_zone {
            return self.not_ours(&answer.outcome);
        }
        LookupControlFlow::Continue(match answer.outcome {
            Outcome::NoName(_) => Err(ResponseCode::NXDomain.into()),
            Outcome::NoData(_) => Err(LookupError::NameExists),
            _ => {
                let records = Sections::of(&query, &answer).answers;
                Ok(LookupRecords::Section(records).into())
            }
        })
    }

    /// A catalog says SERVFAIL where all handlers pass, and makes "no data" of an error that says so. In a chain, the next
    /// handler must not deny a name that the mesh may have.
    fn not_ready(&self) -> LookupControlFlow<AuthLookup> {
        if self.is_in_chain {
            refused()
        } else {
            LookupControlFlow::Skip
        }
    }

    fn not_ours(&self, outcome: &Outcome<'_>) -> LookupControlFlow<AuthLookup> {
        if self.is_in_chain && matches!(outcome, Outcome::NotOurs) {
            LookupControlFlow::Skip
        } else {
            refused()
        }
    }
}

fn refused() -> LookupControlFlow<AuthLookup> {
    LookupControlFlow::Continue(Err(ResponseCode::Refused.into()))
}

#[async_trait::async_trait]
impl ZoneHandler for MeshZone {
    fn zone_type(&self) -> ZoneType {
        ZoneType::Primary
    }

    fn axfr_policy(&self) -> AxfrPolicy {
        AxfrPolicy::Deny
    }

    fn origin(&self) -> &LowerName {
        &self.origin
    }

    async fn lookup(
        &self,
        name: &LowerName,
        record_type: HickoryType,
        _request_info: Option<&RequestInfo<'_>>,
        _options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        self.look_up(&Question::about(name, record_type))
    }

    async fn search(
        &self,
        request: &Request,
        _options: LookupOptions,
    ) -> (LookupControlFlow<AuthLookup>, Option<TSigResponseContext>) {
        let found = Question::of(request).map_or_else(refused, |question| self.look_up(&question));
        (found, None)
    }

    /// None: the zone is not signed.
    async fn nsec_records(
        &self,
        _name: &LowerName,
        _options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        LookupControlFlow::Continue(Ok(AuthLookup::Empty))
    }

    /// None: the zone is not signed.
    #[cfg(feature = "hickory-dnssec")]
    async fn nsec3_records(
        &self,
        _info: Nsec3QueryInfo<'_>,
        _options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        LookupControlFlow::Continue(Ok(AuthLookup::Empty))
    }

    /// Refuses: without this, a catalog answers with a message that has no records.
    async fn zone_transfer(
        &self,
        _request: &Request,
        _options: LookupOptions,
        _now_seconds: u64,
    ) -> Option<(
        Result<ZoneTransfer, LookupError>,
        Option<TSigResponseContext>,
    )> {
        Some((Err(ResponseCode::Refused.into()), None))
    }

    #[cfg(feature = "hickory-dnssec")]
    fn nx_proof_kind(&self) -> Option<&NxProofKind> {
        None
    }

    #[cfg(feature = "hickory-metrics")]
    fn metrics_label(&self) -> &'static str {
        "meshdns"
    }
}
