//! `httpGet`: a request over HTTP/1.1 and its redirects.

use std::{convert::Infallible, future, net::IpAddr};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    HeaderMap, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{Builder, Connection},
    header::{
        ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION, TRAILER,
        TRANSFER_ENCODING, USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    select,
};
use tokio_rustls::TlsConnector;

use super::{
    connect::Dial,
    miss::Miss,
    redirect::{Next, Request},
    tls,
};
use crate::{
    health::{Failure, Nothing, ProtocolFault},
    manifest::HttpGet,
};

/// What a probe calls itself.
pub(super) const AGENT: &str = concat!(
    "meshdns-probe/",
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR")
);

/// How many requests a probe is, redirects included.
const MOST_REQUESTS: usize = 10;

/// How much of a body is read; what is longer is good.
const MOST_BODY: usize = 10 * 1024;

/// How long status and headers may be.
const MOST_HEAD: usize = 64 * 1024;

/// What the headers of an answer say.
struct Head {
    status: StatusCode,
    location: Option<HeaderValue>,
}

/// Asks `address`, and whom it redirects to as long as that is itself. Returns the last status. The connections that it leaves
/// behind are in `left`.
pub(super) async fn get(
    dial: &Dial,
    connector: &TlsConnector,
    address: IpAddr,
    get: &HttpGet,
    left: &mut Vec<TcpStream>,
) -> Result<u16, Miss> {
    let headers = headers(get)?;
    let mut request = Request::first(get, address)?;
    for _ in 0..MOST_REQUESTS {
        let stream = dial.connect((address, request.port()).into()).await?;
        let head = if request.is_tls() {
            let name = request.server_name();
            let stream = tls::greet(connector, name, address, stream).await?;
            let (head, stream) = exchange(stream, &request, headers.clone()).await;
            left.push(stream.into_inner().0);
            head?
        } else {
            let (head, stream) = exchange(stream, &request, headers.clone()).await;
            left.push(stream);
            head?
        };
        let status = head.status.as_u16();
        let location = head.location.as_ref().map(HeaderValue::as_bytes);
        match request.next(status, location)? {
            Next::Request(next) => request = next,
            Next::Stay if (200..400).contains(&status) => return Ok(status),
            Next::Stay => return Err(Failure::Status(status).into()),
        }
    }
    Err(Failure::Protocol(ProtocolFault::Redirects).into())
}

/// What is sent besides `Host`.
fn headers(get: &HttpGet) -> Result<HeaderMap, Miss> {
    /// What is for us to say; a kubelet leaves it out, too.
    const OURS: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING];
    let mut headers = HeaderMap::new();
    for (name, value) in &get.headers {
        let name = HeaderName::try_from(&**name).map_err(|_| Nothing::Request)?;
        let value = HeaderValue::try_from(&**value).map_err(|_| Nothing::Request)?;
        if !OURS.contains(&name) {
            headers.append(name, value);
        }
    }
    for (name, default) in [(USER_AGENT, AGENT), (ACCEPT, "*/*")] {
        match headers.get(&name) {
            None => drop(headers.insert(name, HeaderValue::from_static(default))),
            Some(value) if value.is_empty() => drop(headers.remove(name)),
            Some(_) => {}
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(headers)
}

/// One request and its answer over `stream`, which comes back.
async fn exchange<S>(
    stream: S,
    request: &Request,
    mut headers: HeaderMap,
) -> (Result<Head, Miss>, S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let shaken = Builder::new()
        .title_case_headers(true)
        .max_buf_size(MOST_HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await;
    let (mut sender, mut connection) = shaken.expect("HTTP/1.1 has no greeting that could fail");
    let asked = async {
        let host = HeaderValue::try_from(request.authority()).map_err(|_| Nothing::Request)?;
        headers.insert(HOST, host);
        let mut asked = hyper::Request::new(Empty::new());
        *asked.uri_mut() = request.path().parse().map_err(|_| Nothing::Request)?;
        *asked.headers_mut() = headers;
        let answer = sender
            .send_request(asked)
            .await
            .map_err(|error| head_miss(&error))?;
        let (parts, body) = answer.into_parts();
        let mut headers = parts.headers;
        let head = Head {
            status: parts.status,
            location: headers.remove(LOCATION),
        };
        // Only a body that counts is waited for.
        let is_final = head.location.is_none() && (200..400).contains(&head.status.as_u16());
        if is_final {
            read(body).await?;
        }
        Ok(head)
    };
    let head = select! {
        biased;
        head = asked => head,
        never = drive(&mut connection) => match never {},
    };
    (head, connection.into_parts().io.into_inner())
}

/// Keeps the connection going for as long as somebody waits for what comes of it.
async fn drive<S>(connection: &mut Connection<TokioIo<S>, Empty<Bytes>>) -> Infallible
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    // How it ends is told to who asked.
    let _ = future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
    future::pending().await
}

/// Reads a body to its end, or as far as is of interest.
async fn read(mut body: Incoming) -> Result<(), Miss> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let half = Failure::Protocol(ProtocolFault::HalfBody);
            Miss::of_hyper(&error, half)
        })?;
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes >= MOST_BODY {
            break;
        }
    }
    Ok(())
}

fn head_miss(error: &hyper::Error) -> Miss {
    let fault = if error.is_parse() {
        ProtocolFault::Malformed
    } else {
        ProtocolFault::NoAnswer
    };
    Miss::of_hyper(error, Failure::Protocol(fault))
}
