//! Workspaces, their tokens and the switches of both.

use super::{Access, Faults, Plan, Region, Simulator, Workspace};
use crate::{Ledger, TokenUse};

impl Simulator {
    /// Adds a workspace with its first API key. A workspace of the same domain gets the new data and keeps its tokens:
    /// that is how days arrive late and people change.
    pub fn add(&self, workspace: Workspace, token: impl Into<String>) {
        let domain = workspace.domain.clone();
        self.api.tenants.put(workspace);
        self.issue_token(&domain, token);
    }

    /// Moves a workspace to a data centre; US is the default. False when there is no such workspace.
    pub fn set_region(&self, domain: &str, region: Region) -> bool {
        self.api.tenants.set_region(domain, region)
    }

    /// Changes what was paid for; Pro is the default. False when there is no such workspace.
    pub fn set_plan(&self, domain: &str, plan: Plan) -> bool {
        self.api.tenants.set_plan(domain, plan)
    }

    /// Makes another API key live for a workspace, or a revoked one live again. False when there is no such workspace.
    pub fn issue_token(&self, domain: &str, token: impl Into<String>) -> bool {
        self.issue(domain, token, Access::api_key())
    }

    /// The same with chosen rights.
    pub fn issue(&self, domain: &str, token: impl Into<String>, access: Access) -> bool {
        self.api.tenants.issue(domain, token.into(), access, self.now())
    }

    /// Makes a token answer 401. False when it was not live.
    pub fn revoke(&self, token: &str) -> bool {
        self.api.tenants.revoke(token)
    }

    /// Changes the switches of one token. False when the token is unknown.
    pub fn faults(&self, token: &str, change: impl FnOnce(&mut Faults)) -> bool {
        self.api.tenants.change_faults(token, change)
    }

    /// Changes the switches that hold for each token of a workspace which does not set them itself. False when there is
    /// no such workspace.
    pub fn workspace_faults(&self, domain: &str, change: impl FnOnce(&mut Faults)) -> bool {
        self.api.tenants.change_workspace_faults(domain, change)
    }

    /// What came with this token. `None` when it is unknown.
    pub fn ledger(&self, token: &str) -> Option<Ledger> {
        self.api.tenants.ledger(token)
    }

    /// Every token that came with at least one request, unknown ones too, by the time of the first: for the assertion
    /// that nobody used a token that it should not. What came before a token was issued stands apart, as unknown.
    pub fn ledgers(&self) -> Vec<TokenUse> {
        self.api.tenants.uses()
    }

    /// How many requests came with this token, refused ones included.
    pub fn requests(&self, token: &str) -> u64 {
        self.api.tenants.requests(token).unwrap_or(0)
    }
}
