use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::cache::Cache;
use smallvec::SmallVec;

use super::{
    ServedAddress, Shared,
    amend::amend,
    restraint::{Allowance, CheckedCookie, CookieChecker, Restraint},
};
use crate::{
    answer::{Query, answer},
    dns::Rcode,
    forward::{DeferredQuery, Forwarder, InForce, Now},
    metrics::{Exchange, Protocol, Recorder, Traffic},
    wire::{
        self, COOKIE_OPTION_LEN, ClientSubnet, Cookie, CookieQuery, NameBuffer, Refusal,
        TransportOptions, Written,
    },
    zone::{Asker, AskerPreset, Snapshot},
};

/// How many messages are read before the first of them is answered, so that what their names need is fetched from memory
/// side by side.
pub(super) const GROUP: usize = Snapshot::MOST_FETCHED;

/// Turns messages into answers and counts them, for one worker at a time.
#[derive(Debug)]
pub(super) struct Responder {
    names: [NameBuffer; GROUP],
    turns: Turns,
    replies: Replies,
}

/// A message, as it was read and as it came, and who sent it.
type Read<'m, C> = (Result<Query<'m>, Refusal<'m>>, &'m [u8], C);

/// How far the handling of a message is.
#[derive(Debug)]
pub(super) enum Handled {
    /// The answer is written, where one is due.
    Done,
    /// An upstream has to be asked for the answer.
    Deferred(DeferredQuery, Box<Terms>),
}

/// What an answer may hold and is to hold, because of who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How large it may be, besides the cookie.
    pub(super) limit_bytes: usize,
    /// The cookie that the client gets back.
    pub(super) cookie: Option<Cookie>,
    /// What chooses the addresses, where the mesh has some.
    pub(super) turn: u32,
    /// Who asks.
    pub(super) asker: Asker,
}

/// Writes and counts what messages get.
#[derive(Debug)]
struct Replies {
    protocol: Protocol,
    transport_options: TransportOptions,
    recorder: Recorder,
    forwarder: Cache<Arc<InForce>, Option<Arc<Forwarder>>>,
    restraint: Arc<Restraint>,
    cookies: Option<CookieChecker>,
    /// What is known of everybody who asks here, where anything is.
    preset: Option<AskerPreset>,
    /// Whether clients without a valid cookie are limited here.
    limits: bool,
    /// The time in seconds, where messages that are answered together needed it.
    seconds: Option<u32>,
}

impl Responder {
    pub(super) fn new(served: ServedAddress, shared: &Shared) -> Self {
        let limits = served.protocol == Protocol::Udp && shared.restraint.limits_udp();
        Self {
            names: Default::default(),
            turns: Turns::seeded(),
            replies: Replies {
                protocol: served.protocol,
                transport_options: served.transport_options,
                recorder: shared.traffic.recorder(served.address, served.protocol),
                forwarder: Cache::new(Arc::clone(&shared.forwarder)),
                restraint: Arc::clone(&shared.restraint),
                cookies: shared.restraint.cookie_keys.clone().map(CookieChecker::new),
                preset: served.preset,
                limits,
                seconds: None,
            },
        }
    }

    /// Appends the answer to `message` of `client`; nothing where none is due, or not yet.
    pub(super) fn respond(
        &mut self,
        snapshot: &Snapshot,
        message: &[u8],
        client: IpAddr,
        out: &mut Vec<u8>,
    ) -> Handled {
        let query = wire::parse(message, self.turns.next(), &mut self.names[0]);
        let forwards = self.replies.forwarder.load().is_some();
        let read = (query, message, client);
        self.replies.write(snapshot, &read, forwards, out)
    }

    /// Answers each of at most [`GROUP`] messages as [`Responder::respond`] does, and faster. Calls `later` with the index
    /// of each message that an upstream has to be asked for.
    pub(super) fn respond_to_each<'b, C: Copy + Into<IpAddr>>(
        &mut self,
        snapshot: &Snapshot,
        exchanges: impl Iterator<Item = (&'b [u8], C, &'b mut Vec<u8>)>,
        mut later: impl FnMut(usize, &[u8], DeferredQuery, Terms),
    ) {
        let forwards = self.replies.forwarder.load().is_some();
        let read: SmallVec<[(Read<'_, C>, &mut Vec<u8>); GROUP]> = exchanges
            .zip(&mut self.names)
            .map(|((message, client, out), name)| {
                let query = wire::parse(message, self.turns.next(), name);
                ((query, message, client), out)
            })
            .collect();
        let names = read
            .iter()
            .filter_map(|((query, ..), _)| query.as_ref().ok());
        snapshot.fetch(names.map(|query| query.name));
        for (index, (read, out)) in read.into_iter().enumerate() {
            let handled = self.replies.write(snapshot, &read, forwards, out);
            if let Handled::Deferred(deferred, terms) = handled {
                later(index, read.1, deferred, *terms);
            }
        }
    }

    /// Notes how long the answers since the last call took together.
    pub(super) fn finish(&mut self, duration: Duration) {
        self.replies.seconds = None;
        self.replies.recorder.finish(duration);
    }

    /// What everyone counts into.
    pub(super) fn traffic(&self) -> &Traffic {
        self.replies.recorder.traffic()
    }
}

impl Replies {
    fn write<C: Copy + Into<IpAddr>>(
        &mut self,
        snapshot: &Snapshot,
        (query, message, client): &Read<'_, C>,
        forwards: bool,
        out: &mut Vec<u8>,
    ) -> Handled {
        let start = out.len();
        let query = match query {
            Ok(query) => query,
            Err(Refusal::CookieAlone(query)) if self.cookies.is_some() => {
                self.give_cookie(query, message.len(), (*client).into(), out);
                return Handled::Done;
            }
            Err(refusal) => {
                self.refuse(refusal, message.len(), *client, out);
                return Handled::Done;
            }
        };
        let Some(mut terms) = self.terms(query, message, (*client).into(), out) else {
            return Handled::Done;
        };
        let mut subnet = subnet_of(snapshot, query, message);
        if let Some(subnet) = &subnet {
            terms.limit_bytes = terms.limit_bytes.saturating_sub(subnet.option_len());
        }
        let limit_bytes = terms.limit_bytes;
        let mut scope_len = 0;
        let mut answer = answer(snapshot, query);
        let (mut query, asking) = (query, &mut None);
        let depends = answer.depends_on_asker() || snapshot.has_views();
        if depends || forwards && answer.others.is_some() {
            // Nobody looks who asks where that does not matter.
            let said = subnet.filter(|_| snapshot.is_trusted((*client).into()));
            scope_len = said.filter(|_| depends).map_or(0, |said| said.source_len());
            terms.asker = self.asker(snapshot, (*client).into(), said);
            if terms.asker != Asker::DIRECT {
                query = asking.insert(Query {
                    asker: &terms.asker,
                    ..*query
                });
                if depends {
                    answer = crate::answer::answer(snapshot.seen_by(terms.asker), query);
                }
            }
        }
        let served = forwards
            .then(|| forwarder_for(&mut self.forwarder, (*client).into()))
            .flatten();
        let recursion_available = served.is_some();
        let forwarded = match (served, answer.others) {
            (Some(forwarder), Some(_)) => {
                match forwarder.now(query, message, (*client).into(), limit_bytes, out) {
                    Now::Passed(passed) => {
                        Some(amend(query, &answer, passed, limit_bytes, start, out))
                    }
                    Now::Refused => None,
                    Now::Later(deferred) => return Handled::Deferred(deferred, Box::new(terms)),
                }
            }
            _ => None,
        };
        let (apex, rcode, truncated, mut opt_bytes) = if let Some(passed) = forwarded {
            // What others say of it is theirs.
            subnet = None;
            let apex = Some(&[0][..]);
            (apex, passed.rcode, passed.truncated, passed.opt_bytes)
        } else {
            let written = wire::write(query, &answer, limit_bytes, out);
            let apex = answer.apex_at.map(|at| &query.name[at..]);
            let rcode = Some(answer.outcome.rcode());
            (apex, rcode, written.truncated, written.opt_bytes)
        };
        if let Some(cookie) = &terms.cookie {
            opt_bytes = wire::add_cookie(cookie, opt_bytes, out);
        }
        if let Some(subnet) = &subnet {
            opt_bytes = wire::add_client_subnet(subnet, scope_len, opt_bytes, out);
        }
        if self.protocol != Protocol::Udp
            && let Some(edns) = query.edns
        {
            wire::add_transport_options(edns, self.transport_options, start, opt_bytes, out);
        }
        if recursion_available {
            wire::set_recursion_available(&mut out[start..]);
        }
        self.recorder.follow(snapshot);
        self.recorder.record(&Exchange {
            apex,
            record_type: Some(query.record_type),
            rcode,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            truncated,
            request_bytes: message.len(),
            response_bytes: out.len() - start,
        });
        Handled::Done
    }

    /// What the answer to `client` may hold; `None` where it gets none, or one that is written.
    #[allow(
        clippy::inline_always,
        reason = "it is called once, for every query, and what is given back would go through memory"
    )]
    #[inline(always)]
    fn terms(
        &mut self,
        query: &Query<'_>,
        message: &[u8],
        client: IpAddr,
        out: &mut Vec<u8>,
    ) -> Option<Terms> {
        let mut terms = Terms {
            limit_bytes: limit_bytes(self.protocol, query),
            cookie: None,
            turn: query.turn,
            asker: Asker::DIRECT,
        };
        // Nobody looks who the client is where that does not matter.
        if !self.limits && query.cookie.is_empty() {
            return Some(terms);
        }
        let (allowance, cookie) = self.allowance(query, client);
        terms.cookie = cookie;
        match allowance {
            Allowance::Answer { limit_bytes } => {
                let room = cookie.map_or(0, |_| COOKIE_OPTION_LEN);
                terms.limit_bytes = terms.limit_bytes.min(limit_bytes).saturating_sub(room);
                Some(terms)
            }
            Allowance::AskOverTcp => {
                self.cut(query, cookie, message.len(), out);
                None
            }
            Allowance::Nothing => {
                self.recorder.traffic().count_withheld();
                None
            }
        }
    }

    /// Who `client` is, for whom it asks where that is `said`, and what is known of everybody who asks here.
    #[inline(never)] // Most queries need nobody to know: they don't pay for this.
    fn asker(&self, snapshot: &Snapshot, client: IpAddr, said: Option<ClientSubnet<'_>>) -> Asker {
        let asker = match said {
            Some(subnet) => snapshot.asker_behind(subnet.address()),
            None => snapshot.asker(client),
        };
        self.preset.map_or(asker, |preset| preset.over(asker))
    }

    /// What `client` gets for its query, and the cookie that goes with it.
    #[inline(never)] // Most queries have no cookie: they don't pay for this.
    fn allowance(&mut self, query: &Query<'_>, client: IpAddr) -> (Allowance, Option<Cookie>) {
        let unlimited = Allowance::Answer {
            limit_bytes: usize::MAX,
        };
        let checked = self.check(query.cookie, client);
        let cookie = checked.map(|checked| checked.cookie);
        if !self.limits || checked.is_some_and(|checked| checked.is_valid) {
            return (unlimited, cookie);
        }
        (self.restraint.allowance(client, query.turn), cookie)
    }

    /// Looks at the cookie that came; `None` where none did, or none is given.
    #[inline]
    fn check(&mut self, received: &[u8], client: IpAddr) -> Option<CheckedCookie> {
        let cookies = self.cookies.as_mut().filter(|_| !received.is_empty())?;
        let now = *self.seconds.get_or_insert_with(seconds);
        let checked = cookies.check(received, client, now);
        if !checked.is_valid && received.len() > wire::CLIENT_COOKIE_LEN {
            self.recorder.traffic().count_invalid_cookie();
        }
        Some(checked)
    }

    /// Gives the client the cookie that it asks for and nothing else, and says whether the one that it has is good.
    #[cold]
    fn give_cookie(
        &mut self,
        query: &CookieQuery<'_>,
        request_bytes: usize,
        client: IpAddr,
        out: &mut Vec<u8>,
    ) {
        let Some(CheckedCookie { cookie, is_valid }) = self.check(query.cookie, client) else {
            return;
        };
        if self.limits && !is_valid && !self.restraint.admits(client) {
            self.recorder.traffic().count_withheld();
            return;
        }
        let rcode = if is_valid || query.cookie.len() == wire::CLIENT_COOKIE_LEN {
            Rcode::NoError
        } else {
            Rcode::BadCookie
        };
        let start = out.len();
        let Written { opt_bytes, .. } = wire::write_cookie(query, rcode, &cookie, out);
        if self.protocol != Protocol::Udp {
            let options = self.transport_options;
            wire::add_transport_options(query.edns, options, start, opt_bytes, out);
        }
        self.recorder.record(&Exchange {
            apex: None,
            record_type: None,
            rcode: Some(rcode),
            dnssec_ok: query.edns.dnssec_ok,
            truncated: false,
            request_bytes,
            response_bytes: out.len() - start,
        });
    }

    /// Tells the client to ask over TCP.
    fn cut(
        &mut self,
        query: &Query<'_>,
        cookie: Option<Cookie>,
        request_bytes: usize,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let Written { opt_bytes, .. } = wire::write_cut(query, out);
        if let Some(cookie) = &cookie {
            wire::add_cookie(cookie, opt_bytes, out);
        }
        self.recorder.traffic().count_slipped();
        self.recorder.record(&Exchange {
            apex: None,
            record_type: Some(query.record_type),
            rcode: Some(Rcode::NoError),
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            truncated: true,
            request_bytes,
            response_bytes: out.len() - start,
        });
    }

    fn refuse(
        &mut self,
        refusal: &Refusal<'_>,
        request_bytes: usize,
        client: impl Into<IpAddr>,
        out: &mut Vec<u8>,
    ) {
        let is_due = refusal.rcode().is_some();
        if self.limits && is_due && !self.restraint.admits(client.into()) {
            self.recorder.traffic().count_withheld();
            return;
        }
        let start = out.len();
        let Some(rcode) = wire::write_refusal(refusal, out) else {
            self.recorder.traffic().count_ignored();
            return;
        };
        self.recorder.record(&Exchange {
            apex: None,
            record_type: None,
            rcode: Some(rcode),
            dnssec_ok: false,
            truncated: false,
            request_bytes,
            response_bytes: out.len() - start,
        });
    }
}

/// The seconds since 1970, modulo 2^32, as cookies have them.
fn seconds() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let [.., a, b, c, d] = since.map_or(0, |since| since.as_secs()).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Who looks names up for `client`.
fn forwarder_for(
    in_force: &mut Cache<Arc<InForce>, Option<Arc<Forwarder>>>,
    client: IpAddr,
) -> Option<&Arc<Forwarder>> {
    let forwarder = in_force.load().as_ref()?;
    forwarder.serves(client).then_some(forwarder)
}

/// For whom a query is asked, where there are forwarders that are believed to say so.
fn subnet_of<'m>(
    snapshot: &Snapshot,
    query: &Query<'_>,
    message: &'m [u8],
) -> Option<ClientSubnet<'m>> {
    let is_said = query.edns.is_some_and(|edns| edns.client_subnet);
    let counts = is_said && !snapshot.settings().trusted_forwarders.is_empty();
    counts
        .then(|| ClientSubnet::of_query(query, message))
        .flatten()
}

/// How large the answer to `query` may be.
pub(super) fn limit_bytes(protocol: Protocol, query: &Query<'_>) -> usize {
    match protocol {
        Protocol::Udp => wire::udp_limit_bytes(query),
        Protocol::Tcp | Protocol::Tls | Protocol::Https | Protocol::Quic => wire::MAX_TCP_BYTES,
    }
}

/// Random numbers that choose the first record of answers. Nothing secret hangs on them: the generator is `SplitMix64`.
#[derive(Debug)]
struct Turns(u64);

impl Turns {
    fn seeded() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits are left")
    }
}
