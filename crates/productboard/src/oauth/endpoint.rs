//! One request to the OAuth server. It is never repeated here: codes and refresh tokens are spent by being sent.

use std::pin::Pin;
use std::time::Duration;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::error::{NoAnswer, UNAUTHORIZED, is_refusal, refused};
use super::grant::TokenResponse;
use super::{App, ClientAuthentication, Error, Grant, TokenInfo};
use crate::decode::{self, Body};
use crate::transport::{USER_AGENT, http_client, read};
use crate::{BoxError, Cause, headers, host};

const LARGEST_ANSWER: usize = 256 * 1024;

pub(super) struct Endpoint {
    base: Url,
    http: reqwest::Client,
    app: App,
}

/// A whole answer of success.
pub(super) struct Answer {
    attempted: &'static str,
    body: Vec<u8>,
}

impl Endpoint {
    pub(super) fn new(base: &Url, app: &App, timeout: Duration, trusted: &[String]) -> Result<Self, Error> {
        host::check("OAuth host", base, trusted).map_err(Error::configuration)?;
        let accept = (header::ACCEPT, HeaderValue::from_static("application/json"));
        let http = http_client(base, timeout, USER_AGENT, HeaderMap::from_iter([accept]));
        Ok(Self { base: base.clone(), http: http.map_err(Error::configuration)?, app: app.clone() })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Posts a form with the application's proof.
    pub(super) async fn post(
        &self,
        attempted: &'static str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let request = self.form(path, form);
        self.answer(attempted, request).await
    }

    /// Apart from the wait for the answer: a serializer must not cross it, or no task could own the call.
    fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let (id, secret) = (self.app.client_id.as_str(), self.app.client_secret.expose_secret());
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let mut request = self.http.post(below(&self.base, path));
        match self.app.authentication {
            ClientAuthentication::Post => {
                body.extend_pairs([("client_id", id), ("client_secret", secret)]);
            }
            ClientAuthentication::Basic => {
                let encoded =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(id), Some(encoded(secret)));
            }
        }
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(body.finish())
    }

    /// Asks about a token. The vendor wants it in the query: it must never get into an error.
    pub(super) async fn info(&self, attempted: &'static str, token: &SecretString) -> Result<Answer, Error> {
        let mut url = below(&self.base, "token/info");
        url.query_pairs_mut().append_pair("access_token", token.expose_secret());
        match self.answer(attempted, self.http.get(url)).await {
            // Asking does nothing that could be in doubt, and who is asked about is refused by a bare 401, too.
            Err(Error::InDoubt { attempted, status, source }) => {
                Err(Error::Unavailable { attempted, status, source })
            }
            Err(Error::Refused { attempted, code, .. }) if code == UNAUTHORIZED => {
                Err(Error::InvalidGrant { attempted, said: String::new() })
            }
            outcome => outcome,
        }
    }

    async fn answer(&self, attempted: &'static str, request: RequestBuilder) -> Result<Answer, Error> {
        let (status, body) = self.send(request).await.map_err(|error| error.into_error(attempted))?;
        if status.is_success() { Ok(Answer { attempted, body }) } else { Err(refused(attempted, &body)) }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
        let mut response = request.send().await.map_err(|error| self.broken(error))?;
        let status = response.status();
        let pause = headers::retry_after(response.headers()).unwrap_or(headers::DEFAULT_RETRY_AFTER);
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(NoAnswer::RateLimited(pause));
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Err(NoAnswer::Status(status.as_u16()));
        }
        if !status.is_success() && !status.is_client_error()
            || [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&status)
        {
            return Err(NoAnswer::Elsewhere(status.as_u16()));
        }
        let (body, whole) = read(&mut response, LARGEST_ANSWER).await.map_err(NoAnswer::sent)?;
        if status.is_client_error() && !is_refusal(&body) {
            return Err(NoAnswer::Refused(status.as_u16()));
        }
        if whole { Ok((status, body)) } else { Err(NoAnswer::Sent("the answer is too large".into())) }
    }

    fn broken(&self, error: reqwest::Error) -> NoAnswer {
        if error.is_connect() {
            let cause = Cause::of(&error);
            let source: BoxError = error.without_url().into();
            return NoAnswer::Unreachable { host: host::shown(&self.base), cause, source };
        }
        NoAnswer::sent(error)
    }
}

/// Sends what the OAuth library wants sent. A boxed future, so that a task can own the whole call.
impl<'c> AsyncHttpClient<'c> for Endpoint {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(NoAnswer::sent)?;
            let (status, body) = self.send(RequestBuilder::from_parts(self.http.clone(), request)).await?;
            let mut response = HttpResponse::new(body);
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

impl Answer {
    pub(super) fn grant(self) -> Result<Grant, Error> {
        self.decoded::<TokenResponse>().map(Grant::from)
    }

    pub(super) fn info(self) -> Result<TokenInfo, Error> {
        self.decoded()
    }

    fn decoded<T: DeserializeOwned>(self) -> Result<T, Error> {
        decode::whole(&Body::Plain(self.body)).map_err(|bad| Error::VendorChanged {
            attempted: self.attempted,
            problem: format!("{} at {}", bad.problem, bad.path),
        })
    }
}

/// An address below the host. The vendor's documents say `/oauth/…`, its servers listen to `/oauth2/…`.
pub(super) fn below(host: &Url, path: &str) -> Url {
    let mut url = host.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("oauth2").extend(path.split('/'));
    }
    url
}
