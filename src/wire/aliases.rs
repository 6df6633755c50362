//! Aliases in upstreams' replies: where they lead, and the answer to a question that they lead to others.

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query as DecodedQuery, ResponseCode},
    rr::{Name as DecodedName, RData, Record, RecordType as DecodedType},
    serialize::binary::{BinDecodable, BinDecoder},
};

use super::{
    HEADER_LEN, UpstreamQuestion, UpstreamReply, read_reply, record::Record as WireRecord,
};
use crate::dns::{Class, Name, RecordType};

/// More aliases in a row than this lead nowhere.
pub const MOST_ALIASES: usize = 16;

/// What a name is an alias of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alias {
    /// The other name.
    pub target: Name,
    /// For how many seconds that may be kept.
    pub ttl_seconds: u32,
}

/// The aliases between `name`, which was asked for, and what `reply` says, in order: at most [`MOST_ALIASES`], and none
/// behind the first that was there before. `None` where a name can't be read.
pub fn aliases(reply: &UpstreamReply, name: &Name, record_type: RecordType) -> Option<Vec<Alias>> {
    let (message, records_at) = message(reply, name, record_type);
    let [answers, ..] = reply.extents[0].counts;
    let (mut links, mut at) = (Vec::new(), records_at);
    for _ in 0..answers {
        let record = WireRecord::read(&message, at)?;
        if record.kind == RecordType::CNAME {
            links.push(Link {
                owner: name_at(&message, record.owner_at)?,
                target: name_at(&message, record.data_at())?,
                ttl_seconds: record.ttl,
            });
        }
        at = record.end;
    }
    Some(follow(&links, name))
}

/// What `reply` to a question for the last of `aliases` says to a `question` whose name they begin at; `None` where it can't
/// be read or would not fit a message.
pub fn behind_aliases(
    question: &UpstreamQuestion<'_>,
    aliases: &[Alias],
    reply: &UpstreamReply,
) -> Option<UpstreamReply> {
    let last = &aliases.last()?.target;
    let [answers, authorities] = sections(reply, last, question.record_type)?;
    let mut owner = decoded(question.name)?;
    let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
    message.metadata.response_code = ResponseCode::from(0, u8::try_from(reply.rcode).ok()?);
    message.metadata.truncation = reply.truncated;
    let asked_type = DecodedType::from(question.record_type.0);
    message.add_query(DecodedQuery::query(owner.clone(), asked_type));
    for alias in aliases {
        let target = decoded(alias.target.as_wire())?;
        let data = RData::CNAME(hickory_proto::rr::rdata::CNAME(target.clone()));
        message.add_answer(Record::from_rdata(owner, alias.ttl_seconds, data));
        owner = target;
    }
    message.add_answers(answers);
    message.add_authorities(authorities);
    read_reply(&message.to_vec().ok()?, question).ok()
}

/// An alias and whose it is.
struct Link {
    owner: Name,
    target: Name,
    ttl_seconds: u32,
}

/// The aliases from `name` on.
fn follow(links: &[Link], name: &Name) -> Vec<Alias> {
    let mut found: Vec<Alias> = Vec::new();
    while found.len() < MOST_ALIASES {
        let owner = found.last().map_or(name, |alias| &alias.target);
        let Some(link) = links.iter().find(|link| link.owner == *owner) else {
            break;
        };
        let target = link.target.clone();
        let was_there = target == *name || found.iter().any(|alias| alias.target == target);
        found.push(Alias {
            target,
            ttl_seconds: link.ttl_seconds,
        });
        if was_there {
            break;
        }
    }
    found
}

/// The records of the answer and the authority section; `None` where one can't be read.
pub(super) fn sections(
    reply: &UpstreamReply,
    name: &Name,
    record_type: RecordType,
) -> Option<[Vec<Record>; 2]> {
    let (message, records_at) = message(reply, name, record_type);
    let mut decoder = BinDecoder::new(&message);
    decoder.read_slice(records_at).ok()?;
    let [answers, authorities, _] = reply.extents[0].counts;
    let mut section = |count| {
        let records = (0..count).map(|_| Record::read(&mut decoder).ok());
        records.collect::<Option<Vec<Record>>>()
    };
    Some([section(answers)?, section(authorities)?])
}

/// The reply as a message, and where its records begin: their pointers count from the start of the message.
pub(super) fn message(
    reply: &UpstreamReply,
    name: &Name,
    record_type: RecordType,
) -> (Vec<u8>, usize) {
    let mut message = vec![0; HEADER_LEN];
    message.extend(name.as_wire());
    message.extend(record_type.0.to_be_bytes());
    message.extend(Class::IN.0.to_be_bytes());
    let records_at = message.len();
    message.extend(&reply.records);
    (message, records_at)
}

fn name_at(message: &[u8], at: usize) -> Option<Name> {
    let mut decoder = BinDecoder::new(message).clone(u16::try_from(at).ok()?);
    let name = DecodedName::read(&mut decoder).ok()?;
    Some(plain(&name))
}

/// A name of hickory's in lower case.
pub(super) fn plain(name: &DecodedName) -> Name {
    let mut wire = Vec::new();
    for label in name {
        wire.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    wire.push(0);
    Name::from_lowercase_wire(&wire)
}

fn decoded(name: &[u8]) -> Option<DecodedName> {
    DecodedName::read(&mut BinDecoder::new(name)).ok()
}
