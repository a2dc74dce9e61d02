//! Answers that break on the wire. A body that fails makes the server close the connection; what was flushed by then
//! is what the client got.

use std::io::{self, Write as _};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt as _};

use crate::Faults;
use crate::gate::Api;
use crate::tenants::Mishap;

/// A slow body comes in so many drops.
const DROPS: u32 = 10;
const PADDING: Bytes = Bytes::from_static(&[b' '; 16_384]);

/// Not even a head: the body fails in the same poll that wrote the head, before anything is flushed.
pub(crate) fn lost() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(cut()) })))
}

/// What a proxy in front of the vendor says.
pub(crate) fn bad_gateway() -> Response {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n\
                <body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n";
    (StatusCode::BAD_GATEWAY, Html(page)).into_response()
}

/// Does to the body what the switches ask for.
pub(crate) async fn shape(
    api: Api,
    faults: &Faults,
    mishap: Mishap,
    asked: Asked,
    response: Response,
) -> Response {
    if mishap == Mishap::Lost {
        return lost();
    }
    let (mut head, body) = response.into_parts();
    // A body of the simulator is in memory and never fails.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = if head.status.is_success() { swapped(body, faults) } else { body };
    let mut body = spoiled(body, mishap);
    // The server sets it again where the body has a length.
    head.headers.remove(header::CONTENT_LENGTH);
    if faults.gzip && asked.gzip && faults.huge_body_bytes == 0 {
        body = zipped(&body);
        head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        head.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let body = if mishap == Mishap::Reset {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        half(&body)
    } else if faults.huge_body_bytes > 0 {
        padded(faults.huge_body_bytes, body)
    } else if faults.slow_body.is_zero() {
        Body::from(body)
    } else {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        dripping(api, faults.slow_body, body)
    };
    Response::from_parts(head, body)
}

/// What the request says about the body of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    gzip: bool,
}

impl Asked {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let accepted =
            headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let gzip = accepted.flat_map(|value| value.split(',')).any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
            name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
        });
        Self { gzip }
    }
}

fn swapped(body: Bytes, faults: &Faults) -> Bytes {
    if faults.body_swaps.is_empty() {
        return body;
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    faults.body_swaps.iter().fold(text, |text, swap| swap.apply(&text)).into()
}

fn spoiled(body: Bytes, mishap: Mishap) -> Bytes {
    match mishap {
        Mishap::Truncated => body.slice(..body.len() / 2),
        Mishap::Malformed => String::from_utf8_lossy(&body).replacen(':', "=", 1).into(),
        _ => body,
    }
}

fn zipped(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    // Memory takes every write.
    written.unwrap_or_default().into()
}

fn half(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let end = stream::once(async {
        // A body that waits makes the server flush what it has.
        tokio::task::yield_now().await;
        Err(cut())
    });
    Body::from_stream(stream::once(async { Ok(half) }).chain(end))
}

fn padded(bytes: u64, body: Bytes) -> Body {
    let whole = bytes / PADDING.len() as u64;
    let rest = PADDING.slice(..usize::try_from(bytes % PADDING.len() as u64).unwrap_or(0));
    let padding = stream::iter((0..whole).map(|_| PADDING));
    let body = padding.chain(stream::iter([rest, body]));
    Body::from_stream(body.map(Ok::<_, io::Error>))
}

fn dripping(api: Api, over: Duration, body: Bytes) -> Body {
    let size = body.len().div_ceil(DROPS as usize).max(1);
    let body = stream::unfold((api, body), move |(api, mut body)| async move {
        if body.is_empty() {
            return None;
        }
        api.pause(over / DROPS).await;
        let drop = body.split_to(size.min(body.len()));
        Some((Ok::<_, io::Error>(drop), (api, body)))
    });
    Body::from_stream(body)
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "a fault switch of the simulator cut the connection")
}
