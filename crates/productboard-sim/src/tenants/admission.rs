//! What becomes of one request: counted, dead or live, within the rate, refused or let in.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::token::{Dead, Token};
use super::{Book, Tenant, Tenants};
use crate::error::ApiError;
use crate::index::Served;
use crate::limit::Quota;
use crate::{Access, Faults, Plan, Region, Route, TokenKind};

/// The scopes that OAuth tokens had in vain in March 2026.
const VAIN: [&str; 3] = ["members:read", "teams:read", "analytics:read"];

/// One request, as it reaches the gate.
pub(crate) struct Knock<'a> {
    pub(crate) token: &'a str,
    pub(crate) route: Route,
    /// The host it came to.
    pub(crate) region: Region,
    pub(crate) at: Instant,
    /// By the vendor's clock.
    pub(crate) now: DateTime<Utc>,
}

/// What one request of a live token gets.
pub(crate) struct Admission {
    pub(crate) workspace: Arc<Served>,
    pub(crate) access: Arc<Access>,
    pub(crate) faults: Arc<Faults>,
    /// Which request of its token it is, counted from 1.
    pub(crate) number: u64,
    pub(crate) quota: Option<Quota>,
    pub(crate) outcome: Result<Mishap, ApiError>,
}

/// What happens to an answer that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    /// A proxy answers, in HTML.
    Proxy,
    /// The connection ends before the head.
    Lost,
    /// The connection ends in the middle.
    Reset,
    /// The JSON ends in the middle.
    Truncated,
    /// It is no JSON.
    Malformed,
}

impl Tenants {
    /// Counts a request and decides about it. `None`: the token is unknown, dead or of the other data centre.
    pub(crate) fn admit(&self, knock: &Knock<'_>) -> Option<Admission> {
        let mut book = self.book();
        book.end_by_count(knock);
        if !book.tokens.contains_key(knock.token) {
            book.note_stranger(knock);
            return None;
        }
        let Book { workspaces, tokens, .. } = &mut *book;
        let token = tokens.get_mut(knock.token)?;
        let tenant = workspaces.get_mut(&token.domain)?;
        token.entries.note(knock.route, knock.at, knock.now);
        if !token.opens(tenant, knock) {
            token.entries.note_refusal();
            return None;
        }
        let (quota, admitted) = match self.requests_per_second {
            0 => (None, Ok(())),
            limit => {
                let (quota, admitted) = token.recent.admit(limit, knock.at);
                (Some(quota), admitted)
            }
        };
        let faults = token.switches.over(&tenant.switches);
        let outcome =
            admitted.map_err(ApiError::too_many).and_then(|()| token.outcome(tenant, &faults, knock.route));
        if outcome.is_err() {
            token.entries.note_refusal();
        }
        let (workspace, access) = (Arc::clone(&tenant.data), Arc::clone(&token.access));
        Some(Admission { workspace, access, faults, number: token.entries.requests(), quota, outcome })
    }
}

impl Book {
    /// `revoke_after` and `expire_after`: of a token they end that token, of a workspace each of its tokens.
    fn end_by_count(&mut self, knock: &Knock<'_>) {
        let Self { workspaces, tokens, .. } = self;
        let Some(token) = tokens.get_mut(knock.token) else { return };
        if let Some(end) = token.switches.take_own(counts_down, count_down) {
            token.end(end, knock.now);
        }
        let Some(tenant) = workspaces.get_mut(&token.domain) else { return };
        if let Some(end) = tenant.switches.take_own(counts_down, count_down) {
            let domain = token.domain.clone();
            let of_workspace = tokens.values_mut().filter(|token| token.domain == domain);
            of_workspace.for_each(|token| token.end(end, knock.now));
        }
    }
}

fn counts_down(faults: &Faults) -> bool {
    faults.revoke_after.is_some() || faults.expire_after.is_some()
}

/// Some: it is over, with this request.
fn count_down(faults: &mut Faults) -> Option<Dead> {
    let over = |left: &mut Option<u64>| match left {
        Some(0) => left.take().is_some(),
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    };
    let (revoked, expired) = (over(&mut faults.revoke_after), over(&mut faults.expire_after));
    revoked.then_some(Dead::Revoked).or_else(|| expired.then_some(Dead::Expired))
}

fn has_mishaps(faults: &Faults) -> bool {
    let Faults { html_error, reset_before_head, reset_mid_body, truncated_json, malformed_json, .. } = faults;
    [html_error, reset_before_head, reset_mid_body, truncated_json, malformed_json]
        .iter()
        .any(|left| **left > 0)
}

/// Takes one of a count; Some while there was one.
fn one(left: &mut u64) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

impl Token {
    fn opens(&mut self, tenant: &Tenant, knock: &Knock<'_>) -> bool {
        match self.dead(knock.now) {
            Some(Dead::Revoked) => self.entries.note_revoked(),
            Some(Dead::Expired) => self.entries.note_expired(),
            None => return tenant.region == knock.region,
        }
        false
    }

    fn outcome(&mut self, tenant: &mut Tenant, faults: &Faults, route: Route) -> Result<Mishap, ApiError> {
        self.forced(tenant, faults, route).map_or(Ok(()), Err)?;
        self.permitted(tenant.plan, faults, route)?;
        let mishap = self.switches.take(&mut tenant.switches, has_mishaps, |faults| {
            let proxy = one(&mut faults.html_error).map(|()| Mishap::Proxy);
            let lost = || one(&mut faults.reset_before_head).map(|()| Mishap::Lost);
            let reset = || one(&mut faults.reset_mid_body).map(|()| Mishap::Reset);
            let truncated = || one(&mut faults.truncated_json).map(|()| Mishap::Truncated);
            let malformed = || one(&mut faults.malformed_json).map(|()| Mishap::Malformed);
            proxy.or_else(lost).or_else(reset).or_else(truncated).or_else(malformed)
        });
        Ok(mishap.unwrap_or(Mishap::None))
    }

    fn forced(&mut self, tenant: &mut Tenant, faults: &Faults, route: Route) -> Option<ApiError> {
        let storms = |faults: &Faults| faults.storm_429.is_some_and(|storm| storm.requests > 0);
        let storm = self.switches.take(&mut tenant.switches, storms, |faults| {
            let storm = faults.storm_429.as_mut()?;
            one(&mut storm.requests).map(|()| storm.retry_after_secs)
        });
        if let Some(seconds) = storm {
            return Some(ApiError::too_many(seconds));
        }
        let fails = |faults: &Faults| !faults.fail_next.is_empty();
        let status = self.switches.take(&mut tenant.switches, fails, |faults| faults.fail_next.pop_front());
        let number = self.entries.requests();
        let burst = || faults.burst_5xx.is_some_and(|burst| burst.hits(number)).then_some(503);
        let unauthorized = || faults.unauthorized_on.contains(&route).then_some(401);
        let broken = || faults.broken.contains(&route).then_some(503);
        status.or_else(burst).or_else(unauthorized).or_else(broken).map(ApiError::forced)
    }

    fn permitted(&self, plan: Plan, faults: &Faults, route: Route) -> Result<(), ApiError> {
        let is_key = self.access.kind == TokenKind::ApiKey;
        let scope = route.scope();
        if plan == Plan::Essentials && is_key {
            return Err(ApiError::plan_upgrade());
        }
        let vain = faults.oauth_forbidden && !is_key && VAIN.contains(&scope);
        if vain || faults.forbidden.contains(&route) || !self.access.allows(scope) {
            let code = if faults.access_missing_scope { "access.missing_scope" } else { "auth.accessDenied" };
            return Err(ApiError::missing_scope(scope, code));
        }
        let of_analytics = scope == "analytics:read";
        if of_analytics && plan == Plan::WithoutAnalytics {
            return Err(ApiError::plan_upgrade());
        }
        faults
            .analytics_unavailable
            .filter(|_| of_analytics)
            .map_or(Ok(()), |status| Err(ApiError::forced(status)))
    }

    fn end(&mut self, end: Dead, now: DateTime<Utc>) {
        match end {
            Dead::Revoked => drop(self.revoke()),
            Dead::Expired => self.expire(now),
        }
    }
}
