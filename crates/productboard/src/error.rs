//! What can go wrong, by what the caller can do about it. No error holds the token, a query or a member's name.

use std::fmt;
use std::time::Duration;

/// The library's error below ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401: ask for a new token.
    #[error("could not {attempted}: Productboard does not accept the token")]
    Rejected {
        /// What the request was for.
        attempted: &'static str,
        /// The vendor's id of this error.
        vendor_id: Option<String>,
    },
    /// 403: the token lives, but may not do this.
    #[error("could not {attempted}: the token lacks {}", Scope(missing_scope.as_deref()))]
    Forbidden {
        /// What the request was for.
        attempted: &'static str,
        /// The scope it takes, where the vendor names it.
        missing_scope: Option<String>,
        /// The vendor's id of this error.
        vendor_id: Option<String>,
    },
    /// The workspace's plan does not include this: 404 or 501 from analytics, or `planUpgrade.required`.
    #[error("could not {attempted}: this workspace's plan does not offer it (status {status})")]
    NotAvailable {
        /// What the request was for.
        attempted: &'static str,
        /// The HTTP status.
        status: u16,
        /// The vendor's id of this error.
        vendor_id: Option<String>,
    },
    /// 429, after the last attempt or with a pause too long to wait for here: come back later.
    #[error("could not {attempted}: too many requests, wait {} s", retry_after.as_secs())]
    RateLimited {
        /// What the request was for.
        attempted: &'static str,
        /// How long the vendor asks to wait.
        retry_after: Duration,
        /// The vendor's id of this error.
        vendor_id: Option<String>,
    },
    /// 408, 425, 5xx, a broken connection or a time-out, after the last attempt: try later.
    #[error("could not {attempted}: {}", Outage(*status))]
    Transient {
        /// What the request was for.
        attempted: &'static str,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// How long the vendor asks to wait, if it does.
        retry_after: Option<Duration>,
        /// The vendor's id of this error.
        vendor_id: Option<String>,
        /// What broke, if there was no answer.
        source: Option<BoxError>,
    },
    /// The API does not behave as documented any more: this client needs a change.
    #[error("could not {attempted}: the API has changed: {problem}{}", At(path))]
    VendorChanged {
        /// What the request was for.
        attempted: &'static str,
        /// The JSON path of the field, `.` for the whole body, empty when the body is not the point.
        path: String,
        /// What is wrong there.
        problem: String,
        /// The vendor's id of this error or request.
        vendor_id: Option<String>,
    },
    /// Any other 4xx: the request is wrong. A 404 means that the resource, such as a team, is gone.
    #[error("could not {attempted}: Productboard refused the request (status {status}): {detail}")]
    Invalid {
        /// What the request was for.
        attempted: &'static str,
        /// The HTTP status.
        status: u16,
        /// The vendor's words.
        detail: String,
        /// The vendor's id of this error.
        vendor_id: Option<String>,
    },
    /// No connection: the name is unknown, nobody listens, or TLS failed. Look at the network or the base URL.
    #[error("cannot reach {host}")]
    Unreachable {
        /// Host, and port where it is not the usual one.
        host: String,
        /// What the network said.
        source: BoxError,
    },
    /// The client was set up wrongly.
    #[error("the Productboard client is not set up right: {0}")]
    Configuration(String),
}

impl Error {
    /// The vendor's id of the error, to quote to their support.
    pub fn vendor_id(&self) -> Option<&str> {
        match self {
            Self::Rejected { vendor_id, .. }
            | Self::Forbidden { vendor_id, .. }
            | Self::NotAvailable { vendor_id, .. }
            | Self::RateLimited { vendor_id, .. }
            | Self::Transient { vendor_id, .. }
            | Self::VendorChanged { vendor_id, .. }
            | Self::Invalid { vendor_id, .. } => vendor_id.as_deref(),
            Self::Unreachable { .. } | Self::Configuration(_) => None,
        }
    }
}

struct Scope<'a>(Option<&'a str>);

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(scope) => write!(f, "the scope {scope}"),
            None => f.write_str("the permission"),
        }
    }
}

struct Outage(Option<u16>);

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "Productboard is in trouble (status {status})"),
            None => f.write_str("no complete answer came"),
        }
    }
}

struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            "." => f.write_str(" (in the whole body)"),
            path => write!(f, " (at {path})"),
        }
    }
}
