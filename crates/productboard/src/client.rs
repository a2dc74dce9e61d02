//! The client: which lists there are. How pages are linked is in `paging`, how one is fetched in `exchange`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use futures::{StreamExt, TryStreamExt, stream};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use crate::exchange::Exchange;
use crate::paging::{CURSOR, Cursor, Page, Pages, Trail};
use crate::route::Route;
use crate::{Activity, Error, LocalBudget, Member, RateBudget, Team, TeamMember};

/// How the client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long one request may take, the whole answer included. A longer `Retry-After` is not waited for.
    pub request_timeout: Duration,
    /// How often a page is asked for, the first time included.
    pub max_attempts: u32,
    /// A larger answer is refused, counted after unpacking.
    pub max_response_bytes: usize,
    /// The pace, to be shared by all clients of one token.
    pub budget: Arc<dyn RateBudget>,
    /// What the vendor sees of us.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            max_attempts: 4,
            max_response_bytes: 16 * 1024 * 1024,
            budget: Arc::new(LocalBudget::new(50)),
            user_agent: concat!("tidemark/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Which members to list. Without the switches only enabled members who accepted come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MembersQuery {
    /// Also disabled members.
    pub include_disabled: bool,
    /// Also members whose invitation waits to be accepted.
    pub include_pending: bool,
}

impl MembersQuery {
    /// Disabled and pending members too.
    pub fn everyone() -> Self {
        Self { include_disabled: true, include_pending: true }
    }
}

/// Reads one workspace: the one that the token belongs to. Cheap to clone.
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
        check(base_url)?;
        let exchange = Arc::new(Exchange::new(&token, options)?);
        Ok(Self { base_url: base_url.clone(), exchange })
    }

    /// The members, oldest first.
    pub fn members(&self, query: MembersQuery, start: Option<Cursor>) -> Pages<Member> {
        let switches = [
            ("includeDisabled", query.include_disabled),
            ("includeInvitationPending", query.include_pending),
        ];
        let query = switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true".to_owned()));
        self.pages(Route::Members, query.collect(), start)
    }

    /// The teams, newest first.
    pub fn teams(&self, start: Option<Cursor>) -> Pages<Team> {
        self.pages(Route::Teams, Vec::new(), start)
    }

    /// The members of one team.
    pub fn team_members(&self, team: Uuid, start: Option<Cursor>) -> Pages<TeamMember> {
        self.pages(Route::TeamMembers(team), Vec::new(), start)
    }

    /// What members did from one date to another, both included. Rows of other dates are dropped: the vendor's links
    /// have been seen to lose the window.
    pub fn member_activities(
        &self,
        from: NaiveDate,
        to: NaiveDate,
        start: Option<Cursor>,
    ) -> Pages<Activity> {
        let query = vec![("dateFrom", from.to_string()), ("dateTo", to.to_string())];
        let within = move |mut page: Page<Activity>| {
            page.items.retain(|activity| (from..=to).contains(&activity.row.day));
            page
        };
        self.pages(Route::MemberActivities, query, start).map_ok(within).boxed()
    }

    fn pages<T>(&self, route: Route, query: Vec<(&str, String)>, start: Option<Cursor>) -> Pages<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut url = route.url(&self.base_url);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let walk = Walk {
            exchange: Arc::clone(&self.exchange),
            route,
            url,
            trail: Trail::new(start.as_ref()),
            place: Place::Before(start),
        };
        stream::try_unfold(walk, Walk::step).boxed()
    }
}

/// One list being read.
struct Walk {
    exchange: Arc<Exchange>,
    route: Route,
    /// The request of every page, but for the cursor.
    url: Url,
    trail: Trail,
    place: Place,
}

enum Place {
    /// Before the first page, or the page of a cursor.
    Before(Option<Cursor>),
    End,
}

impl Walk {
    async fn step<T: DeserializeOwned>(mut self) -> Result<Option<(Page<T>, Self)>, Error> {
        let Place::Before(cursor) = self.place else { return Ok(None) };
        let mut url = self.url.clone();
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair(CURSOR, cursor.as_str());
        }
        let page = self.exchange.page::<T>(self.route, &url).await?;
        let next = self.trail.advance(page.next_link()).map_err(|bad| Error::VendorChanged {
            attempted: self.route.attempted(),
            path: "links.next".to_owned(),
            problem: bad.0,
            vendor_id: None,
        })?;
        self.place = next.clone().map_or(Place::End, |next| Place::Before(Some(next)));
        Ok(Some((Page { items: page.data, next }, self)))
    }
}

/// The base URL goes into logs, so it must not hold secrets either.
fn check(base_url: &Url) -> Result<(), Error> {
    let problem = if !["http", "https"].contains(&base_url.scheme()) {
        "is neither http nor https"
    } else if !base_url.username().is_empty() || base_url.password().is_some() {
        "holds a user name or a password"
    } else if base_url.query().is_some() || base_url.fragment().is_some() {
        "has a query or a fragment"
    } else {
        return Ok(());
    };
    Err(Error::Configuration(format!("the base URL {problem}")))
}
