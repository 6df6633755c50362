//! One connection to one upstream over TCP or TLS, which all questions share ([RFC 7766 §6.2]).
//!
//! A task owns it: it connects when there is something to ask, sends questions without waiting for replies to others, takes
//! replies in any order, and ends when nobody has asked for a while. What is asked on a connection that dies is asked once
//! more, on the next one.
//!
//! [RFC 7766 §6.2]: https://www.rfc-editor.org/rfc/rfc7766#section-6.2

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    runtime::Handle,
    select,
    sync::{
        mpsc::{self, error::SendError},
        oneshot,
    },
    time::{Instant, sleep_until, timeout},
};

use super::{
    dial::{Dial, Stream},
    exchange::{malformed, random_id},
    question::Question,
};
use crate::wire::{NotTheReply, UpstreamReply, read_whole_reply, write_question};

/// How many questions are under way on a connection. Further ones wait.
pub(super) const MOST_IN_FLIGHT: usize = 128;

/// How many ids may be taken by questions that nobody waits for any more, and by others: then another connection is made.
const MOST_IDS: usize = 4 * MOST_IN_FLIGHT;

/// How many questions wait for the task; who comes later waits for a place among these.
const MOST_QUEUED: usize = 64;

/// How long a connection is kept without questions: servers close idle ones, most after 10 s or more.
const IDLE_TIME: Duration = Duration::from_secs(8);

/// A connection on which nothing comes in for so long, while somebody waits, is taken to be dead.
const DEAD_TIME: Duration = Duration::from_secs(3);

/// The same for one that has brought replies: it may have been forgotten by what is between, or its end be frozen, and what is
/// asked on it is soon asked on another one. An upstream that is only slow gets the question twice then.
const DEAD_TIME_OF_KEPT: Duration = Duration::from_millis(700);

/// How much is read at a time.
const READ_BYTES: usize = 4096;

/// The way to the task, while there is one.
#[derive(Debug, Default)]
pub(super) struct Connection(Mutex<Option<mpsc::Sender<Request>>>);

/// A question, and who waits for the reply.
#[derive(Debug)]
struct Request {
    question: Question,
    marks: Option<Vec<u8>>,
    asker: oneshot::Sender<io::Result<UpstreamReply>>,
    /// When it was sent last, and whether that was the second time.
    sent: Instant,
    is_second: bool,
}

impl Connection {
    /// Asks over the connection; a task on `runtime` makes it with `dial` where there is none.
    pub(super) async fn ask(
        &self,
        runtime: &Handle,
        dial: &Dial,
        question: &Question,
        marks: Option<&[u8]>,
    ) -> io::Result<UpstreamReply> {
        let (asker, reply) = oneshot::channel();
        let mut request = Request {
            question: question.clone(),
            marks: marks.map(<[u8]>::to_vec),
            asker,
            sent: Instant::now(),
            is_second: false,
        };
        // A task that is about to end hands the request back.
        while let Err(SendError(back)) = self.requests(runtime, dial).send(request).await {
            request = back;
        }
        reply
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into()))
    }

    fn requests(&self, runtime: &Handle, dial: &Dial) -> mpsc::Sender<Request> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = held.as_ref().filter(|requests| !requests.is_closed()) {
            return requests.clone();
        }
        let (requests, received) = mpsc::channel(MOST_QUEUED);
        runtime.spawn(run(dial.clone(), received));
        *held = Some(requests.clone());
        requests
    }
}

/// The task.
async fn run(dial: Dial, mut requests: mpsc::Receiver<Request>) {
    let mut waiting = Vec::new();
    loop {
        waiting.retain(|request: &Request| !request.asker.is_closed());
        if waiting.is_empty() {
            match timeout(IDLE_TIME, requests.recv()).await {
                Ok(Some(request)) => waiting.push(request),
                Ok(None) => return,
                Err(_) => requests.close(),
            }
            continue;
        }
        match dial.connect().await {
            Ok(Stream::Tcp(stream)) => talk(stream, &mut requests, &mut waiting).await,
            Ok(Stream::Tls(stream)) => talk(*stream, &mut requests, &mut waiting).await,
            Err(error) => {
                while let Ok(request) = requests.try_recv() {
                    waiting.push(request);
                }
                for request in waiting.drain(..) {
                    request.fail(error.kind(), &error);
                }
            }
        }
    }
}

/// Asks what is `waiting`, and what comes in, until the connection ends. What may be asked again waits then.
async fn talk<S>(stream: S, requests: &mut mpsc::Receiver<Request>, waiting: &mut Vec<Request>)
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = split(stream);
    let mut flight = Flight::default();
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let (mut is_open, mut is_flushed) = (true, true);
    for request in waiting.drain(..) {
        flight.add(request, &mut outbox);
    }
    while flight.asked.len() < MOST_IDS {
        inbox.reserve(READ_BYTES);
        select! {
            read = reader.read_buf(&mut inbox) => match read {
                Ok(1..) => flight.take_in(&mut inbox),
                Ok(0) | Err(_) => break,
            },
            sent = send(&mut writer, &outbox), if !outbox.is_empty() || !is_flushed => match sent {
                Ok(0) => is_flushed = true,
                Ok(length) => {
                    outbox.drain(..length);
                    is_flushed = false;
                }
                Err(_) => break,
            },
            request = requests.recv(), if is_open && flight.has_room() => match request {
                Some(request) => flight.add(request, &mut outbox),
                None => is_open = false,
            },
            () = sleep_until(flight.deadline()) => break,
        }
        if !is_open && flight.asked.is_empty() {
            break;
        }
    }
    for mut request in flight.asked.into_values() {
        if request.is_second {
            request.fail(io::ErrorKind::ConnectionReset, &"the connection died twice");
        } else {
            request.is_second = true;
            waiting.push(request);
        }
    }
}

/// Sends a first part of `outbox` and returns its length, or sees to it that all that was sent is on its way.
async fn send(writer: &mut (impl AsyncWrite + Unpin), outbox: &[u8]) -> io::Result<usize> {
    if outbox.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(outbox).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        length => Ok(length),
    }
}

/// What is under way on a connection, by id.
#[derive(Debug)]
struct Flight {
    asked: HashMap<u16, Request>,
    /// When something was last sent or came in.
    last_sent: Instant,
    last_received: Instant,
    /// Whether anything came in.
    is_proven: bool,
}

impl Default for Flight {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            asked: HashMap::new(),
            last_sent: now,
            last_received: now,
            is_proven: false,
        }
    }
}

impl Flight {
    fn add(&mut self, mut request: Request, outbox: &mut Vec<u8>) {
        let id = loop {
            match random_id() {
                Ok(id) if self.asked.contains_key(&id) => {}
                Ok(id) => break id,
                Err(error) => return request.fail(error.kind(), &error),
            }
        };
        let start = outbox.len();
        outbox.extend_from_slice(&[0; 2]);
        write_question(&request.asked(id), outbox);
        let length = u16::try_from(outbox.len() - start - 2).expect("a question is short");
        outbox[start..start + 2].copy_from_slice(&length.to_be_bytes());
        let now = Instant::now();
        self.last_sent = now;
        request.sent = now;
        self.asked.insert(id, request);
    }

    /// Hands out the replies that are whole.
    fn take_in(&mut self, inbox: &mut Vec<u8>) {
        self.last_received = Instant::now();
        self.is_proven = true;
        let mut at = 0;
        while let Some((&length, rest)) = inbox[at..].split_first_chunk::<2>() {
            let Some(message) = rest.get(..usize::from(u16::from_be_bytes(length))) else {
                break;
            };
            at += 2 + message.len();
            self.hand_out(message);
        }
        inbox.drain(..at);
    }

    /// A message that is no reply to a question under way is passed over.
    fn hand_out(&mut self, message: &[u8]) {
        let Some(id) = message.first_chunk().copied().map(u16::from_be_bytes) else {
            return;
        };
        let Some(request) = self.asked.get(&id) else {
            return;
        };
        let reply = match read_whole_reply(message, &request.asked(id)) {
            Ok(reply) => Ok(reply),
            Err(NotTheReply::Foreign) => return,
            Err(NotTheReply::Malformed) => Err(malformed()),
        };
        if let Some(request) = self.asked.remove(&id) {
            // Who does not wait any more needs no reply.
            let _ = request.asker.send(reply);
        }
    }

    fn waited_for(&self) -> impl Iterator<Item = &Request> {
        let asked = self.asked.values();
        asked.filter(|request| !request.asker.is_closed())
    }

    /// How long nothing may come in while somebody waits. What was asked twice already is waited for longer: it is not asked
    /// again.
    fn dead_time(&self) -> Duration {
        let has_second = self.waited_for().any(|request| request.is_second);
        if self.is_proven && !has_second {
            DEAD_TIME_OF_KEPT
        } else {
            DEAD_TIME
        }
    }

    fn has_room(&self) -> bool {
        self.waited_for().count() < MOST_IN_FLIGHT
    }

    /// When the connection ends unless something happens.
    fn deadline(&self) -> Instant {
        match self.waited_for().map(|request| request.sent).min() {
            Some(sent) => sent.max(self.last_received) + self.dead_time(),
            None => self.last_sent.max(self.last_received) + IDLE_TIME,
        }
    }
}

impl Request {
    fn asked(&self, id: u16) -> crate::wire::UpstreamQuestion<'_> {
        self.question.message(id, self.marks.as_deref())
    }

    fn fail(self, kind: io::ErrorKind, why: &impl ToString) {
        // Who does not wait any more needs no error.
        let _ = self.asker.send(Err(io::Error::new(kind, why.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question, and who waits for it: nobody any more where that is dropped.
    fn request(is_second: bool) -> (Request, oneshot::Receiver<io::Result<UpstreamReply>>) {
        let (asker, reply) = oneshot::channel();
        let request = Request {
            question: Question::probe(),
            marks: None,
            asker,
            sent: Instant::now(),
            is_second,
        };
        (request, reply)
    }

    /// How long the connection is waited for from the time on when its last question was sent.
    #[track_caller]
    fn check(flight: &Flight, expected: Duration) {
        assert_eq!(flight.deadline() - flight.last_sent, expected);
    }

    #[tokio::test]
    async fn a_connection_that_has_brought_replies_is_given_up_soon() {
        let (mut flight, mut outbox) = (Flight::default(), Vec::new());
        let (first, _first) = request(false);
        flight.add(first, &mut outbox);
        check(&flight, DEAD_TIME);
        let id = *flight.asked.keys().next().expect("one was asked");
        let mut reply = outbox.clone();
        reply[4] |= 0x80;
        flight.take_in(&mut reply);
        assert!(!flight.asked.contains_key(&id));
        let (second, second_reply) = request(false);
        flight.add(second, &mut outbox);
        check(&flight, DEAD_TIME_OF_KEPT);
        let (repeated, _repeated) = request(true);
        flight.add(repeated, &mut outbox);
        drop(second_reply);
        check(&flight, DEAD_TIME);
    }
}
