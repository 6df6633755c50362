use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Method, Request, Uri,
    body::{Body as _, Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::time::timeout;

use crate::wire::MAX_TCP_BYTES;

/// What a body with a DNS message says of itself.
pub(super) const DNS_MESSAGE: &str = "application/dns-message";

/// Why a request gets no answer of DNS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// Another path than that of queries.
    Path,
    /// Neither GET nor POST.
    Method,
    /// GET without a query in the URL, or with one that is not base64url.
    NoQuery,
    /// POST with a body that says it is something else.
    MediaType,
    /// A body longer than a message can be.
    TooLarge,
    /// A body that did not come in time.
    TooSlow,
    /// A body that broke off.
    Broken,
    /// What was sent is no query.
    NotAQuery,
    /// The code panicked.
    Ourselves,
}

/// The message in a request for `path`, whose body comes within `limit`.
pub(super) async fn query(
    request: Request<Incoming>,
    path: &str,
    limit: Duration,
) -> Result<Bytes, Refused> {
    if request.uri().path() != path {
        return Err(Refused::Path);
    }
    match *request.method() {
        Method::GET => in_url(request.uri())
            .map(Bytes::from)
            .ok_or(Refused::NoQuery),
        Method::POST if !is_dns_message(request.headers()) => Err(Refused::MediaType),
        Method::POST => timeout(limit, body(request.into_body()))
            .await
            .map_err(|_| Refused::TooSlow)?,
        _ => Err(Refused::Method),
    }
}

async fn body(body: Incoming) -> Result<Bytes, Refused> {
    let most = MAX_TCP_BYTES as u64;
    if body.size_hint().lower() > most {
        return Err(Refused::TooLarge);
    }
    match Limited::new(body, MAX_TCP_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::TooLarge),
        Err(_) => Err(Refused::Broken),
    }
}

/// Whether the body is a DNS message, says the request; parameters mean nothing.
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
    from_base64url(text).filter(|message| message.len() <= MAX_TCP_BYTES)
}

/// Decodes base64url ([RFC 4648 §5]). Padding, which has no place in these URLs, does no harm; bits that mean nothing
/// have to be 0, so that no two URLs have one message.
///
/// [RFC 4648 §5]: https://www.rfc-editor.org/rfc/rfc4648#section-5
fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        // One digit has too few bits for a byte.
        let whole = group.len().checked_sub(1).filter(|&whole| whole > 0)?;
        bits <<= 6 * (4 - group.len());
        let [_, decoded @ ..] = bits.to_be_bytes();
        if decoded[whole..].iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend(&decoded[..whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&[u8]>) {
        assert_eq!(from_base64url(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn decodes_base64url() {
        check("", Some(b""));
        check("Zg", Some(b"f"));
        check("Zm8", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYg", Some(b"foob"));
        check("Zm9vYg==", Some(b"foob"));
        check("-_-_", Some(b"\xfb\xff\xbf"));
        for wrong in ["Z", "Zm9vY", "Zh", "Zm9", "+/+/", "Zm 9", "Zm9%76", "é"] {
            check(wrong, None);
        }
    }

    #[test]
    fn finds_the_query_in_a_url() {
        let found = |url: &str| in_url(&url.parse().expect("a URL"));
        assert_eq!(found("/dns-query?dns=Zm9v"), Some(b"foo".to_vec()));
        assert_eq!(found("/dns-query?a=b&dns=Zm9v&c"), Some(b"foo".to_vec()));
        assert_eq!(found("/dns-query?dnssec=Zm9v"), None);
        assert_eq!(found("/dns-query"), None);
    }
}
