//! What can go wrong with OAuth, by what the caller can do about it. No error holds a token, a code or a secret.

use std::time::Duration;

use oauth2::RequestTokenError;
use oauth2::basic::BasicErrorResponse;

use crate::credential::bounded;
use crate::{BoxError, Cause};

/// The code of a refusal by a bare 401.
pub(super) const UNAUTHORIZED: &str = "status 401";

/// Why the OAuth server gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The code, the refresh token or the assertion is used up, expired or revoked: ask for consent again.
    #[error("could not {attempted}: Productboard does not accept the grant any more{}", Said(said))]
    InvalidGrant {
        /// What the request was for.
        attempted: &'static str,
        /// The vendor's words.
        said: String,
    },
    /// The application's id or secret is wrong: the operator has to mend it. The grant may be as good as before.
    #[error("could not {attempted}: Productboard does not know this application or its secret{}", Said(said))]
    InvalidClient {
        /// What the request was for.
        attempted: &'static str,
        /// The vendor's words.
        said: String,
    },
    /// Another refusal, such as a scope that the application lacks.
    #[error("could not {attempted}: Productboard refused ({code}){}", Said(said))]
    Refused {
        /// What the request was for.
        attempted: &'static str,
        /// The code after RFC 6749, or the status.
        code: String,
        /// The vendor's words.
        said: String,
    },
    /// Too many requests: nothing was done, come back later.
    #[error("could not {attempted}: too many requests, wait {} s", retry_after.as_secs())]
    RateLimited {
        /// What the request was for.
        attempted: &'static str,
        /// How long to wait.
        retry_after: Duration,
    },
    /// It was sent, and no usable answer came: it may have been done. A refresh token may be spent and rotated.
    #[error("could not {attempted}: no usable answer came, and it may have been done")]
    InDoubt {
        /// What the request was for.
        attempted: &'static str,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// What broke, if there was no answer.
        source: Option<BoxError>,
    },
    /// Trouble at the vendor while only asking: ask again later.
    #[error("could not {attempted}: Productboard is in trouble")]
    Unavailable {
        /// What the request was for.
        attempted: &'static str,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// What broke, if there was no answer.
        source: Option<BoxError>,
    },
    /// Nothing was sent: the name is unknown, nobody listens, or TLS failed.
    #[error("cannot reach {host}: {}", cause.sentence())]
    Unreachable {
        /// Host, and port where it is not the usual one.
        host: String,
        /// Why, as far as it shows.
        cause: Cause,
        /// What the network said.
        source: BoxError,
    },
    /// Nobody answers there as documented: nothing was done.
    #[error("could not {attempted}: the API has changed: {problem}")]
    VendorChanged {
        /// What the request was for.
        attempted: &'static str,
        /// What is wrong, and where.
        problem: String,
    },
    /// The host, the application or the key of an assertion was set up wrongly.
    #[error("OAuth is not set up right: {0}")]
    Configuration(String),
}

struct Said<'a>(&'a str);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// A request without an answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("cannot reach {host}")]
    Unreachable { host: String, cause: Cause, source: BoxError },
    #[error("too many requests")]
    RateLimited(Duration),
    #[error("status {0}")]
    Status(u16),
    /// A redirect, or nobody of that name: nothing was done.
    #[error("status {0}")]
    Elsewhere(u16),
    /// Refused, and not in the words of OAuth: by a proxy, perhaps. Nothing was done.
    #[error("status {0}")]
    Refused(u16),
    #[error("no answer")]
    Sent(#[source] BoxError),
}

impl NoAnswer {
    /// The library's error would show the URL with its query.
    pub(super) fn sent(error: reqwest::Error) -> Self {
        Self::Sent(error.without_url().into())
    }

    pub(super) fn into_error(self, attempted: &'static str) -> Error {
        match self {
            Self::Unreachable { host, cause, source } => Error::Unreachable { host, cause, source },
            Self::RateLimited(retry_after) => Error::RateLimited { attempted, retry_after },
            Self::Status(status) => Error::InDoubt { attempted, status: Some(status), source: None },
            Self::Elsewhere(status) => {
                Error::VendorChanged { attempted, problem: format!("status {status} instead of an answer") }
            }
            Self::Refused(status) => {
                Error::Refused { attempted, code: format!("status {status}"), said: String::new() }
            }
            Self::Sent(source) => Error::InDoubt { attempted, status: None, source: Some(source) },
        }
    }
}

impl Error {
    pub(super) fn configuration(error: crate::Error) -> Self {
        match error {
            crate::Error::Configuration(problem) => Self::Configuration(problem),
            error => Self::Configuration(error.to_string()),
        }
    }

    /// Sorts the library's error. Its own words may show what was answered, tokens included: none of them is kept.
    pub(super) fn of(
        attempted: &'static str,
        error: RequestTokenError<NoAnswer, BasicErrorResponse>,
    ) -> Self {
        match error {
            RequestTokenError::ServerResponse(error) => sorted(attempted, &error),
            RequestTokenError::Request(no_answer) => no_answer.into_error(attempted),
            RequestTokenError::Parse(error, _) => Self::InDoubt {
                attempted,
                status: None,
                source: Some(format!("the answer does not parse at {}", error.path()).into()),
            },
            RequestTokenError::Other(_) => Self::InDoubt {
                attempted,
                status: None,
                source: Some("the answer is empty or no JSON".into()),
            },
        }
    }
}

/// Whether a body is a refusal in the words of OAuth.
pub(super) fn is_refusal(body: &[u8]) -> bool {
    serde_json::from_slice::<BasicErrorResponse>(body).is_ok()
}

/// A refusal of a request that the library did not make.
pub(super) fn refused(attempted: &'static str, body: &[u8]) -> Error {
    match serde_json::from_slice::<BasicErrorResponse>(body) {
        Ok(error) => sorted(attempted, &error),
        Err(_) => Error::VendorChanged { attempted, problem: "a refusal of another shape".to_owned() },
    }
}

/// Only the code is trusted to be told: a description may quote what was sent.
fn sorted(attempted: &'static str, error: &BasicErrorResponse) -> Error {
    let code = bounded(error.error().as_ref());
    let said = match code.as_str() {
        "invalid_scope" | "unauthorized_client" | "unsupported_grant_type" => {
            error.error_description().map(|text| bounded(text)).unwrap_or_default()
        }
        _ => String::new(),
    };
    match code.as_str() {
        "invalid_grant" | "invalid_token" => Error::InvalidGrant { attempted, said },
        "invalid_client" => Error::InvalidClient { attempted, said },
        _ => Error::Refused { attempted, code, said },
    }
}
