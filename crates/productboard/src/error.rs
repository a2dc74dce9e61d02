//! What can go wrong, by what the caller can do about it. No error holds the token, a query or a member's name.

use std::time::Duration;
use std::{fmt, io};

/// The library's error below ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 401: ask for a new token.
    #[error("could not {attempted}: Productboard does not accept the token: {}", reason.sentence())]
    Rejected {
        /// What the request was for.
        attempted: &'static str,
        /// What the vendor says is wrong with it.
        reason: Rejection,
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
    /// The workspace's plan does not include this: 402, 501 or a 404 other than `route.notFound` from analytics, or
    /// `planUpgrade.required`.
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
    /// Nobody was reached, or somebody else than the vendor. Look at the network or the base URL.
    #[error("cannot reach {host}: {}", cause.sentence())]
    Unreachable {
        /// Host, and port where it is not the usual one.
        host: String,
        /// Why, as far as it shows.
        cause: Cause,
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

/// What a 401 says about the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// No token arrived.
    Missing,
    /// It is no token at all: one that was copied in part.
    Malformed,
    /// HTTP Basic, which the vendor does not take.
    Basic,
    /// Nobody issued it here: it was revoked, or it is of the other region.
    UnknownIssuer,
    /// Expired, revoked or unknown: the documented answer.
    Invalid,
    /// The answer does not say.
    Unsaid,
}

impl Rejection {
    /// What is wrong, in words, without the remedy.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "no key arrived there",
            Self::Malformed => "what was sent is not a whole key",
            Self::Basic => "it was sent by HTTP Basic, which Productboard does not take",
            Self::UnknownIssuer => "nobody knows it there, so it was revoked or belongs to the other region",
            Self::Invalid => "it was revoked, has expired or belongs to the other region",
            Self::Unsaid => "the answer does not say why",
        }
    }
}

/// Why the vendor was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The host's certificate is signed by nobody whom this machine trusts, has expired or is for another name.
    UntrustedCertificate,
    /// What answers there does not speak TLS.
    NoTls,
    /// The name has no address.
    UnknownHost,
    /// Nobody listens at the address.
    Refused,
    /// No connection came about in time.
    TimedOut,
    /// A proxy does not pass the request on.
    Proxy,
    /// Somebody answered with a web page: a proxy, a login page, another server.
    WebPage,
    /// Something else; the source says what.
    Other,
}

impl Cause {
    /// What happened and what to do about it.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::UntrustedCertificate => {
                "its certificate is not trusted here. If a proxy inspects TLS, add the proxy's CA to the system's \
                 trusted certificates, or name it in SSL_CERT_FILE"
            }
            Self::NoTls => {
                "it does not speak TLS. Check the port, and whether the URL should begin with http"
            }
            Self::UnknownHost => {
                "the name is unknown. Check the URL for a typing error, and this machine's DNS"
            }
            Self::Refused => {
                "nothing listens there. Check the port, and that a firewall lets this machine out"
            }
            Self::TimedOut => {
                "no connection came about in time. Check that a firewall lets this machine out, and whether a proxy \
                 is needed (HTTPS_PROXY)"
            }
            Self::Proxy => {
                "the proxy does not pass requests on. Check HTTPS_PROXY, its user and its password"
            }
            Self::WebPage => {
                "a web page came instead of an answer. Check the URL; or a proxy or a login page stands in between"
            }
            Self::Other => "check the network and the URL",
        }
    }

    /// Sorts the library's error by what lies below it.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        let mut words = String::new();
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>()
                && io.kind() == io::ErrorKind::ConnectionRefused
            {
                return Self::Refused;
            }
            words += &error.to_string().to_lowercase();
            next = error.source();
        }
        let says = |any: &[&str]| any.iter().any(|word| words.contains(word));
        if says(&["certificate"]) {
            Self::UntrustedCertificate
        } else if says(&["corrupt message", "invalidcontenttype"]) {
            Self::NoTls
        } else if says(&["dns error", "lookup address"]) {
            Self::UnknownHost
        } else if says(&["proxy", "tunnel"]) {
            Self::Proxy
        } else if error.is_timeout() || says(&["timed out"]) {
            Self::TimedOut
        } else {
            Self::Other
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
