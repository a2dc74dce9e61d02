//! Who calls: put into each call by the guard, read by the handlers.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock},
};

use tidemark_domain::id::OrganizationId;
use tonic::{Extensions, Request};

use crate::{guard::Shown, limit::Limits, scope::Scope, status::Refusal};

/// What Tidemark's own services are called in the audit log.
const INTERNAL: &str = "internal";

/// A caller that the guard let pass, on one call.
#[derive(Clone)]
pub struct Identity {
    caller: Arc<Caller>,
    limits: Option<Arc<Limits>>,
    /// The service token that was shown, if it was one.
    token: Option<Shown>,
    /// The one organization that this call is about, where its caller said so: it sees no other.
    only: Option<OrganizationId>,
    /// The organization that this call asked for in vain. The guard looks here when the call has ended.
    denied: Arc<OnceLock<OrganizationId>>,
}

/// What is known of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) actor: String,
    pub(crate) name: String,
    pub(crate) scopes: BTreeSet<Scope>,
    /// The organizations it may see; all of them when there is no list.
    pub(crate) organizations: Option<BTreeSet<OrganizationId>>,
}

impl Caller {
    /// Tidemark's own services.
    pub(crate) fn internal() -> Self {
        Self {
            actor: INTERNAL.to_owned(),
            name: INTERNAL.to_owned(),
            scopes: Scope::ALL.into(),
            organizations: None,
        }
    }
}

impl Identity {
    /// A caller of that name with all scopes, limited to these organizations if there is a list.
    pub fn new(name: impl Into<String>, organizations: Option<BTreeSet<OrganizationId>>) -> Self {
        let name = name.into();
        let caller = Caller { actor: name.clone(), name, scopes: Scope::ALL.into(), organizations };
        Self::on_call(Arc::new(caller), None)
    }

    pub(crate) fn on_call(caller: Arc<Caller>, limits: Option<Arc<Limits>>) -> Self {
        Self { caller, limits, token: None, only: None, denied: Arc::default() }
    }

    pub(crate) fn with_token(self, shown: Shown) -> Self {
        Self { token: Some(shown), ..self }
    }

    /// For a call that lasts: refuses a caller whose token expired or was revoked since.
    pub async fn still_stands(&self) -> Result<(), Refusal> {
        match &self.token {
            Some(shown) => shown.still_stands().await,
            None => Ok(()),
        }
    }

    /// The same caller, for a call that is about one organization. Nobody sees more by it than without.
    #[must_use]
    pub(crate) fn narrowed(self, only: Option<OrganizationId>) -> Self {
        Self { only, ..self }
    }

    /// The caller of a request. A request that no guard saw is nobody's.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Refusal> {
        Self::within(request.extensions())
    }

    /// The caller in a request's extensions.
    pub fn within(extensions: &Extensions) -> Result<Self, Refusal> {
        extensions.get::<Self>().cloned().ok_or(Refusal::Unauthenticated)
    }

    /// What the caller is called by people.
    pub fn name(&self) -> &str {
        &self.caller.name
    }

    /// What the caller is called in the audit log: the id of its token, or `internal`.
    pub fn actor(&self) -> &str {
        &self.caller.actor
    }

    /// Whether the caller has a scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.caller.scopes.contains(&scope)
    }

    /// Whether it is one of Tidemark's own services.
    pub(crate) fn is_internal(&self) -> bool {
        self.caller.actor == INTERNAL
    }

    /// The one organization that this call is about, where its caller said so.
    pub(crate) fn narrowed_to(&self) -> Option<&OrganizationId> {
        self.only.as_ref()
    }

    /// Whether its token was made for some organizations only.
    pub(crate) fn has_list(&self) -> bool {
        self.caller.organizations.is_some()
    }

    /// Whether there are organizations that the caller may not see.
    pub fn is_limited(&self) -> bool {
        self.only.is_some() || self.caller.organizations.is_some()
    }

    /// Whether the caller may see an organization. What it may not see does not exist for it: answer as for an unknown
    /// id, so that nobody can find out by asking. [`check`](Self::check) does so.
    pub fn may_see(&self, organization: &OrganizationId) -> bool {
        let within = self.only.as_ref().is_none_or(|only| only == organization);
        within && self.caller.organizations.as_ref().is_none_or(|list| list.contains(organization))
    }

    /// Refuses what belongs to an organization that the caller may not see, as if it were not there.
    pub fn check(&self, organization: &OrganizationId, what: &'static str) -> Result<(), Refusal> {
        if self.may_see(organization) {
            return Ok(());
        }
        self.denied.get_or_init(|| organization.clone());
        Err(Refusal::NotFound { what })
    }

    /// Refuses the release of a secret to a caller that asks too often for that organization's.
    pub fn admit_release(&self, organization: &OrganizationId) -> Result<(), Refusal> {
        self.limits.as_ref().map_or(Ok(()), |limits| limits.release(self.actor(), organization))
    }

    /// The organization that was asked for in vain.
    pub(crate) fn denied(&self) -> Option<&OrganizationId> {
        self.denied.get()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.caller.fmt(f)
    }
}
