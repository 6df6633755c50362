//! Bytes: reads queries and writes answers, for every transport.
//!
//! [`parse()`] reads a message into a [`Query`](crate::answer::Query) or says how to refuse it; [`write()`] and
//! [`write_refusal`] append a message to a buffer. For names that others answer, [`write_question`] asks an upstream server,
//! [`read_reply`] and [`read_whole_reply`] check its reply and write the records anew, [`relay`] passes them on, and
//! [`find_addresses`] and [`aliases()`] look into them. [`write_aliased`] completes a reply that leads to a name of ours,
//! [`write_local`] answers what nobody is asked, and [`clear_rcode`] makes a name exist that the mesh knows.
//! [`add_cookie`] adds a server's cookie, [`write_cookie`] sends one alone, and [`add_transport_options`] what depends on the transport alone. Owns the layout of messages ([RFC 1035 §4]), EDNS
//! ([RFC 6891]), what makes a message malformed, compression and truncation.
//!
//! The reader takes what resolvers and stubs send without allocating; messages with other records than one OPT go through
//! hickory-proto, whose types never leave this module. Never looks a name up and never sends anything.
//!
//! [RFC 1035 §4]: https://www.rfc-editor.org/rfc/rfc1035#section-4
//! [RFC 6891]: https://www.rfc-editor.org/rfc/rfc6891

mod addresses;
mod aliased;
mod aliases;
mod amend;
mod composed;
mod cookie;
mod freshness;
mod local;
mod name;
mod odd;
mod opt;
mod parse;
mod record;
mod refusal;
mod relay;
mod reply;
mod services;
mod subnet;
#[cfg(test)]
mod tests;
mod transport_options;
mod upstream;
mod write;

pub use addresses::{FoundAddresses, find_addresses};
pub use aliased::write_aliased;
pub use aliases::{Alias, MOST_ALIASES, aliases, behind_aliases};
pub use amend::{answers_nothing, answers_with_alias, clear_rcode};
pub use cookie::{
    CLIENT_COOKIE_LEN, COOKIE_LEN, COOKIE_OPTION_LEN, Cookie, CookieQuery, add_cookie, write_cookie,
};
pub use freshness::freshness_seconds;
pub use local::{Local, local_reply, write_local};
pub use parse::{NameBuffer, parse};
pub use refusal::{Refusal, write_refusal};
pub use relay::{Age, Relayed, relay, set_recursion_available};
pub use reply::write;
pub use subnet::{ClientSubnet, add_client_subnet};
pub use transport_options::{TransportOptions, add_transport_options};
pub use upstream::{
    Content, MARK_LEN, NotTheReply, UpstreamQuestion, UpstreamReply, checking_disabled, marks,
    read_reply, read_whole_reply, write_question,
};
pub use write::{Written, udp_limit_bytes, write_cut};

/// The length of a message's header.
pub const HEADER_LEN: usize = 12;

/// The largest UDP message that we send, and the size that we advertise: passes every link without fragments
/// ([RFC 9715](https://www.rfc-editor.org/rfc/rfc9715)).
pub const MAX_UDP_BYTES: usize = 1232;

/// The largest message over TCP, whose length has 16 bits.
pub const MAX_TCP_BYTES: usize = 65_535;

/// QR: the message is a response.
const QR: u16 = 0x8000;
/// The four bits of the kind of query; zero is QUERY.
const OPCODE: u16 = 0x7800;
/// AA: the answer comes from whom the zone belongs to.
const AA: u16 = 0x0400;
/// TC: the answer did not fit.
const TC: u16 = 0x0200;
/// RD: recursion desired.
const RD: u16 = 0x0100;

/// RA: the server looks up what it does not hold.
const RA: u16 = 0x0080;
/// AD: the data is authentic; in a query, the client understands that.
const AD: u16 = 0x0020;
/// CD: the client validates, and nobody else is to.
const CD: u16 = 0x0010;

/// Where in the OPT record's TTL field the DO bit is.
const DNSSEC_OK: u16 = 0x8000;

/// EDNS option codes.
const OPTION_NSID: u16 = 3;
const OPTION_CLIENT_SUBNET: u16 = 8;
const OPTION_COOKIE: u16 = 10;
const OPTION_KEEPALIVE: u16 = 11;
const OPTION_PADDING: u16 = 12;
const OPTION_EXTENDED_ERROR: u16 = 15;
