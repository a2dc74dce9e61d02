//! The HTTP client below everything: its connections, its limits, and bodies up to a size.

use std::sync::Once;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use url::Url;

use crate::{Error, host};

/// What the vendor sees of us, unless told otherwise.
pub(crate) const USER_AGENT: &str = concat!("tidemark/", env!("CARGO_PKG_VERSION"));

const LONGEST_CONNECT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Connections that several clients share: to make them anew for each token costs more than a request. A host's transport
/// fits every client of that host.
#[derive(Debug, Clone)]
pub struct Transport(pub(crate) reqwest::Client);

impl Transport {
    /// Connections to `base_url` for requests of that length at most. Sends nothing yet.
    pub fn new(base_url: &Url, request_timeout: Duration) -> Result<Self, Error> {
        http_client(base_url, request_timeout, USER_AGENT, HeaderMap::new()).map(Self)
    }
}

/// A client that keeps its connections, unpacks gzip, and never follows a redirect.
pub(crate) fn http_client(
    base: &Url,
    request_timeout: Duration,
    user_agent: &str,
    defaults: HeaderMap,
) -> Result<reqwest::Client, Error> {
    install_tls_provider();
    let mut builder = reqwest::Client::builder()
        .default_headers(defaults)
        .user_agent(user_agent)
        .redirect(Policy::none())
        .timeout(request_timeout)
        // Shorter than the whole: it must be told apart that nothing was sent.
        .connect_timeout((request_timeout / 2).min(LONGEST_CONNECT))
        .tcp_keepalive(KEEPALIVE)
        .http2_keep_alive_interval(KEEPALIVE);
    if host::is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Error::Configuration(format!("no HTTP client could be made: {error}")))
}

/// Reads a body, unpacked, up to a size; says whether that was all of it.
pub(crate) async fn read(response: &mut Response, most: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(expected.min(most));
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

/// TLS by ring. Whoever was first to choose a provider for the process is right.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
