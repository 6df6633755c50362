//! What a server shows at `/api/health`.

use anyhow::bail;
use hyper::StatusCode;
use tokio::runtime::Runtime;

use super::super::server::get;
use crate::http::HealthPage;

/// What the server at `url` (`http://IP:PORT`) shows.
pub(super) fn fetch(runtime: &Runtime, url: &str) -> anyhow::Result<HealthPage> {
    let got = get(runtime, url, "/api/health", "application/json")?;
    match got.status {
        StatusCode::OK => Ok(HealthPage::parse(&got.body)?),
        StatusCode::NOT_FOUND if got.is_ui => {
            bail!("ask the server {url}: its configuration has no `health`: it checks nobody")
        }
        StatusCode::NOT_FOUND => {
            bail!(
                "ask the server {url}: it shows no checks there: ask at its status pages (--ui), or set `health.api: on` in its configuration"
            )
        }
        status => bail!("ask the server {url}: it says {status}"),
    }
}
