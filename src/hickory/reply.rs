use std::iter;

use hickory_server::{
    net::{NetError, xfer::Protocol},
    proto::{
        op::{Edns, Header, HeaderCounts, Metadata},
        rr::{
            Record,
            rdata::{
                TSIG,
                opt::{EdnsCode, EdnsOption, NSIDPayload},
                tsig::TsigError,
            },
        },
        serialize::binary::BinEncoder,
    },
    server::{Request, ResponseHandler, ResponseInfo},
    zone_handler::{MessageResponse, MessageResponseBuilder},
};
use tracing::debug;

use super::records::Sections;
use crate::{
    answer::{Answer, Outcome, Query},
    dns::Rcode,
    wire::{self, MAX_UDP_BYTES},
};

/// The option code of an Extended DNS Error ([RFC 8914 §2](https://www.rfc-editor.org/rfc/rfc8914#section-2)).
const OPTION_EXTENDED_ERROR: u16 = 15;

/// What is sent for a request.
#[derive(Debug)]
pub(super) struct Reply {
    metadata: Metadata,
    sections: Sections,
    edns: Option<Edns>,
    signature: Option<Box<Record<TSIG>>>,
}

impl Reply {
    /// `answer` to the `query` that is in `request`, cut to what the client takes.
    pub(super) fn new(request: &Request, query: &Query<'_>, answer: &Answer<'_>) -> Self {
        let mut reply = Self::error(request, answer.outcome.rcode());
        reply.metadata.authoritative = answer.outcome.is_authoritative();
        reply.sections = Sections::of(query, answer);
        reply.edns = query.edns.map(|edns| {
            let mut written = Edns::new();
            // To hickory's encoder this is how long a message over UDP may be.
            written.set_max_payload(u16::try_from(MAX_UDP_BYTES).expect("fits 16 bits"));
            written.set_dnssec_ok(edns.dnssec_ok);
            let options = written.options_mut();
            if let Some(error) = answer.outcome.extended_error() {
                let code = (error as u16).to_be_bytes().to_vec();
                options.insert(EdnsOption::Unknown(OPTION_EXTENDED_ERROR, code));
            }
            if let Some(nsid) = answer.nsid.and_then(|nsid| NSIDPayload::new(nsid).ok()) {
                options.insert(EdnsOption::NSID(nsid));
            }
            written
        });
        let limit_bytes = match request.protocol() {
            Protocol::Udp => wire::udp_limit_bytes(query),
            _ => wire::MAX_TCP_BYTES,
        };
        reply.fit_additionals(request, limit_bytes);
        // A snapshot cuts RRsets to what fits a message over TCP, with room for the one name that hickory does not compress.
        if request.protocol() == Protocol::Udp {
            reply.fit_datagram(request, query, answer, limit_bytes);
        }
        reply
    }

    /// A response code alone. AD, RA and CD are clear.
    pub(super) fn error(request: &Request, rcode: Rcode) -> Self {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.checking_disabled = false;
        metadata.response_code = (rcode as u16).into();
        Self {
            metadata,
            sections: Sections::default(),
            edns: None,
            signature: None,
        }
    }

    /// The reply to a request that is signed with an unknown key
    /// ([RFC 8945 §5.2.1](https://www.rfc-editor.org/rfc/rfc8945#section-5.2.1)).
    pub(super) fn unknown_key(request: &Request, mut signature: Record<TSIG>) -> Self {
        signature.data.mac = Vec::new();
        signature.data.other = Vec::new();
        signature.data.oid = request.metadata.id;
        signature.data.error = Some(TsigError::BadKey);
        Self {
            signature: Some(Box::new(signature)),
            ..Self::error(request, Rcode::NotAuth)
        }
    }

    /// Leaves addresses of targets out that don't fit; nobody is told ([RFC 2181 §9](https://www.rfc-editor.org/rfc/rfc2181#section-9)).
    fn fit_additionals(&mut self, request: &Request, limit_bytes: usize) {
        if self.sections.additionals.is_empty() || self.fits(request, limit_bytes) {
            return;
        }
        let all = std::mem::take(&mut self.sections.additionals);
        let (mut fitting, mut too_many) = (0, all.len());
        while fitting + 1 < too_many {
            let most = usize::midpoint(fitting, too_many);
            self.sections.additionals = all[..most].to_vec();
            if self.fits(request, limit_bytes) {
                fitting = most;
            } else {
                too_many = most;
            }
        }
        self.sections.additionals = all[..fitting].to_vec();
    }

    /// Leaves addresses out where they don't fit and fewer do as well, else all records, and then an identifier that does not fit
    /// either. hickory's encoder would leave out some records, and the OPT record.
    fn fit_datagram(
        &mut self,
        request: &Request,
        query: &Query<'_>,
        answer: &Answer<'_>,
        limit_bytes: usize,
    ) {
        if self.fits(request, limit_bytes) {
            return;
        }
        if let Outcome::Addresses(addresses) = answer.outcome {
            // How long names become that hickory does not compress, its encoder knows.
            let (mut fitting, mut too_many) = (0, addresses.count());
            while fitting + 1 < too_many {
                let most = usize::midpoint(fitting, too_many);
                let outcome = Outcome::Addresses(addresses.at_most(most));
                self.sections = Sections::of(query, &Answer { outcome, ..*answer });
                if self.sections.answers.len() > most {
                    break;
                }
                if self.fits(request, limit_bytes) {
                    fitting = most;
                } else {
                    too_many = most;
                }
            }
            if fitting > 0 {
                let outcome = Outcome::Addresses(addresses.at_most(fitting));
                self.sections = Sections::of(query, &Answer { outcome, ..*answer });
                return;
            }
        }
        self.sections = Sections::default();
        if !self.fits(request, limit_bytes)
            && let Some(edns) = &mut self.edns
        {
            edns.options_mut().remove(EdnsCode::NSID);
        }
        self.metadata.truncation = true;
    }

    /// Whether hickory's encoder makes a message of this that has at most `limit_bytes`.
    fn fits(&self, request: &Request, limit_bytes: usize) -> bool {
        let mut bytes = Vec::new();
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(u16::try_from(limit_bytes).unwrap_or(u16::MAX));
        let info = self.response(request).destructive_emit(&mut encoder);
        info.is_ok_and(|info| !info.truncation)
    }

    fn response<'a>(
        &'a self,
        request: &'a Request,
    ) -> MessageResponse<
        'a,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    > {
        let builder = MessageResponseBuilder::new(&request.queries, self.edns.as_ref());
        let mut response = builder.build(
            self.metadata,
            self.sections.answers.iter(),
            self.sections.authorities.iter(),
            iter::empty(),
            self.sections.additionals.iter(),
        );
        if let Some(signature) = &self.signature {
            response.set_signature(signature.clone());
        }
        response
    }

    /// Sends this, and tells what was sent.
    pub(super) async fn send(
        self,
        request: &Request,
        mut response_handle: impl ResponseHandler,
    ) -> ResponseInfo {
        let sent = response_handle.send_response(self.response(request)).await;
        sent.unwrap_or_else(|error: NetError| {
            debug!(%error, "the reply could not be sent");
            nothing_sent(self.metadata)
        })
    }
}

/// What hickory is told where no reply was sent.
pub(super) fn nothing_sent(metadata: Metadata) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata,
        counts: HeaderCounts::default(),
    })
}
