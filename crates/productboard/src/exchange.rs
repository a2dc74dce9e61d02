//! One page over the wire: pace, send, read within bounds, and try again where that can help.

use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use url::Url;
use uuid::Uuid;

use crate::client::Options;
use crate::decode::{self, Undecodable, WirePage};
use crate::refusal::{Envelope, Refusal, clean};
use crate::route::Route;
use crate::{Error, RateBudget};

const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// An error says what it has to say in this many bytes.
const LARGEST_REFUSAL: usize = 64 * 1024;

pub(crate) struct Exchange {
    http: reqwest::Client,
    token: SecretString,
    budget: Arc<dyn RateBudget>,
    request_timeout: Duration,
    max_attempts: u32,
    max_response_bytes: usize,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("budget", &self.budget)
            .field("request_timeout", &self.request_timeout)
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn new(token: &SecretString, options: Options) -> Result<Self, Error> {
        install_tls_provider();
        let token = SecretString::from(checked(token.expose_secret())?);
        let http = reqwest::Client::builder()
            .default_headers(headers(&token)?)
            .user_agent(&options.user_agent)
            .redirect(Policy::none())
            .timeout(options.request_timeout)
            .connect_timeout(options.request_timeout.min(LONGEST_CONNECT))
            .build()
            .map_err(|error| Error::Configuration(format!("no HTTP client could be made: {error}")))?;
        Ok(Self {
            http,
            token,
            budget: options.budget,
            request_timeout: options.request_timeout,
            max_attempts: options.max_attempts.max(1),
            max_response_bytes: options.max_response_bytes,
        })
    }

    /// Asks for one page until there is an answer, no hope, or no attempt left.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        route: Route,
        url: &Url,
    ) -> Result<WirePage<T>, Error> {
        let mut attempt = 1;
        loop {
            self.budget.acquire().await;
            let error = match self.send(route, url).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let pause = self.pause_after(&error, attempt);
            let Some(pause) = pause.filter(|_| attempt < self.max_attempts) else { return Err(error) };
            tracing::debug!(attempt, pause_ms = pause.as_millis(), %error, "asking Productboard again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// How long to wait before the next attempt, if one can help.
    fn pause_after(&self, error: &Error, attempt: u32) -> Option<Duration> {
        match error {
            Error::RateLimited { retry_after, .. } => {
                // Those who share the budget wait no longer than a request may take; then they are told themselves.
                self.budget.freeze(*retry_after.min(&self.request_timeout));
                (*retry_after <= self.request_timeout).then_some(*retry_after)
            }
            Error::Transient { .. } | Error::Unreachable { .. } => Some(backoff(attempt)),
            _ => None,
        }
    }

    async fn send<T: DeserializeOwned>(&self, route: Route, url: &Url) -> Result<WirePage<T>, Error> {
        let response = self.http.get(url.clone()).send().await.map_err(|error| broken(route, url, error))?;
        let headers = response.headers();
        self.budget.observe(limit(headers), remaining(headers));
        let request_id = request_id(headers).map(|id| clean(id, self.token.expose_secret()));
        if !response.status().is_success() {
            return Err(self.refusal(response, request_id).await.into_error(route));
        }
        let changed = |path: &str, problem: String| Error::VendorChanged {
            attempted: route.attempted(),
            path: path.to_owned(),
            problem,
            vendor_id: request_id.clone(),
        };
        let (body, whole) =
            read(response, self.max_response_bytes).await.map_err(|error| broken(route, url, error))?;
        if !whole {
            return Err(changed("", format!("an answer of more than {} bytes", self.max_response_bytes)));
        }
        decode::page(&body).map_err(|Undecodable { path, problem }| {
            changed(&path, clean(&problem, self.token.expose_secret()))
        })
    }

    async fn refusal(&self, response: Response, request_id: Option<String>) -> Refusal {
        let status: StatusCode = response.status();
        let retry_after = number(response.headers(), &["retry-after"]);
        // The status says enough when the rest gets lost.
        let (body, _) = read(response, LARGEST_REFUSAL).await.unwrap_or_default();
        let mut envelope = Envelope::read(&body, self.token.expose_secret());
        envelope.id = envelope.id.or(request_id);
        Refusal { status, retry_after: retry_after.map(Duration::from_secs), envelope }
    }
}

/// Reads a body, unpacked, up to a size; says whether that was all of it.
async fn read(mut response: Response, most: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok((body, false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, true))
}

/// A request without a whole answer. The library's error would show the URL with its query.
fn broken(route: Route, url: &Url, error: reqwest::Error) -> Error {
    let connect = error.is_connect();
    let source = error.without_url().into();
    if connect {
        return Error::Unreachable { host: host(url), source };
    }
    Error::Transient { attempted: route.attempted(), status: None, vendor_id: None, source: Some(source) }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Half to all of a pause that doubles, so that clients that failed together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(10);
    let whole = (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF);
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let share = u32::try_from(random % 1000).unwrap_or_default();
    whole / 2 + whole * share / 2000
}

fn limit(headers: &HeaderMap) -> Option<u32> {
    number(headers, &["x-ratelimit-limit-second", "ratelimit-limit", "x-ratelimit-limit"])
}

fn remaining(headers: &HeaderMap) -> Option<u32> {
    number(headers, &["x-ratelimit-remaining-second", "ratelimit-remaining", "x-ratelimit-remaining"])
}

/// The first of these headers that is a number.
fn number<N: std::str::FromStr>(headers: &HeaderMap, names: &[&str]) -> Option<N> {
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse().ok())
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    let names = ["x-request-id", "x-pb-request-id", "request-id"];
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok())
}

fn headers(token: &SecretString) -> Result<HeaderMap, Error> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        .map_err(|_| Error::Configuration("the token cannot be sent in a header".to_owned()))?;
    bearer.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (header::AUTHORIZATION, bearer),
        (header::ACCEPT, HeaderValue::from_static("application/json")),
    ]))
}

/// The token without the white space around it. What is wrong with it is said without showing it.
fn checked(token: &str) -> Result<&str, Error> {
    let token = token.trim();
    if token.is_empty() {
        return Err(Error::Configuration("the token is empty".to_owned()));
    }
    let Some(at) = token.chars().position(|c| !c.is_ascii_graphic()) else { return Ok(token) };
    let what = match token.chars().nth(at) {
        Some(c) if c.is_whitespace() => "white space",
        Some(c) if c.is_control() => "a control character",
        _ => "a character that is not ASCII",
    };
    Err(Error::Configuration(format!("the token has {what} at position {}", at + 1)))
}

/// TLS by ring. Whoever was first to choose a provider for the process is right.
fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn all_three_families_of_headers_are_read() {
        for (limits, remains) in [
            ("x-ratelimit-limit", "x-ratelimit-remaining"),
            ("ratelimit-limit", "ratelimit-remaining"),
            ("x-ratelimit-limit-second", "x-ratelimit-remaining-second"),
        ] {
            let headers = map(&[(limits, "50"), (remains, "49")]);
            assert_eq!((limit(&headers), remaining(&headers)), (Some(50), Some(49)), "{limits}");
        }
        let headers = map(&[("ratelimit-limit", "50;w=1"), ("x-ratelimit-limit", "40")]);
        assert_eq!((limit(&headers), remaining(&headers)), (Some(40), None));
    }

    #[test]
    fn the_backoff_doubles_up_to_five_seconds() {
        for (attempt, whole_ms) in
            [(1, 200), (2, 400), (3, 800), (4, 1600), (5, 3200), (6, 5000), (900, 5000)]
        {
            let whole = Duration::from_millis(whole_ms);
            for _ in 0..50 {
                let pause = backoff(attempt);
                assert!(pause >= whole / 2 && pause <= whole, "{attempt}: {pause:?}");
            }
        }
    }

    #[test]
    fn a_token_is_trimmed_and_checked_without_being_shown() {
        assert_eq!(checked(" \tpb-token\r\n").unwrap(), "pb-token");
        let cases = [
            ("  ", "the token is empty"),
            ("pb token", "the token has white space at position 3"),
            ("pb\u{7}token", "the token has a control character at position 3"),
            ("pb-tökén", "the token has a character that is not ASCII at position 5"),
        ];
        for (token, problem) in cases {
            let error = checked(token).unwrap_err().to_string();
            assert_eq!(error, format!("the Productboard client is not set up right: {problem}"));
        }
    }
}
