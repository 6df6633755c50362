//! `grpc`: a call of `grpc.health.v1.Health/Check`
//! ([the protocol](https://github.com/grpc/grpc/blob/master/doc/health-checking.md)), over HTTP/2 without TLS.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http2,
    header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{http::AGENT, miss::Miss};
use crate::health::{Failure, GrpcFault, Nothing};

/// How much of an answer is read: the health is a few bytes.
const MOST_ANSWER: usize = 4 * 1024;

/// How much may be under way to us at a time: the least that HTTP/2 has as its default.
const WINDOW: u32 = 65_535;

/// `SERVING`.
const SERVING: u32 = 1;

/// Asks the server at `to` for the health of `service`, and passes where that is to serve.
pub(super) async fn check(to: SocketAddr, service: &str, stream: TcpStream) -> Result<(), Miss> {
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| no_grpc(&error))?;
    // It ends with `sender`; how it does is told to who asked.
    tokio::spawn(connection);
    let request = Request::post(format!("http://{to}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::new(question(service)))
        .map_err(|_| Nothing::Request)?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| no_grpc(&error))?;
    let health = health(answer).await?;
    if health == SERVING {
        Ok(())
    } else {
        Err(Failure::Grpc(GrpcFault::Health(health)).into())
    }
}

/// A `HealthCheckRequest` in its frame.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(1 << 3 | LENGTH);
        write_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).expect("no name of a service has 4 GiB");
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.append(&mut message);
    frame.into()
}

/// What the answer says, once it is whole and the call succeeded.
async fn health(answer: Response<Incoming>) -> Result<u32, Miss> {
    let (parts, body) = answer.into_parts();
    let kind = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
    if parts.status != StatusCode::OK || !is_grpc {
        return Err(MALFORMED.into());
    }
    let body = Limited::new(body, MOST_ANSWER).collect().await;
    let body = body.map_err(|error| {
        let of_hyper = error.downcast_ref().map(no_grpc);
        of_hyper.unwrap_or(MALFORMED.into())
    })?;
    // Where there is no body, the headers may be the trailers.
    let code = body.trailers().and_then(status);
    match code.or_else(|| status(&parts.headers)).ok_or(MALFORMED)? {
        0 => {}
        code => return Err(Failure::Grpc(GrpcFault::Code(code)).into()),
    }
    let health = read_health(&body.to_bytes());
    Ok(health.ok_or(MALFORMED)?)
}

const MALFORMED: Failure = Failure::Grpc(GrpcFault::Malformed);

fn no_grpc(error: &hyper::Error) -> Miss {
    Miss::of_hyper(error, MALFORMED)
}

fn status(trailers: &HeaderMap) -> Option<u32> {
    trailers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The wire types of [Protocol Buffers](https://protobuf.dev/programming-guides/encoding/) that a message may have.
const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const LENGTH: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// The `status` of a `HealthCheckResponse` in its frame; 0 where it says none, `None` where it is no such message.
fn read_health(frame: &[u8]) -> Option<u32> {
    let ([0, length @ ..], mut message) = frame.split_first_chunk::<5>()? else {
        return None;
    };
    if u32::from_be_bytes(*length) as usize != message.len() {
        return None;
    }
    let mut health = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        let wire_type = u8::try_from(key & 7).expect("three bits");
        let skipped = match wire_type {
            VARINT => {
                let value = read_varint(&mut message)?;
                if key >> 3 == 1 {
                    health = u32::try_from(value).ok()?;
                }
                0
            }
            EIGHT_BYTES => 8,
            LENGTH => usize::try_from(read_varint(&mut message)?).ok()?,
            FOUR_BYTES => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(health)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn write_varint(bytes: &mut Vec<u8>, mut value: usize) {
    let low = |value: usize| u8::try_from(value & 0x7f).expect("seven bits");
    while value >= 0x80 {
        bytes.push(low(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low(value));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(message: &[u8], expected: Option<u32>) {
        let length = u32::try_from(message.len()).expect("a short message");
        let frame = [&[0], &length.to_be_bytes()[..], message].concat();
        assert_eq!(read_health(&frame), expected, "{message:?}");
    }

    #[test]
    fn reads_the_health_and_skips_what_it_does_not_know() {
        check(&[], Some(0));
        check(&[0x08, 1], Some(1));
        check(&[0x08, 0x80, 0x01], Some(128));
        check(&[0x12, 2, 9, 9, 0x08, 2], Some(2));
        check(&[0x1d, 0, 0, 0, 0, 0x08, 1], Some(1));
        check(&[0x08], None);
        check(&[0x12, 200, 1], None);
        check(&[0x0b, 1], None);
        assert_eq!(read_health(&[1, 0, 0, 0, 2, 8, 1]), None, "compressed");
        assert_eq!(read_health(&[0, 0, 0, 0, 3, 8, 1]), None, "cut short");
    }

    #[test]
    fn writes_the_service_that_is_asked_for() {
        assert_eq!(*question(""), [0, 0, 0, 0, 0]);
        assert_eq!(*question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            read_health(&bytes);
        }
    }
}
