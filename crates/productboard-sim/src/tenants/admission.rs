//! What becomes of one request: counted, dead or live, within the rate, refused or let in.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::token::Token;
use super::{Book, Tenant, Tenants};
use crate::error::ApiError;
use crate::limit::Quota;
use crate::{Access, Faults, Plan, Region, Route, TokenKind, Workspace};

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
    pub(crate) workspace: Arc<Workspace>,
    pub(crate) access: Arc<Access>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) quota: Option<Quota>,
    pub(crate) refusal: Option<ApiError>,
}

impl Tenants {
    /// Counts a request and decides about it. `None`: the token is unknown, dead or of the other data centre.
    pub(crate) fn admit(&self, knock: &Knock<'_>) -> Option<Admission> {
        let mut book = self.book();
        book.end_by_count(knock);
        let Book { workspaces, tokens } = &mut *book;
        let token = tokens.get_mut(knock.token)?;
        token.requests += 1;
        let tenant = workspaces.get_mut(&token.domain)?;
        if token.dead(knock.now).is_some() || tenant.region != knock.region {
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
        let refusal = match admitted {
            Err(seconds) => Some(ApiError::too_many(seconds)),
            Ok(()) => token.refusal(tenant, &faults, knock.route),
        };
        let (workspace, access) = (Arc::clone(&tenant.data), Arc::clone(&token.access));
        Some(Admission { workspace, access, faults, quota, refusal })
    }
}

impl Book {
    /// `revoke_after`: of a token it ends that token, of a workspace each of its tokens.
    fn end_by_count(&mut self, knock: &Knock<'_>) {
        let Self { workspaces, tokens } = self;
        let Some(token) = tokens.get_mut(knock.token) else { return };
        if token.switches.take_own(|faults| count_down(&mut faults.revoke_after)).is_some() {
            token.revoke();
        }
        let Some(tenant) = workspaces.get_mut(&token.domain) else { return };
        if tenant.switches.take_own(|faults| count_down(&mut faults.revoke_after)).is_some() {
            let domain = token.domain.clone();
            tokens.values_mut().filter(|token| token.domain == domain).for_each(|token| {
                token.revoke();
            });
        }
    }
}

/// Some: it is over, with this request.
fn count_down(left: &mut Option<u64>) -> Option<()> {
    match left {
        Some(0) => left.take().map(drop),
        Some(left) => {
            *left -= 1;
            None
        }
        None => None,
    }
}

impl Token {
    fn refusal(&mut self, tenant: &mut Tenant, faults: &Faults, route: Route) -> Option<ApiError> {
        let forced = self.switches.take(&mut tenant.switches, |faults| faults.fail_next.pop_front());
        if let Some(status) = forced {
            return Some(ApiError::forced(status));
        }
        let is_key = self.access.kind == TokenKind::ApiKey;
        let scope = route.scope();
        if tenant.plan == Plan::Essentials && is_key {
            return Some(ApiError::plan_upgrade());
        }
        let vain = faults.oauth_forbidden && !is_key && VAIN.contains(&scope);
        if vain || faults.forbidden.contains(&route) || !self.access.allows(scope) {
            let code = if faults.access_missing_scope { "access.missing_scope" } else { "auth.accessDenied" };
            return Some(ApiError::missing_scope(scope, code));
        }
        let of_analytics = scope == "analytics:read";
        if of_analytics && tenant.plan == Plan::WithoutAnalytics {
            return Some(ApiError::plan_upgrade());
        }
        faults.analytics_unavailable.filter(|_| of_analytics).map(ApiError::forced)
    }
}
