use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request,
    body::{Body, Bytes, Frame},
    client::conn::{http1, http2},
    header::HeaderMap,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Certificate, PATIENCE, VERSIONS};

/// A connection for requests.
pub(crate) struct Https {
    runtime: Runtime,
    sender: Sender,
    server: SocketAddr,
}

type Outgoing = UnsyncBoxBody<Bytes, Infallible>;

enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

/// A body that begins and never ends.
struct Unfinished(Option<Bytes>);

impl Body for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(begin) => Poll::Ready(Some(Ok(Frame::data(begin)))),
            None => Poll::Pending,
        }
    }
}

/// What comes back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A field of the head; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }
}

impl Https {
    /// Over HTTP/2, or HTTP/1.1.
    pub(crate) fn connect(server: SocketAddr, trusted: &Certificate, is_http2: bool) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let protocol = if is_http2 { "h2" } else { "http/1.1" };
        let config = trusted.client(&[protocol], &VERSIONS);
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(server).await.expect("it listens");
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect(Certificate::name(), stream).await;
            let stream = stream.expect("a handshake");
            let spoken = stream.get_ref().1.alpn_protocol();
            assert_eq!(spoken, Some(protocol.as_bytes()));
            let stream = TokioIo::new(stream);
            if is_http2 {
                let made = http2::handshake(TokioExecutor::new(), stream).await;
                let (sender, connection) = made.expect("HTTP/2");
                tokio::spawn(connection);
                Sender::Http2(sender)
            } else {
                let (sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
        });
        Self {
            runtime,
            sender,
            server,
        }
    }

    /// Sends a request; `None` where the connection is closed.
    pub(crate) fn try_request(
        &mut self,
        method: &Method,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Option<Response> {
        let authority = match &self.sender {
            Sender::Http1(_) => String::new(),
            Sender::Http2(_) => format!("https://{}", self.server),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{authority}{path}"));
        if let Sender::Http1(_) = self.sender {
            request = request.header("host", self.server.to_string());
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let body = Full::new(Bytes::copy_from_slice(body)).boxed_unsync();
        let request = request.body(body);
        let request = request.expect("a request");
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            let exchange = async {
                let response = match sender {
                    Sender::Http1(sender) => {
                        sender.ready().await.ok()?;
                        sender.send_request(request).await.ok()?
                    }
                    Sender::Http2(sender) => {
                        sender.ready().await.ok()?;
                        sender.send_request(request).await.ok()?
                    }
                };
                let (head, body) = response.into_parts();
                let body = body.collect().await.ok()?.to_bytes().to_vec();
                Some(Response {
                    status: head.status.as_u16(),
                    headers: head.headers,
                    body,
                })
            };
            timeout(PATIENCE, exchange)
                .await
                .expect("a response in time")
        })
    }

    /// Sends a request that has to be answered.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &Method,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Response {
        let response = self.try_request(method, path, content_type, body);
        response.expect("a response")
    }

    /// Begins so many requests, each with so many bytes of a body that does not end, over HTTP/2.
    pub(crate) fn begin_bodies(&self, count: usize, bytes: usize) {
        let Sender::Http2(sender) = &self.sender else {
            panic!("HTTP/1.1 has one request at a time");
        };
        for _ in 0..count {
            let mut sender = sender.clone();
            let request = Request::post(format!("https://{}/dns-query", self.server))
                .header("content-type", "application/dns-message")
                .body(Unfinished(Some(vec![0; bytes].into())).boxed_unsync())
                .expect("a request");
            self.runtime.spawn(async move {
                // Nobody waits for what comes of it.
                let _ = sender.send_request(request).await;
            });
        }
    }

    #[track_caller]
    pub(crate) fn post(&mut self, message: &[u8]) -> Response {
        let content_type = Some("application/dns-message");
        self.request(&Method::POST, "/dns-query", content_type, message)
    }

    #[track_caller]
    pub(crate) fn get(&mut self, message: &[u8]) -> Response {
        let path = format!("/dns-query?dns={}", base64url(message));
        self.request(&Method::GET, &path, None, b"")
    }
}

pub(crate) fn base64url(message: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in message.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=group.len() {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(DIGITS[value as usize].into());
        }
    }
    text
}
