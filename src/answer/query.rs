use crate::dns::{Class, MAX_NAME_LEN, RecordType};

/// One question to an authoritative server, and what its sender can take.
///
/// The question is borrowed from the message; nothing here is on the heap.
#[derive(Clone, Copy, Debug)]
pub struct Query<'m> {
    /// Chosen by the client, returned with the answer; 0 over HTTPS and QUIC.
    pub id: u16,
    /// RD: the client wishes recursion. Returned as it came.
    pub recursion_desired: bool,
    /// The question section as it came: name, type and class, the name neither compressed nor changed in case.
    pub question: &'m [u8],
    /// The question's name, as snapshots are looked up.
    pub name: AskedName,
    /// The type asked for, meta types included.
    pub record_type: RecordType,
    /// The class asked for.
    pub class: Class,
    /// What the OPT record says; `None` without one ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891)).
    pub edns: Option<Edns>,
    /// Chooses the record that comes first. Evenly random over `0..=u32::MAX` and not derived from the message: ids are 0
    /// over HTTPS and QUIC, and a plain counter keeps step with clients that ask A and AAAA by turns.
    pub turn: u32,
}

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Edns {
    /// The largest UDP message that the client takes, as it says: bounds are the writer's.
    pub payload_bytes: u16,
    /// The version of EDNS that the client speaks; there is only 0.
    pub version: u8,
    /// DO: the client wishes DNSSEC records. Returned as it came.
    pub dnssec_ok: bool,
    /// Whether the client asks for the name server's identifier ([RFC 5001](https://www.rfc-editor.org/rfc/rfc5001)).
    pub nsid: bool,
}

/// A name of a question in lower-case wire form, held inline.
#[derive(Clone, Copy)]
pub struct AskedName {
    wire: [u8; MAX_NAME_LEN],
    length: u8,
}

impl AskedName {
    /// Lowers the case of a whole name in wire form.
    ///
    /// # Panics
    ///
    /// Where `wire` is empty or longer than [`MAX_NAME_LEN`].
    pub fn from_wire(wire: &[u8]) -> Self {
        let mut lower = [0; MAX_NAME_LEN];
        let target = &mut lower[..wire.len()];
        target.copy_from_slice(wire);
        // A label's length is at most 63 and so never looks like a letter.
        target.make_ascii_lowercase();
        let length = u8::try_from(wire.len()).expect("a name has at most 255 bytes");
        assert!(length > 0, "a name has at least the root's label");
        Self {
            wire: lower,
            length,
        }
    }

    /// The lower-case wire form, the root's zero byte included.
    pub fn as_wire(&self) -> &[u8] {
        &self.wire[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for AskedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::dns::Name::from_lowercase_wire(self.as_wire()).fmt(f)
    }
}
