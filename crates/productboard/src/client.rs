//! The client: how it is made, and the three ways in which its operations ask: for pages, for one thing, for a deletion.
//! Which operations there are stands in the modules below, one per resource.

mod analytics;
mod entities;
mod members;
mod notes;
mod teams;
mod webhooks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::Method;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use crate::decode::{WireOne, WirePage};
use crate::exchange::Exchange;
use crate::operation::Operation;
use crate::paging::{Cursor, Keyed, Page, Pages, Step, Trail};
use crate::request::Request;
use crate::transport::Transport;
use crate::transport::USER_AGENT;
use crate::{AuthScheme, Error, LocalBudget, RateBudget, host};

/// How the client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long one request may take, the whole answer included. A longer `Retry-After` is not waited for.
    pub request_timeout: Duration,
    /// How long one call, or one page of a list, may take with all its attempts and pauses.
    pub deadline: Duration,
    /// How often a page is asked for, the first time included.
    pub max_attempts: u32,
    /// The pace, to be shared by all clients of one token.
    pub budget: Arc<dyn RateBudget>,
    /// How the token is sent.
    pub auth_scheme: AuthScheme,
    /// Hosts beside `productboard.com` and below that may get the token, such as a gateway. They may lack TLS.
    pub trusted_hosts: Vec<String>,
    /// What the vendor sees of us.
    pub user_agent: String,
    /// Connections to share with other clients of the same host; it has a time-out and a user agent of its own.
    pub transport: Option<Transport>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(120),
            max_attempts: 4,
            budget: Arc::new(LocalBudget::new(50)),
            auth_scheme: AuthScheme::default(),
            trusted_hosts: Vec::new(),
            user_agent: USER_AGENT.to_owned(),
            transport: None,
        }
    }
}

impl Options {
    /// Also trusts the host of a URL that the operator chose.
    #[must_use]
    pub fn trust(mut self, url: &Url) -> Self {
        self.trusted_hosts.extend(url.host_str().map(str::to_owned));
        self
    }
}

/// The vendor's announcement that an operation will go away, from the headers `Deprecation` and `Sunset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// The operation, as in `list teams`.
    pub operation: &'static str,
    /// Since when it should not be used, in the vendor's words.
    pub deprecated: Option<String>,
    /// When it ends, in the vendor's words.
    pub sunset: Option<String>,
}

impl fmt::Display for Deprecation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("announced by the vendor (")?;
        match (&self.deprecated, &self.sunset) {
            (Some(since), Some(end)) => write!(f, "deprecated {since}, ends {end})"),
            (Some(since), None) => write!(f, "deprecated {since})"),
            (None, end) => write!(f, "ends {})", end.as_deref().unwrap_or_default()),
        }
    }
}

/// Reads one workspace: the one that the token belongs to. Cheap to clone; clones share connections and budgets.
#[derive(Clone)]
pub struct Client {
    base_url: Url,
    exchange: Arc<Exchange>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url.as_str())
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the API below `base_url`, for example `https://api.productboard.com`. Sends nothing yet.
    #[expect(clippy::needless_pass_by_value, reason = "a secret is handed over, not shown around")]
    pub fn new(base_url: &Url, token: SecretString, options: Options) -> Result<Self, Error> {
        host::check("base URL", base_url, &options.trusted_hosts)?;
        let exchange = Arc::new(Exchange::new(base_url, &token, options)?);
        Ok(Self { base_url: base_url.clone(), exchange })
    }

    /// What the vendor announced, in the answers so far, to take away.
    pub fn deprecations(&self) -> Vec<Deprecation> {
        self.exchange.deprecations()
    }

    fn get(&self, operation: Operation, path: &[&str]) -> Request {
        self.request(operation, Method::GET, path)
    }

    fn request(&self, operation: Operation, method: Method, path: &[&str]) -> Request {
        Request::new(operation, method, &self.base_url, path)
    }

    async fn one<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        self.exchange.one::<WireOne<T>>(&request).await.map(|answer| answer.data)
    }

    fn pages<T>(&self, request: Request, start: Option<Cursor>) -> Pages<T>
    where
        T: DeserializeOwned + Keyed + Send + 'static,
    {
        let walk = Walk {
            exchange: Arc::clone(&self.exchange),
            request,
            trail: Trail::new(start.as_ref()),
            place: Place::Before(start),
        };
        stream::try_unfold(walk, Walk::step).boxed()
    }
}

/// One list being read.
struct Walk {
    exchange: Arc<Exchange>,
    /// The request of every page, but for the cursor.
    request: Request,
    trail: Trail,
    place: Place,
}

enum Place {
    /// Before the first page, or the page of a cursor.
    Before(Option<Cursor>),
    /// Behind a page whose next link leads nowhere.
    Broken(Error),
    End,
}

impl Walk {
    async fn step<T: DeserializeOwned + Keyed>(mut self) -> Result<Option<(Page<T>, Self)>, Error> {
        let cursor = match self.place {
            Place::Before(cursor) => cursor,
            Place::Broken(error) => return Err(error),
            Place::End => return Ok(None),
        };
        let page: WirePage<T> = self.exchange.page(&self.request.at(cursor.as_ref())).await?;
        let (mut next, mut flags) = (None, Vec::new());
        let keys = page.data.iter().map(Keyed::key).chain(page.unreadable.iter().map(Keyed::key));
        self.place = match self.trail.advance(page.next_link(), keys) {
            Ok(Step::Next(cursor)) => {
                next = Some(cursor.clone());
                Place::Before(Some(cursor))
            }
            Ok(Step::End) => Place::End,
            Ok(Step::Circle(flag)) => {
                flags.push(flag);
                Place::End
            }
            // The rows are as good as any: they come first, the error after them.
            Err(bad) => {
                let attempted = self.request.operation.attempted;
                let (path, problem) = ("links.next".to_owned(), bad.0);
                Place::Broken(Error::VendorChanged { attempted, path, problem, vendor_id: None })
            }
        };
        Ok(Some((Page { items: page.data, next, unreadable: page.unreadable, flags }, self)))
    }
}
