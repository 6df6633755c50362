use std::{net::IpAddr, pin::Pin, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    select,
    task::JoinSet,
    time::{Instant, Sleep, sleep_until, timeout},
};

use crate::{
    serve::{
        TcpLimits,
        admission::{Admission, IDLE_GRACE},
        responder::{Handled, Responder},
        service::Service,
    },
    wire::HEADER_LEN,
    zone::Snapshot,
};

/// How much is read at once.
const READ_BYTES: usize = 4096;

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
/// Holds at most one message and what was read behind it, [`GATHER_BYTES`] of answers and one more answer, and
/// [`MOST_LATE`] queries.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: IpAddr,
    service: &Service,
    admission: &Admission,
) {
    let now = Instant::now();
    let mut connection = Connection {
        stream,
        client,
        limits: admission.limits,
        inbox: Vec::with_capacity(READ_BYTES),
        outbox: Vec::new(),
        deferred: JoinSet::new(),
        since: now,
        alarm: Box::pin(sleep_until(now + IDLE_GRACE)),
    };
    while connection.read(admission).await && connection.answer(service).await {}
    // The client may have ended its side alone.
    while connection.send_deferred().await {}
}

struct Connection<S> {
    stream: S,
    client: IpAddr,
    limits: TcpLimits,
    /// What was read and not answered: at the time of reading, less than one message.
    inbox: Vec<u8>,
    /// Answers that are not sent.
    outbox: Vec<u8>,
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
    /// A length that no message has.
    Garbage,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Reads more; `false` where the connection is to end.
    async fn read(&mut self, admission: &Admission) -> bool {
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
        if self.inbox.capacity() - self.inbox.len() < READ_BYTES / 2 {
            self.inbox.reserve(READ_BYTES);
        }
        let mut may_yield = false;
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
                () = admission.slot_wanted(), if may_yield => return false,
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
                    may_yield = is_idle && now >= graceful;
                    let next = if now >= graceful { deadline } else { graceful };
                    self.alarm.as_mut().reset(next);
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
            self.inbox = Vec::with_capacity(READ_BYTES);
        }
        true
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
                let (deferred, message) = (Arc::clone(service.deferred()), message.to_vec());
                self.deferred
                    .spawn(async move { deferred.answer(&message, query, terms).await });
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
        let sending = async {
            self.stream.write_all(&self.outbox).await?;
            self.stream.flush().await
        };
        let sent = timeout(self.limits.write_timeout, sending).await;
        self.outbox.clear();
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
