//! Messages with other records than one OPT: rare, so that hickory-proto may take its time with them.

use hickory_proto::{
    rr::{Record, RecordType},
    serialize::binary::{BinDecodable, BinDecoder},
};

use super::opt::{OPT_START, Opt, opt};

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

/// Decodes the records from `records_at` on, as many in each section as `counts` says, and reads the OPT record among them.
///
/// Only one OPT record may be there, in the additional section and owned by the root ([RFC 6891 §6.1.1]); a TSIG record
/// must be the last ([RFC 8945 §5.1]). Others are passed over.
///
/// [RFC 6891 §6.1.1]: https://www.rfc-editor.org/rfc/rfc6891#section-6.1.1
/// [RFC 8945 §5.1]: https://www.rfc-editor.org/rfc/rfc8945#section-5.1
pub(super) fn opt_record(
    message: &[u8],
    records_at: usize,
    counts: [u16; 3],
) -> Result<Option<Opt<'_>>, Unanswerable> {
    let mut decoder = BinDecoder::new(message);
    decoder
        .read_slice(records_at)
        .map_err(|_| Unanswerable::Malformed)?;
    let mut found = None;
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
                RecordType::OPT if is_additional && found.is_none() && record.name.is_root() => {
                    let bytes = &message[at..decoder.index()];
                    // The root is one byte: nobody points to it.
                    let read = bytes.starts_with(OPT_START).then(|| opt(bytes)).flatten();
                    found = Some(read.ok_or(Unanswerable::Malformed)?);
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
        None => Ok(found),
    }
}
