use super::{
    MAX_TCP_BYTES, OPTION_KEEPALIVE, OPTION_PADDING,
    write::{OPTION_HEADER_LEN, push_option},
};
use crate::answer::Edns;

/// Padded answers have a multiple of this length, in bytes ([RFC 8467 §4.1]).
///
/// [RFC 8467 §4.1]: https://www.rfc-editor.org/rfc/rfc8467#section-4.1
const PADDING_BLOCK: usize = 468;

/// The length of the time in the option that tells how long a connection is kept.
const KEEPALIVE_LEN: usize = 2;

/// What answers say that depends on the transport to the client, and on nothing else.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TransportOptions {
    /// How long an idle connection is kept, in tenths of a second, for those who ask; `None` where nothing is said.
    pub keepalive_tenths: Option<u16>,
    /// Whether nobody but the client can read the answer. Then a padded query gets a padded answer.
    pub is_private: bool,
}

/// Adds options to the message in `out` that begins at `start` and ends with an OPT record of `opt_bytes`. `edns` is what
/// the query says.
///
/// The time that a connection is kept ([RFC 7828]) comes first and the padding ([RFC 7830], [RFC 8467]) last, so that the
/// padding counts everything. An option is left out where it does not fit a message over TCP, whose last block is shorter.
///
/// [RFC 7828]: https://www.rfc-editor.org/rfc/rfc7828
/// [RFC 7830]: https://www.rfc-editor.org/rfc/rfc7830
/// [RFC 8467]: https://www.rfc-editor.org/rfc/rfc8467
pub fn add_transport_options(
    edns: Edns,
    transport_options: TransportOptions,
    start: usize,
    opt_bytes: usize,
    out: &mut Vec<u8>,
) {
    let pads = edns.padding && transport_options.is_private;
    let keepalive = transport_options
        .keepalive_tenths
        .filter(|_| edns.keepalive);
    if opt_bytes == 0 || !pads && keepalive.is_none() {
        return;
    }
    let opt_at = out.len() - opt_bytes;
    let room = |out: &Vec<u8>| {
        let used = out.len() - start + OPTION_HEADER_LEN;
        MAX_TCP_BYTES.checked_sub(used)
    };
    if let Some(tenths) = keepalive
        && room(out) >= Some(KEEPALIVE_LEN)
    {
        push_option(out, OPTION_KEEPALIVE, &tenths.to_be_bytes());
    }
    if let Some(most) = room(out)
        && pads
    {
        let unpadded = MAX_TCP_BYTES - most;
        let block = unpadded.next_multiple_of(PADDING_BLOCK) - unpadded;
        push_option(out, OPTION_PADDING, &vec![0; block.min(most)]);
    }
    let options_len = out.len() - opt_at - super::write::OPT_FIXED_LEN;
    let options_len = u16::try_from(options_len).expect("the message has at most 65,535 bytes");
    let length_at = opt_at + super::write::OPT_FIXED_LEN - 2;
    out[length_at..length_at + 2].copy_from_slice(&options_len.to_be_bytes());
}
