//! Queries in requests of HTTP/1.1 and HTTP/2 ([RFC 8484]).
//!
//! [`serve`] serves one connection; `request` reads queries from requests, `response` makes responses of answers and refusals,
//! and `activity` tells when a connection is idle.
//!
//! [RFC 8484]: https://www.rfc-editor.org/rfc/rfc8484

mod activity;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod request;
mod response;

use std::{convert::Infallible, net::IpAddr, pin::Pin, sync::Arc};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    pin, select,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::server::TlsStream;

use self::activity::Activity;
use super::{
    TcpLimits,
    admission::{Admission, IDLE_GRACE},
    service::{Service, Unanswered},
    tls,
};

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
    admission: &Admission,
) {
    let limits = admission.limits;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2);
    let activity = Arc::new(Activity::new());
    let handler = {
        let (activity, service, path) =
            (Arc::clone(&activity), Arc::clone(service), Arc::clone(path));
        service_fn(move |request| {
            let answering = Activity::begin(&activity);
            let (service, path) = (Arc::clone(&service), Arc::clone(&path));
            async move {
                let response = answer(request, client, &path, &service, limits).await;
                drop(answering);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let stream = TokioIo::new(stream);
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .serve_connection(stream, handler);
        drive(
            connection,
            http2::Connection::graceful_shutdown,
            &activity,
            admission,
        )
        .await;
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_timeout)
            .max_buf_size(MAX_HEAD_BYTES as usize)
            .serve_connection(stream, handler);
        drive(
            connection,
            http1::Connection::graceful_shutdown,
            &activity,
            admission,
        )
        .await;
    }
}

/// Drives a connection to its end; ends it where it is idle for too long or another connection needs its slot.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    activity: &Activity,
    admission: &Admission,
) {
    let limits = admission.limits;
    pin!(connection);
    loop {
        let now = Instant::now();
        let idle_since = activity.idle_since();
        let may_yield = idle_since.is_some_and(|since| now >= since + IDLE_GRACE);
        let next = match idle_since {
            Some(since) if now >= since + limits.idle_timeout => break,
            Some(since) if may_yield => since + limits.idle_timeout,
            Some(since) => (since + IDLE_GRACE).min(since + limits.idle_timeout),
            None => now + IDLE_GRACE,
        };
        select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "serve a client over HTTPS");
                }
                return;
            }
            () = admission.slot_wanted(), if may_yield => break,
            () = sleep_until(next) => {}
        }
    }
    end(connection.as_mut());
    // A client that reads nothing is left.
    let _ = timeout(limits.write_timeout, connection).await;
}

async fn answer(
    request: Request<Incoming>,
    client: IpAddr,
    path: &str,
    service: &Service,
    limits: TcpLimits,
) -> Response<Full<Bytes>> {
    let query = match request::query(request, path, limits.message_timeout).await {
        Ok(query) => query,
        Err(refused) => return response::refusal(refused),
    };
    match service.answer(&query, client).await {
        Ok(answer) => response::answer(answer),
        Err(Unanswered::NotAQuery) => response::refusal(request::Refused::NotAQuery),
        Err(Unanswered::Panicked) => response::refusal(request::Refused::Panicked),
    }
}
