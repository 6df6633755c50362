//! What a server shows at `/api/health`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

use crate::http::HealthPage;

/// How long a server may take for its page.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest page: a hundred thousand targets have some 50 MiB.
const MAX_PAGE_BYTES: usize = 256 << 20;

/// What the server at `url` (`http://IP:PORT`) shows.
pub(super) fn fetch(runtime: &Runtime, url: &str) -> anyhow::Result<HealthPage> {
    let page = runtime.block_on(async { timeout(PATIENCE, get(url)).await });
    page.context("it took longer than 10 s")
        .flatten()
        .with_context(|| format!("ask the server {url}"))
}

async fn get(url: &str) -> anyhow::Result<HealthPage> {
    let uri: Uri = url
        .parse()
        .context("expected a URL such as http://127.0.0.1:9153")?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        bail!("expected a URL such as http://127.0.0.1:9153");
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await.context("connect")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/api/health")
        .header(HOST, authority.as_str())
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            bail!("it shows no checks: set `health.api: on` in its configuration")
        }
        status => bail!("it says {status}"),
    }
    let body = Limited::new(response.into_body(), MAX_PAGE_BYTES);
    let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok(HealthPage::parse(&body.to_bytes())?)
}
