use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use super::request::{DNS_MESSAGE, Refused};
use crate::{admission::Hold, wire::freshness_seconds};

/// An answer and the memory that it takes.
struct Held {
    message: Vec<u8>,
    _hold: Hold,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

/// A response with `message`, which caches may keep as long as its records. Its memory is given back when all is sent.
pub(super) fn answer(message: Vec<u8>, hold: Hold) -> Response<Full<Bytes>> {
    let max_age = format!("max-age={}", freshness_seconds(&message));
    let max_age = HeaderValue::try_from(max_age).expect("digits can stand in a header");
    let owner = Held {
        message,
        _hold: hold,
    };
    let mut response = Response::new(Full::from(Bytes::from_owner(owner)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    headers.insert(CACHE_CONTROL, max_age);
    response
}

/// What is wrong with a request, for a person who reads it.
pub(super) fn refusal(refused: Refused) -> Response<Full<Bytes>> {
    let (status, text) = match refused {
        Refused::Path => (StatusCode::NOT_FOUND, "DNS queries have another path"),
        Refused::Method => (
            StatusCode::METHOD_NOT_ALLOWED,
            "DNS queries come by GET or POST",
        ),
        Refused::NoQuery => (
            StatusCode::BAD_REQUEST,
            "GET takes a DNS query in base64url: ?dns=...",
        ),
        Refused::MediaType => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "POST takes a DNS query as application/dns-message",
        ),
        Refused::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "a DNS query has at most 65535 bytes",
        ),
        Refused::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        Refused::Broken => (StatusCode::BAD_REQUEST, "the body broke off"),
        Refused::NoMemory => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many other messages are incomplete, or answers unread",
        ),
        Refused::NotAQuery => (StatusCode::BAD_REQUEST, "this is no DNS query"),
        Refused::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "a bug of the server"),
    };
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if refused == Refused::Method {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}
