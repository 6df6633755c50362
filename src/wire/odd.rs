//! Messages with other records than one OPT: rare, so that hickory-proto may take its time with them.

use hickory_proto::{
    op::Edns as DecodedEdns,
    rr::{Record, RecordType, rdata::opt::EdnsCode},
    serialize::binary::{BinDecodable, BinDecoder},
};

use super::{OPTION_KEEPALIVE, OPTION_NSID, OPTION_PADDING};
use crate::answer::Edns;

/// Why a message whose question is fine can't be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unanswerable {
    /// A record can't be decoded, stands where it must not, or something follows the last one.
    Malformed,
    /// The message is signed with TSIG, and we have no keys.
    Signed {
        /// Where in the message the TSIG record begins; it is the last.
        at: usize,
    },
}

/// Decodes the records from `records_at` on, as many in each section as `counts` says, for what an OPT record says.
///
/// Only one OPT record may be there, in the additional section and owned by the root ([RFC 6891 §6.1.1]); a TSIG record
/// must be the last ([RFC 8945 §5.1]). Others are passed over.
///
/// [RFC 6891 §6.1.1]: https://www.rfc-editor.org/rfc/rfc6891#section-6.1.1
/// [RFC 8945 §5.1]: https://www.rfc-editor.org/rfc/rfc8945#section-5.1
pub(super) fn edns(
    message: &[u8],
    records_at: usize,
    counts: [u16; 3],
) -> Result<Option<Edns>, Unanswerable> {
    let mut decoder = BinDecoder::new(message);
    decoder
        .read_slice(records_at)
        .map_err(|_| Unanswerable::Malformed)?;
    let mut edns = None;
    let mut signature = None;
    for (section, count) in counts.into_iter().enumerate() {
        let is_additional = section == 2;
        for _ in 0..count {
            let at = decoder.index();
            let record = Record::read(&mut decoder).map_err(|_| Unanswerable::Malformed)?;
            if signature.is_some() {
                return Err(Unanswerable::Malformed);
            }
            match record.record_type() {
                RecordType::OPT if is_additional && edns.is_none() && record.name.is_root() => {
                    edns = Some(read_edns(&DecodedEdns::from(&record)));
                }
                RecordType::TSIG if is_additional => signature = Some(at),
                RecordType::OPT | RecordType::TSIG => return Err(Unanswerable::Malformed),
                _ => {}
            }
        }
    }
    if decoder.index() < message.len() {
        return Err(Unanswerable::Malformed);
    }
    match signature {
        Some(at) => Err(Unanswerable::Signed { at }),
        None => Ok(edns),
    }
}

fn read_edns(decoded: &DecodedEdns) -> Edns {
    let has = |option: u16| decoded.option(EdnsCode::from(option)).is_some();
    Edns {
        payload_bytes: decoded.max_payload(),
        version: decoded.version(),
        dnssec_ok: decoded.flags().dnssec_ok,
        nsid: has(OPTION_NSID),
        padding: has(OPTION_PADDING),
        keepalive: has(OPTION_KEEPALIVE),
    }
}
