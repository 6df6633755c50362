use super::Query;
use crate::{dns::RecordType, zone::Identity};

/// What the server says about itself ([RFC 4892](https://www.rfc-editor.org/rfc/rfc4892)); `None` where it is told not to,
/// or for another name or type.
pub(super) fn text<'s>(identity: &'s Identity, query: &Query<'_>) -> Option<&'s str> {
    if query.record_type != RecordType::TXT {
        return None;
    }
    match query.name {
        b"\x07version\x04bind\0" | b"\x07version\x06server\0" => identity.version.as_deref(),
        b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => identity.server_id.as_deref(),
        _ => None,
    }
}
