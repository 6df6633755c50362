//! One question to an API server, and its reply while it comes.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::{Response, StatusCode, header::RETRY_AFTER};
use kube::client::Body;
use tokio::time::timeout;

use super::{
    connect::SILENCE,
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

/// A reply that comes.
pub(super) struct Reply {
    body: Body,
    splitter: Splitter,
    form: Form,
    version: &'static str,
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
        })
    }

    /// Has `hearing` hear what comes next; `false` where that was the end.
    pub(super) async fn hear(&mut self, hearing: &mut Hearing) -> Result<bool, Failure> {
        let frame = timeout(SILENCE, self.body.frame()).await;
        let Some(frame) = frame.map_err(|_| Why::Silent(SILENCE))? else {
            return self.end(hearing);
        };
        // What is no data are trailers.
        let Ok(data) = frame.map_err(|error| Why::of_body(&error))?.into_data() else {
            return Ok(true);
        };
        self.splitter.push(&data);
        let unreadable = |error: FrameError| Why::Unreadable(error.to_string());
        while let Some(frame) = self.splitter.next().map_err(unreadable)? {
            if hearing.take_in(self.version, frame)? {
                // What else a stream has to say is asked for by a watch, whose end is known.
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end(&self, hearing: &mut Hearing) -> Result<bool, Failure> {
        if !self.splitter.is_whole() {
            return Err(Why::Cut("in the midst of an object".to_owned()).into());
        }
        if self.form == Form::List {
            hearing.end_page()?;
        }
        Ok(false)
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
