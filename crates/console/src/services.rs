//! The services behind the pages. A page of a session calls them within the session's organization only.

use tidemark_domain::id::OrganizationId;
use tidemark_rpc::client::Caller;

/// The processes that the console calls.
#[derive(Debug, Clone)]
pub struct Services {
    /// Connections, invitations, events and sessions.
    pub credentials: Caller,
    /// Syncs.
    pub syncs: Caller,
    /// The numbers.
    pub utilization: Caller,
}

impl Services {
    /// All in one process.
    pub fn one(caller: Caller) -> Self {
        Self { syncs: caller.clone(), utilization: caller.clone(), credentials: caller }
    }

    /// For calls about one organization: the services show them no other.
    pub(crate) fn within(&self, organization: &OrganizationId) -> Self {
        Self {
            credentials: self.credentials.within(organization),
            syncs: self.syncs.within(organization),
            utilization: self.utilization.within(organization),
        }
    }
}
