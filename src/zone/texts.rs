//! What annotations have a host answer, held as a message has it: TXT records, the config of gRPC, HTTPS records.

use super::encode::push_record;
use crate::dns::{RecordType, Ttl};

/// The port that an HTTPS record at the host's own name is for
/// ([RFC 9460 §9.1](https://www.rfc-editor.org/rfc/rfc9460#section-9.1)).
pub(super) const HTTPS_PORT: u16 = 443;

/// What a host answers that annotations ask for.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Texts {
    /// The TXT records of the host.
    pub(super) own: Records,
    /// The TXT record of `_grpc_config` below it (gRFC A2).
    pub(super) grpc_config: Records,
    /// The HTTPS records of its ports.
    pub(super) https: Box<[(u16, Records)]>,
}

/// Records as a message has them, each owned by the question's name.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Records {
    pub(super) bytes: Box<[u8]>,
    pub(super) count: usize,
}

impl Texts {
    /// The HTTPS records at the host's own name.
    pub(super) fn https(&self) -> Option<&Records> {
        self.https_of(HTTPS_PORT)
    }

    /// The HTTPS records for another port, which stand at a name below the host.
    pub(super) fn https_below(&self, port: u16) -> Option<&Records> {
        self.https_of(port).filter(|_| port != HTTPS_PORT)
    }

    fn https_of(&self, port: u16) -> Option<&Records> {
        let mut https = self.https.iter();
        https
            .find(|(number, _)| *number == port)
            .map(|(_, records)| records)
    }

    /// Whether there are HTTPS records at names below the host.
    pub(super) fn has_https_below(&self) -> bool {
        self.https.iter().any(|(number, _)| *number != HTTPS_PORT)
    }
}

impl Records {
    pub(super) fn of(
        record_type: RecordType,
        ttl: Ttl,
        data: impl Iterator<Item = Vec<u8>>,
    ) -> Self {
        let (mut bytes, mut count) = (Vec::new(), 0);
        for rdata in data {
            push_record(&mut bytes, record_type, ttl, &rdata);
            count += 1;
        }
        Self {
            bytes: bytes.into(),
            count,
        }
    }
}
