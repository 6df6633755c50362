//! The RFCs' vocabulary: names, types, TTLs and serials as types that can't hold a wrong value.
//!
//! Knows nothing of Istio, of files or of message layout.

mod name;
mod record_type;
mod serial;
mod ttl;

pub use name::{MAX_NAME_LEN, Name, NameError};
pub use record_type::{Class, Rcode, RecordType};
pub use serial::Serial;
pub use ttl::{Ttl, TtlOutOfRange};
