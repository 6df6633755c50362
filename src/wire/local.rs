use super::{
    HEADER_LEN, MAX_TCP_BYTES, UpstreamQuestion, UpstreamReply, Written,
    composed::{Composed, QUESTION_NAME, behind},
    read_reply,
};
use crate::{
    answer::Query,
    dns::{Class, Rcode, RecordType},
    zone::Asker,
};

/// How long answers that never change may be kept, in seconds: three hours, the most that negative ones are kept
/// ([RFC 2308 §5](https://www.rfc-editor.org/rfc/rfc2308#section-5)).
const TTL_SECONDS: u32 = 10_800;

/// What is answered for a name that nobody is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Local<'a> {
    /// A record of the asked type, with these data.
    Data(&'a [u8]),
    /// The name has no such record.
    NoData,
    /// There is no such name.
    NoName,
}

impl Local<'_> {
    /// The response code.
    pub fn rcode(self) -> Rcode {
        match self {
            Self::NoName => Rcode::NxDomain,
            Self::Data(_) | Self::NoData => Rcode::NoError,
        }
    }
}

/// Appends the answer `local` to `query`, which stands in `message`. `apex_at` is where in its name that of the zone begins
/// that is served here alone; its SOA says who answers, and for how long ([RFC 6303 §3]).
///
/// [RFC 6303 §3]: https://www.rfc-editor.org/rfc/rfc6303#section-3
pub fn write_local(
    query: &Query<'_>,
    message: &[u8],
    local: Local<'_>,
    apex_at: usize,
    limit_bytes: usize,
    out: &mut Vec<u8>,
) -> Written {
    let mut composed = Composed::new(query, out);
    if let Local::Data(data) = local {
        composed.answer(QUESTION_NAME, query.record_type, TTL_SECONDS, data);
    } else {
        composed.soa(&behind(QUESTION_NAME, apex_at).to_be_bytes(), &soa());
    }
    composed.finish(query, message, local.rcode(), true, None, limit_bytes)
}

/// The same as an upstream's reply to `question`.
pub fn local_reply(
    question: &UpstreamQuestion<'_>,
    local: Local<'_>,
    apex_at: usize,
) -> UpstreamReply {
    let mut asked = question.name.to_vec();
    asked.extend(question.record_type.0.to_be_bytes());
    asked.extend(Class::IN.0.to_be_bytes());
    let query = Query {
        id: question.id,
        recursion_desired: false,
        question: &asked,
        name: question.name,
        record_type: question.record_type,
        class: Class::IN,
        edns: None,
        cookie: &[],
        turn: 0,
        asker: &Asker::DIRECT,
    };
    let mut message = Vec::new();
    write_local(
        &query,
        &[0; HEADER_LEN],
        local,
        apex_at,
        MAX_TCP_BYTES,
        &mut message,
    );
    read_reply(&message, question).expect("what is written here can be read")
}

/// The SOA record of such a zone behind its owner name: `. . 1 3600 1200 604800 10800`, as RFC 6303 §3 has it but for the
/// name server, which nobody is to ask.
fn soa() -> Vec<u8> {
    let mut data = vec![0, 0];
    for number in [1, 3600, 1200, 604_800, TTL_SECONDS] {
        data.extend(number.to_be_bytes());
    }
    let mut soa = Vec::new();
    soa.extend(RecordType::SOA.0.to_be_bytes());
    soa.extend(Class::IN.0.to_be_bytes());
    soa.extend(TTL_SECONDS.to_be_bytes());
    soa.extend(
        u16::try_from(data.len())
            .expect("five numbers")
            .to_be_bytes(),
    );
    soa.extend(data);
    soa
}
