//! Who calls: put into each call by the guard, read by the handlers.

use std::collections::BTreeSet;

use tidemark_domain::id::OrganizationId;
use tonic::{Extensions, Request};

use crate::status::Refusal;

/// A caller that the guard let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    /// The organizations it may see; all of them when there is no list.
    organizations: Option<BTreeSet<OrganizationId>>,
}

impl Identity {
    /// A caller of that name, limited to these organizations if there is a list.
    pub fn new(name: impl Into<String>, organizations: Option<BTreeSet<OrganizationId>>) -> Self {
        Self { name: name.into(), organizations }
    }

    /// The caller of a request. A request that no guard saw is nobody's.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Refusal> {
        Self::within(request.extensions())
    }

    /// The caller in a request's extensions.
    pub fn within(extensions: &Extensions) -> Result<Self, Refusal> {
        extensions.get::<Self>().cloned().ok_or(Refusal::Unauthenticated)
    }

    /// What the caller is called in the audit log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the caller may see an organization. What it may not see does not exist for it: answer as for an unknown
    /// id, so that nobody can find out by asking.
    pub fn may_see(&self, organization: &OrganizationId) -> bool {
        self.organizations.as_ref().is_none_or(|list| list.contains(organization))
    }
}
