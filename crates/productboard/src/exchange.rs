//! One request over the wire: pace, send, read within bounds, and try again where that can help.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;
use url::Url;

use crate::client::{Deprecation, Options};
use crate::credential::Credential;
use crate::decode::{self, Body, Scanner, Undecodable, WirePage};
use crate::headers;
use crate::host;
use crate::metrics;
use crate::refusal::{Envelope, Refusal, is_page};
use crate::request::Request;
use crate::retry::{RetryBudget, backoff};
use crate::transport::{http_client, read};
use crate::{Cause, Error, RateBudget};

/// An answer up to this size is held and decoded in one piece; of a larger one no more is held than is kept of it.
const LARGEST_HELD: usize = 16 * 1024 * 1024;
/// No call is longer, whatever the options say.
const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// An error says what it has to say in this many bytes.
const LARGEST_REFUSAL: usize = 64 * 1024;

pub(crate) struct Exchange {
    http: reqwest::Client,
    /// Of every request; the connections may be shared with clients of other tokens.
    headers: HeaderMap,
    credential: Credential,
    budget: Arc<dyn RateBudget>,
    retries: RetryBudget,
    request_timeout: Duration,
    deadline: Duration,
    max_attempts: u32,
    deprecations: Mutex<BTreeMap<&'static str, Deprecation>>,
}

/// A whole answer of success.
struct Answer {
    body: Body,
    request_id: Option<String>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("budget", &self.budget)
            .field("request_timeout", &self.request_timeout)
            .field("deadline", &self.deadline)
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn new(base: &Url, token: &SecretString, options: Options) -> Result<Self, Error> {
        let credential = Credential::new(token, options.auth_scheme)?;
        let own = || http_client(base, options.request_timeout, &options.user_agent, HeaderMap::new());
        let shared = options.transport.map(|transport| Ok(transport.0));
        Ok(Self {
            http: shared.unwrap_or_else(own)?,
            headers: HeaderMap::from_iter([
                (header::AUTHORIZATION, credential.header()?),
                (header::ACCEPT, HeaderValue::from_static("application/json")),
            ]),
            credential,
            budget: options.budget,
            retries: RetryBudget::new(),
            request_timeout: options.request_timeout,
            deadline: options.deadline,
            max_attempts: options.max_attempts.max(1),
            deprecations: Mutex::default(),
        })
    }

    /// Asks for a page until there is one, no hope, or no patience left.
    pub(crate) async fn page<T: DeserializeOwned>(&self, request: &Request) -> Result<WirePage<T>, Error> {
        let mut page: WirePage<T> = self.ask(request, decode::page).await?;
        for row in &mut page.unreadable {
            row.problem = self.clean(request, &row.problem);
        }
        Ok(page)
    }

    /// Asks for one thing.
    pub(crate) async fn one<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        self.ask(request, |body| decode::whole(&body)).await
    }

    async fn ask<T>(
        &self,
        request: &Request,
        decode: impl Fn(Body) -> Result<T, Undecodable>,
    ) -> Result<T, Error> {
        self.until_answered(request, |answer| {
            decode(answer.body).map_err(|undecodable| {
                let undecodable = undecodable.told(|text| self.clean(request, text));
                undecodable.into_error(request.operation, answer.request_id)
            })
        })
        .await
    }

    /// Deletes.
    pub(crate) async fn delete(&self, request: &Request) -> Result<(), Error> {
        self.until_answered(request, |_| Ok(())).await
    }

    async fn until_answered<T>(
        &self,
        request: &Request,
        read: impl Fn(Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.deadline.min(LONGEST_DEADLINE);
        let (mut attempt, mut in_doubt) = (1, false);
        loop {
            self.turn(request, deadline).await?;
            let error = match self.attempt(request, deadline).await.and_then(&read) {
                Ok(answer) => {
                    self.retries.earn();
                    return Ok(answer);
                }
                // What is gone after an attempt of unknown fate was deleted by that attempt.
                Err(Error::Invalid { status: 404, .. }) if in_doubt && request.method == Method::DELETE => {
                    return read(Answer { body: Body::Plain(Vec::new()), request_id: None });
                }
                Err(error) => error,
            };
            in_doubt |= matches!(error, Error::Transient { .. });
            let Some(pause) = self.pause_after(&error, attempt, deadline, request.repeatable) else {
                return Err(error);
            };
            tracing::debug!(attempt, pause_ms = pause.as_millis(), %error, "asking Productboard again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Waits for the request's turn in the rate budget, unless that takes too long.
    async fn turn(&self, request: &Request, deadline: Instant) -> Result<(), Error> {
        let asked = Instant::now();
        let patience = self.request_timeout.min(deadline.saturating_duration_since(asked));
        let turn = self.budget.acquire(patience).await;
        metrics::waited(asked.elapsed(), turn.is_ok());
        turn.map_err(|retry_after| Error::RateLimited {
            attempted: request.operation.attempted,
            retry_after,
            vendor_id: None,
        })
    }

    /// How long to wait before the next attempt, if one can help and there is time for it.
    fn pause_after(
        &self,
        error: &Error,
        attempt: u32,
        deadline: Instant,
        repeatable: bool,
    ) -> Option<Duration> {
        let (asked_for, pause) = match error {
            Error::RateLimited { retry_after, .. } => {
                // Those who share the budget wait as well, or are told how long it would be.
                self.budget.freeze(*retry_after);
                (*retry_after, *retry_after)
            }
            Error::Transient { retry_after, .. } if repeatable => {
                let asked_for = retry_after.unwrap_or_default();
                (asked_for, backoff(attempt).max(asked_for))
            }
            Error::Unreachable { .. } => (Duration::ZERO, backoff(attempt)),
            _ => return None,
        };
        let in_time = attempt < self.max_attempts
            && asked_for <= self.request_timeout
            && Instant::now() + pause < deadline;
        let allowed = in_time && (matches!(error, Error::RateLimited { .. }) || self.retries.spend());
        allowed.then_some(pause)
    }

    /// One attempt within the call's deadline.
    async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Answer, Error> {
        let late = |_| Error::Transient {
            attempted: request.operation.attempted,
            status: None,
            retry_after: None,
            vendor_id: None,
            source: Some(format!("no answer within {} s", self.deadline.as_secs()).into()),
        };
        let (begun, operation) = (Instant::now(), request.operation.attempted);
        let sending = self.send(request).instrument(tracing::debug_span!("vendor", operation));
        let ended = timeout_at(deadline, sending).await.map_err(late).flatten();
        metrics::sent(operation, metrics::outcome(&ended), begun.elapsed());
        ended
    }

    async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let url = request.url.clone();
        let mut builder = self.http.request(request.method.clone(), url).headers(self.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        let sent = Instant::now();
        let mut response = builder.send().await.map_err(|error| broken(request, error))?;
        let headers = response.headers();
        self.budget.observe(headers::limit(headers), headers::remaining(headers));
        let deprecation = self.note_deprecation(request, headers);
        let request_id = headers::request_id(headers).map(|id| self.clean(request, id));
        if !response.status().is_success() {
            let refusal = self.refusal(request, response, request_id, deprecation).await;
            if refusal.is_of_another() {
                return Err(web_page(request, Some(refusal.status)));
            }
            return Err(refusal.into_error(request.operation));
        }
        let body = body(&mut response).await.map_err(|error| broken(request, error))?;
        self.budget.answered(sent.elapsed());
        if matches!(&body, Ok(Body::Plain(body)) if is_page(body)) {
            return Err(web_page(request, None));
        }
        let body =
            body.map_err(|undecodable| undecodable.into_error(request.operation, request_id.clone()))?;
        Ok(Answer { body, request_id })
    }

    /// What others said, made fit to be told.
    fn clean(&self, request: &Request, text: &str) -> String {
        let without = |text: String, secret: &SecretString| text.replace(secret.expose_secret(), "[secret]");
        self.credential.clean(&request.secrets.iter().fold(text.to_owned(), without))
    }

    async fn refusal(
        &self,
        request: &Request,
        mut response: Response,
        request_id: Option<String>,
        deprecation: Option<Deprecation>,
    ) -> Refusal {
        let status: StatusCode = response.status();
        let retry_after = headers::retry_after(response.headers());
        // The status says enough when the rest gets lost.
        let (body, _) = read(&mut response, LARGEST_REFUSAL).await.unwrap_or_default();
        let mut envelope = Envelope::read(&body, |text| self.clean(request, text));
        envelope.id = envelope.id.or(request_id);
        let refusal = Refusal { status, retry_after, envelope, deprecation };
        if self.credential.is_basic() { refusal.sent_by_basic() } else { refusal }
    }

    /// Keeps the vendor's announcement that an operation will go away, and warns of it once.
    fn note_deprecation(&self, request: &Request, headers: &HeaderMap) -> Option<Deprecation> {
        let said = |name| headers::text(headers, &[name]).map(|text| self.clean(request, text));
        let (deprecated, sunset) = (said("deprecation"), said("sunset"));
        if deprecated.is_none() && sunset.is_none() {
            return None;
        }
        let operation = request.operation.attempted;
        let announced = Deprecation { operation, deprecated, sunset };
        let mut known = self.deprecations.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(operation, announced.clone()).as_ref() != Some(&announced) {
            tracing::warn!(
                operation,
                deprecated = announced.deprecated,
                sunset = announced.sunset,
                "Productboard announces the end of something this client uses"
            );
        }
        Some(announced)
    }

    pub(crate) fn deprecations(&self) -> Vec<Deprecation> {
        let known = self.deprecations.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }
}

/// Reads the body of an answer. One that is too large to be held is taken apart while it comes.
async fn body(response: &mut Response) -> Result<Result<Body, Undecodable>, reqwest::Error> {
    let (begun, is_whole) = read(response, LARGEST_HELD).await?;
    if is_whole {
        return Ok(Ok(Body::Plain(begun)));
    }
    let mut scanner = Scanner::default();
    let mut fed = scanner.feed(&begun);
    drop(begun);
    while fed.is_ok()
        && let Some(chunk) = response.chunk().await?
    {
        fed = scanner.feed(&chunk);
    }
    Ok(fed.map(|()| Body::Scanned(scanner.finish())).map_err(|_| Undecodable::too_large()))
}

/// A request that somebody else answered.
fn web_page(request: &Request, status: Option<StatusCode>) -> Error {
    let (cause, source) = match status {
        Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => (Cause::Proxy, "status 407".to_owned()),
        Some(status) => (Cause::WebPage, format!("a web page with status {}", status.as_u16())),
        None => (Cause::WebPage, "a web page".to_owned()),
    };
    Error::Unreachable { host: host::shown(&request.url), cause, source: source.into() }
}

/// A request without a whole answer. The library's error would show the URL with its query.
fn broken(request: &Request, error: reqwest::Error) -> Error {
    let (connect, cause) = (error.is_connect(), Cause::of(&error));
    let source = error.without_url().into();
    if connect {
        return Error::Unreachable { host: host::shown(&request.url), cause, source };
    }
    let attempted = request.operation.attempted;
    Error::Transient { attempted, status: None, retry_after: None, vendor_id: None, source: Some(source) }
}
