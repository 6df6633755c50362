//! One question to an API server, and its reply while it comes.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Frame},
    header::RETRY_AFTER,
};
use kube::client::Body;
use tokio::{task::yield_now, time::timeout};

use super::{
    connect::{SHORT_SILENCE, SILENCE},
    frames::{Form, FrameError, Splitter},
    hearing::Hearing,
    resource::{Ask, Resource},
    said::Status,
    server::Server,
    trouble::{Failure, Why},
};
use crate::diagnostic::Kind;

/// How long a watch is asked for. Until it is over a server that lives says something: the end of it, and shortly before a
/// bookmark. So that is shorter than [`SILENCE`].
const WATCH_SECONDS: u64 = 30;

/// How long a list may take.
const LIST_SECONDS: u64 = 300;

/// The longest error that is read, in bytes.
const MAX_STATUS_BYTES: usize = 64 << 10;

/// How many bytes are heard at most before what they say is told.
const MOST_BYTES: usize = 256 << 10;

/// A piece of a reply.
type Piece = Frame<Bytes>;

/// How much was heard at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    /// What has come so far.
    All,
    /// As much as is told at a time; there may be more.
    Part,
    /// What there was to the end.
    End,
}

/// A reply that comes.
pub(super) struct Reply {
    body: Body,
    splitter: Splitter,
    form: Form,
    version: &'static str,
    /// How long nothing came.
    silence: Duration,
}

impl Reply {
    /// Asks, at this version of the API; returns when the reply begins.
    pub(super) async fn begin(
        server: &Server,
        resource: &Resource,
        version: &'static str,
        ask: &Ask,
    ) -> Result<Self, Failure> {
        let (form, seconds) = match ask {
            Ask::Stream => (Form::Events, LIST_SECONDS),
            Ask::Page(_) => (Form::List, LIST_SECONDS),
            Ask::Watch(_) => (Form::Events, WATCH_SECONDS),
        };
        let path = resource.path(version, ask, seconds);
        let response = server.connection.get(&path).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response, resource.kind).await);
        }
        Ok(Self {
            body: response.into_body(),
            splitter: Splitter::new(form),
            form,
            version,
            silence: Duration::ZERO,
        })
    }

    /// Has `hearing` hear what comes next, and what has come behind it, or that nothing comes.
    pub(super) async fn hear(&mut self, hearing: &mut Hearing) -> Result<Extent, Failure> {
        let is_noted = !self.silence.is_zero();
        let wait = if is_noted {
            SILENCE.saturating_sub(self.silence)
        } else {
            SHORT_SILENCE
        };
        let Ok(piece) = timeout(wait, self.body.frame()).await else {
            if is_noted {
                return Err(Why::Silent(SILENCE).into());
            }
            self.silence = wait;
            hearing.note_silence();
            return Ok(Extent::All);
        };
        self.silence = Duration::ZERO;
        let mut next = Some(piece);
        let mut bytes = 0;
        while let Some(piece) = next {
            let Some(piece) = piece else {
                self.end(hearing)?;
                return Ok(Extent::End);
            };
            // What is no data are trailers.
            if let Ok(data) = piece.map_err(|error| Why::of_body(&error))?.into_data() {
                bytes += data.len();
                let ends_list = self.take_in(&data, hearing)?;
                hearing.note_heard();
                if ends_list {
                    // What else a stream has to say is asked for by a watch, whose end is known.
                    return Ok(Extent::End);
                }
            }
            if bytes >= MOST_BYTES {
                return Ok(Extent::Part);
            }
            next = self.next_at_once().await;
        }
        Ok(Extent::All)
    }

    /// The next piece, or the end, where that has come.
    async fn next_at_once(&mut self) -> Option<Option<Result<Piece, kube::Error>>> {
        // Who reads the connection has a turn first: it holds one piece ready, and no more.
        yield_now().await;
        let mut next = pin!(self.body.frame());
        poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(piece) => Poll::Ready(Some(piece)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Has `hearing` hear some bytes; tells whether they end a list.
    fn take_in(&mut self, bytes: &[u8], hearing: &mut Hearing) -> Result<bool, Failure> {
        self.splitter.push(bytes);
        let unreadable = |error: FrameError| Why::Unreadable(error.to_string());
        while let Some(frame) = self.splitter.next().map_err(unreadable)? {
            if hearing.take_in(self.version, frame)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn end(&self, hearing: &mut Hearing) -> Result<(), Failure> {
        if !self.splitter.is_whole() {
            return Err(Why::Cut("in the midst of an object".to_owned()).into());
        }
        if self.form == Form::List {
            hearing.end_page()?;
        }
        Ok(())
    }
}

/// What a reply says that is no success.
async fn refusal(response: Response<Body>, kind: Kind) -> Failure {
    let code = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER);
    let header = header.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Limited::new(response.into_body(), MAX_STATUS_BYTES).collect();
    let status = match timeout(SILENCE, body).await {
        Ok(Ok(body)) => Status::read(&body.to_bytes()),
        _ => Status::default(),
    };
    let failure = Failure::of_status(code, &status, kind);
    Failure {
        retry_after: header.map(Duration::from_secs).or(failure.retry_after),
        ..failure
    }
}
