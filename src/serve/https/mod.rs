//! Queries in requests of HTTP/1.1 and HTTP/2 ([RFC 8484]).
//!
//! [`serve`] serves one connection; `request` reads queries from requests, `response` makes responses of answers and refusals.
//!
//! [RFC 8484]: https://www.rfc-editor.org/rfc/rfc8484

#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod request;
mod response;

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{
    TcpLimits,
    service::{Service, Unanswered},
    tls,
};
use crate::admission::{Activity, Hold, Place, drive};

/// How many requests of a connection may be under way at a time: the least that HTTP/2 recommends ([RFC 9113 §6.5.2]).
///
/// [RFC 9113 §6.5.2]: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2
const MAX_STREAMS: u32 = 100;

/// How many bytes a request's head may have: far more than any query in a URL.
const MAX_HEAD_BYTES: u32 = 16 << 10;

/// How many bytes of a connection's bodies are read before they are needed.
const WINDOW_BYTES: u32 = 128 << 10;

/// Serves the requests of a connection until the client ends it, breaks the protocol or takes longer than the limits
/// allow.
pub(super) async fn serve(
    stream: TlsStream<&mut TcpStream>,
    client: IpAddr,
    path: &Arc<str>,
    service: &Arc<Service>,
    place: &Place,
    limits: TcpLimits,
) {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2);
    let activity = Arc::new(Activity::new());
    let handler = {
        let activity = Arc::clone(&activity);
        service_fn(move |request| {
            let (answering, hold) = (Activity::begin(&activity), place.nothing_held());
            let (service, path) = (Arc::clone(service), Arc::clone(path));
            async move {
                let response = answer(request, client, &path, &service, hold, limits).await;
                drop(answering);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let stream = TokioIo::new(stream);
    let (idle, write) = (limits.idle_timeout, limits.write_timeout);
    let ended = if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .serve_connection(stream, handler);
        let end = http2::Connection::graceful_shutdown;
        drive(connection, end, &activity, place, idle, write).await
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES as usize)
            .serve_connection(stream, handler);
        let end = http1::Connection::graceful_shutdown;
        drive(connection, end, &activity, place, idle, write).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "serve a client over HTTPS");
    }
}

/// The response to a request, which keeps what it takes of the memory in `hold` until it is sent.
async fn answer(
    request: Request<Incoming>,
    client: IpAddr,
    path: &str,
    service: &Service,
    mut hold: Hold,
    limits: TcpLimits,
) -> Response<Full<Bytes>> {
    let query = match request::query(request, path, limits.message_timeout, &mut hold).await {
        Ok(query) => query,
        Err(refused) => return response::refusal(refused),
    };
    match service.answer(&query, client).await {
        Ok(answer) if hold.set(answer.len()) => response::answer(answer, hold),
        Ok(_) => response::refusal(request::Refused::NoMemory),
        Err(Unanswered::NotAQuery) => response::refusal(request::Refused::NotAQuery),
        Err(Unanswered::Panicked) => response::refusal(request::Refused::Panicked),
    }
}
