use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, Uri,
    body::{Body as _, Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::time::timeout;

use crate::{admission::Hold, wire::MAX_TCP_BYTES};

/// The media type of a DNS message.
pub(super) const DNS_MESSAGE: &str = "application/dns-message";

/// Why a request gets no DNS answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// The path is not that of queries.
    Path,
    /// Neither GET nor POST.
    Method,
    /// GET without a query in the URL, or with one that is not base64url.
    NoQuery,
    /// POST with a body of another media type.
    MediaType,
    /// A body longer than a message can be.
    TooLarge,
    /// A body that did not come in time.
    TooSlow,
    /// A body that broke off.
    Broken,
    /// A message, or an answer, for which there is no memory.
    NoMemory,
    /// The message is no query.
    NotAQuery,
    /// The code panicked.
    Panicked,
}

/// The message in a request for `path`, whose body comes within `limit`. Takes the memory for it into `hold`.
pub(super) async fn query(
    request: Request<Incoming>,
    path: &str,
    limit: Duration,
    hold: &mut Hold,
) -> Result<Bytes, Refused> {
    if request.uri().path() != path {
        return Err(Refused::Path);
    }
    match *request.method() {
        Method::GET => in_url(request.uri())
            .map(Bytes::from)
            .ok_or(Refused::NoQuery),
        Method::POST if !is_dns_message(request.headers()) => Err(Refused::MediaType),
        Method::POST => timeout(limit, body(request.into_body(), hold))
            .await
            .map_err(|_| Refused::TooSlow)?,
        _ => Err(Refused::Method),
    }
}

async fn body(mut body: Incoming, hold: &mut Hold) -> Result<Bytes, Refused> {
    if body.size_hint().lower() > MAX_TCP_BYTES as u64 {
        return Err(Refused::TooLarge);
    }
    let mut message = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refused::Broken)?;
        // What is no data comes behind it.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if message.len() + data.len() > MAX_TCP_BYTES {
            return Err(Refused::TooLarge);
        }
        if !hold.reserve(&mut message, data.len(), 0) {
            return Err(Refused::NoMemory);
        }
        message.extend_from_slice(&data);
    }
    Ok(message.into())
}

/// Whether the request says that its body is a DNS message, with whatever parameters.
fn is_dns_message(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|found| found.trim().eq_ignore_ascii_case(DNS_MESSAGE))
}

/// The message in the variable `dns` of the URL ([RFC 8484 §6](https://www.rfc-editor.org/rfc/rfc8484#section-6)).
fn in_url(uri: &Uri) -> Option<Vec<u8>> {
    let mut variables = uri.query()?.split('&');
    let text = variables.find_map(|variable| variable.strip_prefix("dns="))?;
    // Padding has no place in these URLs, and does no harm.
    let digits = text.trim_end_matches('=').as_bytes();
    let message = BASE64URL_NOPAD.decode(digits).ok()?;
    (message.len() <= MAX_TCP_BYTES).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_query_in_a_url() {
        let found = |url: &str| in_url(&url.parse().expect("a URL"));
        assert_eq!(found("/dns-query?dns=Zm9v"), Some(b"foo".to_vec()));
        assert_eq!(found("/dns-query?a=b&dns=Zm9v&c"), Some(b"foo".to_vec()));
        assert_eq!(
            found("/dns-query?dns=-_-_Zg=="),
            Some(b"\xfb\xff\xbff".to_vec())
        );
        for wrong in ["Z", "Zh", "+/+/", "Zm9%76"] {
            assert_eq!(found(&format!("/dns-query?dns={wrong}")), None, "{wrong}");
        }
        assert_eq!(found("/dns-query?dnssec=Zm9v"), None);
        assert_eq!(found("/dns-query"), None);
    }
}
