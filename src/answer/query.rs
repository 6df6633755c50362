use crate::{
    dns::{Class, Name, RecordType},
    zone::Asker,
};

/// One question to an authoritative server, and what its sender can take.
///
/// Borrowed from the message and a buffer for the name; nothing here is on the heap.
#[derive(Clone, Copy, Debug)]
pub struct Query<'m> {
    /// Chosen by the client, returned with the answer; 0 over HTTPS and QUIC.
    pub id: u16,
    /// RD: the client wishes recursion. Returned as it came.
    pub recursion_desired: bool,
    /// The question section as it came: name, type and class, the name neither compressed nor changed in case.
    pub question: &'m [u8],
    /// The question's name in lower-case wire form, the root's zero byte included: as snapshots are looked up.
    pub name: &'m [u8],
    /// The type asked for, meta types included.
    pub record_type: RecordType,
    /// The class asked for.
    pub class: Class,
    /// What the OPT record says; `None` without one ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891)).
    pub edns: Option<Edns>,
    /// The client's cookie, and behind its 8 bytes what the client takes for the server's; empty where it sends none
    /// ([RFC 7873](https://www.rfc-editor.org/rfc/rfc7873)).
    pub cookie: &'m [u8],
    /// Chooses the record that comes first. Evenly random over `0..=u32::MAX` and not derived from the message: ids are 0
    /// over HTTPS and QUIC, and a plain counter keeps step with clients that ask A and AAAA by turns.
    pub turn: u32,
    /// Who asks: hosts whose addresses have parts of their own answer forwarders otherwise. Who does not know it asks for a
    /// client, and again where [`Answer::depends_on_asker`](super::Answer::depends_on_asker) says that it matters.
    pub asker: &'m Asker,
}

impl<'m> Query<'m> {
    /// The question of somebody in this process, who needs its answer and no message: without id and EDNS, in class IN. With
    /// turn 0 the addresses stand in their order.
    pub fn of(name: &'m Name, record_type: RecordType) -> Self {
        Self {
            id: 0,
            recursion_desired: false,
            question: &[],
            name: name.as_wire(),
            record_type,
            class: Class::IN,
            edns: None,
            cookie: &[],
            turn: 0,
            asker: &Asker::DIRECT,
        }
    }
}

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag or an option of its own"
)]
pub struct Edns {
    /// The largest UDP message that the client takes, as it says: bounds are the writer's.
    pub payload_bytes: u16,
    /// The version of EDNS that the client speaks; there is only 0.
    pub version: u8,
    /// DO: the client wishes DNSSEC records. Returned as it came.
    pub dnssec_ok: bool,
    /// Whether the client asks for the name server's identifier ([RFC 5001](https://www.rfc-editor.org/rfc/rfc5001)).
    pub nsid: bool,
    /// Whether the query is padded, so that its length does not tell what it asks
    /// ([RFC 7830](https://www.rfc-editor.org/rfc/rfc7830)).
    pub padding: bool,
    /// Whether the client asks how long a connection is kept ([RFC 7828](https://www.rfc-editor.org/rfc/rfc7828)).
    pub keepalive: bool,
    /// Whether the query says for whom it is asked ([RFC 7871](https://www.rfc-editor.org/rfc/rfc7871)).
    pub client_subnet: bool,
}
