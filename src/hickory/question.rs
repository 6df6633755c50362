use std::hash::{BuildHasher, RandomState};

use hickory_server::{
    proto::{
        op::Edns as HickoryEdns,
        rr::{
            DNSClass, LowerName, Name as HickoryName, RecordType as HickoryType,
            rdata::opt::EdnsCode,
        },
    },
    server::Request,
};

use crate::{
    answer::{Edns, Query},
    dns::{Class, RecordType},
    zone::Asker,
};

/// A question as hickory has read it, in the form that [`answer`](crate::answer) takes.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    recursion_desired: bool,
    /// Name, type and class; the name neither compressed nor changed in case.
    section: Vec<u8>,
    lower_name: Vec<u8>,
    record_type: RecordType,
    class: Class,
    edns: Option<Edns>,
}

impl Question {
    /// The question of `request`; `None` where it does not have exactly one.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let info = request.request_info().ok()?;
        let original = info.query.original();
        let mut question = Self::new(
            original.name(),
            original.query_type(),
            original.query_class(),
        );
        question.id = request.metadata.id;
        question.recursion_desired = request.metadata.recursion_desired;
        question.edns = request.edns.as_ref().map(read_edns);
        Some(question)
    }

    /// What a catalog asks for by itself, in class IN.
    pub(super) fn about(name: &LowerName, record_type: HickoryType) -> Self {
        Self::new(name, record_type, DNSClass::IN)
    }

    fn new(name: &HickoryName, record_type: HickoryType, class: DNSClass) -> Self {
        let (record_type, class) = (u16::from(record_type), u16::from(class));
        let name = wire(name);
        let section = [&*name, &record_type.to_be_bytes(), &class.to_be_bytes()].concat();
        // A label's length is at most 63 and so never looks like a letter.
        let lower_name = name.to_ascii_lowercase();
        Self {
            id: 0,
            recursion_desired: false,
            section,
            lower_name,
            record_type: RecordType(record_type),
            class: Class(class),
            edns: None,
        }
    }

    /// The query, with a random turn.
    pub(super) fn query(&self) -> Query<'_> {
        Query {
            id: self.id,
            recursion_desired: self.recursion_desired,
            question: &self.section,
            name: &self.lower_name,
            record_type: self.record_type,
            class: self.class,
            edns: self.edns,
            cookie: &[],
            turn: random_turn(),
            asker: &Asker::DIRECT,
        }
    }
}

/// The wire form of a name, not compressed.
pub(super) fn wire(name: &HickoryName) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name {
        wire.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        wire.extend(label);
    }
    wire.push(0);
    wire
}

fn read_edns(edns: &HickoryEdns) -> Edns {
    let has = |code: EdnsCode| edns.option(code).is_some();
    Edns {
        payload_bytes: edns.max_payload(),
        version: edns.version(),
        dnssec_ok: edns.flags().dnssec_ok,
        nsid: has(EdnsCode::NSID),
        padding: has(EdnsCode::Padding),
        keepalive: has(EdnsCode::Keepalive),
        client_subnet: has(EdnsCode::Subnet),
    }
}

/// Chooses the record that comes first. The standard library's keys differ in each call.
fn random_turn() -> u32 {
    let hash = RandomState::new().hash_one(());
    u32::try_from(hash >> 32).expect("32 bits are left")
}
