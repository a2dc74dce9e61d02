//! The OAuth server: applications, consents without a browser, and what became of refresh tokens.

use super::Simulator;
use crate::{App, Consent, OAuthFaults, RefreshUse};

impl Simulator {
    /// Registers an application, or replaces the one with the same client id; its switches stay.
    pub fn register_app(&self, app: App) {
        self.api.oauth.register(app);
    }

    /// Consents without a browser and returns the code. `None` when the application, the workspace, the redirect URI or
    /// a scope is unknown.
    pub fn consent(&self, consent: &Consent) -> Option<String> {
        self.api.oauth.consent(consent, self.now())
    }

    /// Changes the switches of one application at the token endpoint. False when it is unknown.
    pub fn app_faults(&self, client_id: &str, change: impl FnOnce(&mut OAuthFaults)) -> bool {
        self.api.oauth.change_faults(client_id, change)
    }

    /// Every secret that passed between this server and its clients: codes, verifiers, access and refresh tokens. For
    /// tests that look for them where none may be.
    pub fn oauth_secrets(&self) -> Vec<String> {
        self.api.oauth.secrets()
    }

    /// How an application used its refresh tokens, oldest first.
    pub fn refresh_uses(&self, client_id: &str) -> Vec<RefreshUse> {
        self.api.oauth.refresh_uses(client_id).unwrap_or_default()
    }
}
