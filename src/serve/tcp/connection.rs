use std::{future::ready, net::IpAddr, pin::Pin, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    pin, select,
    task::JoinSet,
    time::{Instant, Sleep, sleep_until, timeout},
};

use crate::{
    admission::{Hold, IDLE_GRACE, Place},
    serve::{
        TcpLimits,
        responder::{Handled, Responder},
        service::Service,
    },
    wire::HEADER_LEN,
    zone::Snapshot,
};

/// How much is read at once.
const READ_BYTES: usize = TcpLimits::FREE_BYTES;

/// Answers are sent when this much has gathered, or when all messages that were read are answered.
const GATHER_BYTES: usize = 16 << 10;

/// A buffer that grew beyond this is given back when it is empty.
const KEEP_BYTES: usize = 32 << 10;

/// The length in front of each message.
const LENGTH_LEN: usize = 2;

/// How many queries of a connection may wait for upstreams at a time; nothing more is read until one is answered.
const MAX_DEFERRED: usize = 64;

/// Answers the messages of `stream` until the client ends it, breaks the framing or takes longer than the limits allow.
/// Answers go out in the order of the messages; those that wait for an upstream, when it has answered.
///
/// Buffers at most one message and what was read behind it, [`GATHER_BYTES`] of answers and one more answer, and
/// [`MAX_DEFERRED`] queries; what these take beyond [`READ_BYTES`] as long as it waits for the client or an upstream is held of
/// what all connections may take.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: IpAddr,
    service: &Service,
    place: &Place,
    limits: TcpLimits,
) {
    let now = Instant::now();
    let mut connection = Connection {
        stream,
        client,
        limits,
        place,
        inbox: Vec::with_capacity(READ_BYTES),
        inbox_hold: place.nothing_held(),
        outbox: Vec::new(),
        outbox_hold: place.nothing_held(),
        deferred: JoinSet::new(),
        since: now,
        alarm: Box::pin(sleep_until(now + IDLE_GRACE)),
    };
    while connection.read().await && connection.answer(service).await {}
    // The client may have ended its side alone.
    while connection.send_deferred().await {}
}

struct Connection<'p, S> {
    stream: S,
    client: IpAddr,
    limits: TcpLimits,
    place: &'p Place,
    /// What was read and not answered: at the time of reading, less than one message.
    inbox: Vec<u8>,
    inbox_hold: Hold,
    /// Answers that are not sent.
    outbox: Vec<u8>,
    outbox_hold: Hold,
    /// Queries that wait for upstreams; each task ends with its answer.
    deferred: JoinSet<Vec<u8>>,
    /// When the connection turned idle, or when the message that is being read began.
    since: Instant,
    /// Set when it goes off, not with every message: it may go off early, and is set again then.
    alarm: Pin<Box<Sleep>>,
}

/// What follows the messages that were answered.
enum Rest {
    /// More whole messages, maybe.
    Messages,
    /// Nothing, or the beginning of a message.
    Incomplete,
    /// A length that no message has, or more than there is memory for.
    Garbage,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Reads more; `false` where the connection is to end.
    async fn read(&mut self) -> bool {
        if self.place.is_wanted() {
            return false;
        }
        let is_idle = self.inbox.is_empty();
        let deadline = self.since
            + if is_idle {
                self.limits.idle_timeout
            } else {
                self.limits.message_timeout
            };
        let graceful = deadline.min(self.since + IDLE_GRACE);
        if self.alarm.deadline() > graceful {
            self.alarm.as_mut().reset(graceful);
        }
        if self.inbox.capacity() - self.inbox.len() < READ_BYTES / 2
            && !self
                .inbox_hold
                .reserve(&mut self.inbox, READ_BYTES, READ_BYTES)
        {
            return false;
        }
        let mut idle = None;
        loop {
            select! {
                biased;
                read = self.stream.read_buf(&mut self.inbox) => {
                    if is_idle {
                        self.since = Instant::now();
                    }
                    return matches!(read, Ok(1..));
                }
                Some(reply) = self.deferred.join_next() => {
                    push_framed(&mut self.outbox, |out| out.extend(reply.unwrap_or_default()));
                    if is_idle {
                        self.since = Instant::now();
                    }
                    return self.send().await;
                }
                () = self.place.wanted(), if idle.is_some() => return false,
                () = &mut self.alarm => {
                    let now = Instant::now();
                    if is_idle && !self.deferred.is_empty() {
                        self.since = now;
                        self.alarm.as_mut().reset(now + IDLE_GRACE);
                        return true;
                    }
                    if now >= deadline {
                        return false;
                    }
                    let next = if now >= graceful { deadline } else { graceful };
                    self.alarm.as_mut().reset(next);
                    if is_idle && now >= graceful {
                        idle = Some(self.place.idle());
                        self.give_back_buffers();
                    }
                }
            }
        }
    }

    /// Answers the whole messages that were read; `false` where the connection is to end.
    async fn answer(&mut self, service: &Service) -> bool {
        let mut answered = 0;
        loop {
            let gathered = service.with_responder(|responder, snapshot| {
                let start = std::time::Instant::now();
                let rest = self.gather(&mut answered, service, responder, snapshot);
                responder.finish(start.elapsed());
                rest
            });
            // After a panic, the outbox may end in half an answer.
            let Some(rest) = gathered else {
                return false;
            };
            if !self.send().await {
                return false;
            }
            match rest {
                Rest::Messages if self.deferred.len() < MAX_DEFERRED => {}
                Rest::Messages => {
                    if !self.send_deferred().await {
                        return false;
                    }
                }
                Rest::Incomplete => break,
                Rest::Garbage => return false,
            }
        }
        if answered > 0 {
            self.inbox.drain(..answered);
            self.since = Instant::now();
        }
        if self.inbox.is_empty() && self.inbox.capacity() > KEEP_BYTES {
            self.give_back_inbox();
        }
        true
    }

    /// Keeps no more than what every connection has: this one is idle.
    fn give_back_buffers(&mut self) {
        if self.inbox.capacity() > READ_BYTES {
            self.give_back_inbox();
        }
        self.outbox = Vec::new();
    }

    fn give_back_inbox(&mut self) {
        self.inbox = Vec::with_capacity(READ_BYTES);
        self.inbox_hold.give_back();
    }

    /// Answers messages from `answered` on into the outbox until that is full enough, and counts their bytes in.
    fn gather(
        &mut self,
        answered: &mut usize,
        service: &Service,
        responder: &mut Responder,
        snapshot: &Snapshot,
    ) -> Rest {
        while self.outbox.len() < GATHER_BYTES && self.deferred.len() < MAX_DEFERRED {
            let Some((length, rest)) = self.inbox[*answered..].split_first_chunk::<LENGTH_LEN>()
            else {
                return Rest::Incomplete;
            };
            let length = usize::from(u16::from_be_bytes(*length));
            if length < HEADER_LEN {
                return Rest::Garbage;
            }
            let Some(message) = rest.get(..length) else {
                return Rest::Incomplete;
            };
            *answered += LENGTH_LEN + length;
            let client = self.client;
            let mut handled = Handled::Done;
            push_framed(&mut self.outbox, |out| {
                handled = responder.respond(snapshot, message, client, out);
            });
            if let Handled::Deferred(query, terms) = handled {
                let Some(hold) = self.place.hold(message.len()) else {
                    return Rest::Garbage;
                };
                let (deferred, message) = (Arc::clone(service.deferred()), message.to_vec());
                self.deferred.spawn(async move {
                    let _hold = hold;
                    deferred.answer(&message, query, *terms).await
                });
            }
        }
        Rest::Messages
    }

    /// Sends the next answer that waits for an upstream; `false` where none does, or the client does not take it.
    async fn send_deferred(&mut self) -> bool {
        let Some(reply) = self.deferred.join_next().await else {
            return false;
        };
        push_framed(&mut self.outbox, |out| {
            out.extend(reply.unwrap_or_default());
        });
        self.send().await
    }

    /// Sends what the outbox holds; `false` where the client does not take it in time.
    async fn send(&mut self) -> bool {
        if self.outbox.is_empty() {
            return true;
        }
        let (stream, outbox) = (&mut self.stream, &self.outbox);
        let sending = async {
            stream.write_all(outbox).await?;
            stream.flush().await
        };
        pin!(sending);
        // Most clients have room for it.
        let sent = select! {
            biased;
            sent = sending.as_mut() => Ok(sent),
            () = ready(()) => {
                if !self.outbox_hold.set(outbox.capacity()) {
                    return false;
                }
                timeout(self.limits.write_timeout, sending).await
            }
        };
        self.outbox.clear();
        self.outbox_hold.give_back();
        if self.outbox.capacity() > KEEP_BYTES {
            self.outbox = Vec::new();
        }
        matches!(sent, Ok(Ok(())))
    }
}

/// Appends the answer that `write` appends, behind its length; nothing where `write` appends nothing.
fn push_framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_LEN]);
    write(out);
    let length = out.len() - start - LENGTH_LEN;
    if length == 0 {
        out.truncate(start);
        return;
    }
    let length = u16::try_from(length).expect("answers are limited to 65,535 bytes");
    out[start..start + LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
}
