//! Asks a running server for its own story, at the address of its status pages.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    runtime::{self, Runtime},
    time::timeout,
};
use url::form_urlencoded;

use super::{Exit, Failure};
use crate::ui::API_HEADER;

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer: what is checked of a hundred thousand targets has some 50 MiB.
const MAX_BYTES: usize = 256 << 20;

const EXPECTED: &str = "expected a URL such as http://127.0.0.1:9154";

/// An answer.
pub(super) struct Got {
    pub(super) status: StatusCode,
    /// Whether it comes from status pages.
    pub(super) is_ui: bool,
    pub(super) body: Bytes,
}

/// A server.
pub(super) struct Server<'u> {
    url: &'u str,
    runtime: Runtime,
}

impl<'u> Server<'u> {
    /// The server at `url` (`http://IP:PORT`; `http://any:TOKEN@IP:PORT` where it takes a token).
    pub(super) fn new(url: &'u str) -> Result<Self, Failure> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start what asks servers")?;
        Ok(Self { url, runtime })
    }

    /// Asks for `path` below the API with these parameters, in the form of `accept`; `None` where no status pages are there.
    pub(super) fn ask(
        &self,
        path: &[&str],
        parameters: &[(&str, &str)],
        accept: &str,
    ) -> Result<Option<Got>, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        let parts: Vec<String> = path.iter().map(|part| encoded(part)).collect();
        let path = format!("/api/v1/{}?{}", parts.join("/"), query.finish());
        let got = get(&self.runtime, self.url, &path, accept)
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        if !got.is_ui {
            return Ok(None);
        }
        // An unknown name has a story too.
        if got.status.is_success() || got.status == StatusCode::NOT_FOUND {
            return Ok(Some(got));
        }
        let said: Value = serde_json::from_slice(&got.body).unwrap_or_default();
        let message = said["error"]["message"].as_str().unwrap_or_default();
        let exit = match got.status {
            StatusCode::UNAUTHORIZED => Exit::NoPermission,
            StatusCode::SERVICE_UNAVAILABLE => Exit::TooLittle,
            _ => Exit::Usage,
        };
        let error = anyhow!(
            "the server {} says {}: {message}",
            shown(self.url),
            got.status
        );
        Err(Failure::new(exit, error))
    }
}

/// A part of a path.
fn encoded(part: &str) -> String {
    form_urlencoded::byte_serialize(part.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// What the server at `url` has at `path`.
pub(super) fn get(runtime: &Runtime, url: &str, path: &str, accept: &str) -> anyhow::Result<Got> {
    let got = runtime.block_on(async { timeout(PATIENCE, request(url, path, accept)).await });
    got.context("it took longer than 10 s")
        .flatten()
        .with_context(|| format!("ask the server {}", shown(url)))
}

/// A URL without what is secret in it.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

async fn request(url: &str, path: &str, accept: &str) -> anyhow::Result<Got> {
    let uri: Uri = url.parse().context(EXPECTED)?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        bail!(EXPECTED);
    };
    let (user, address) = match authority.as_str().rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority.as_str()),
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await.context("connect")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    // A server behind a proxy is below a path.
    let path = format!("{}{path}", uri.path().trim_end_matches('/'));
    let mut request = Request::get(path)
        .header(HOST, address)
        .header(ACCEPT, accept);
    if let Some(user) = user {
        let basic = BASE64.encode(user.as_bytes());
        request = request.header(AUTHORIZATION, format!("Basic {basic}"));
    }
    let response = sender
        .send_request(request.body(Empty::<Bytes>::new())?)
        .await?;
    let status = response.status();
    let is_ui = response.headers().contains_key(API_HEADER);
    let body = Limited::new(response.into_body(), MAX_BYTES);
    let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok(Got {
        status,
        is_ui,
        body: body.to_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        assert_eq!(shown("http://a:b@127.0.0.1:1"), "http://127.0.0.1:1");
        assert_eq!(shown("http://127.0.0.1:1"), "http://127.0.0.1:1");
        assert_eq!(shown("nonsense"), "nonsense");
    }
}
