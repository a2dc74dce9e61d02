//! Debug output of the messages that carry a secret.

mod console;
mod links;

use std::fmt;

use crate::{
    connections::{
        BeginConsentRequest, BeginConsentResponse, CompleteConsentRequest, CreateConnectionRequest,
        CreateWebhookEndpointResponse, ReconnectConnectionRequest, RotateWebhookSecretResponse,
    },
    credentials::GetAccessTokenResponse,
};

const REDACTED: &str = "[redacted]";

impl fmt::Debug for CreateConnectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateConnectionRequest")
            .field("organization_id", &self.organization_id)
            .field("region", &self.region)
            .field("api_key", &REDACTED)
            .field("auth_scheme", &self.auth_scheme)
            .finish()
    }
}

impl fmt::Debug for BeginConsentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeginConsentRequest")
            .field("organization_id", &self.organization_id)
            .field("connection_id", &self.connection_id)
            .field("region", &self.region)
            .field("session", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for BeginConsentResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeginConsentResponse")
            .field("connection", &self.connection)
            .field("authorize_url", &REDACTED)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl fmt::Debug for CompleteConsentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompleteConsentRequest")
            .field("session", &REDACTED)
            .field("state", &REDACTED)
            .field("code", &REDACTED)
            .field("error", &self.error)
            .field("iss", &self.iss)
            .finish()
    }
}

impl fmt::Debug for ReconnectConnectionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectConnectionRequest")
            .field("connection_id", &self.connection_id)
            .field("api_key", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for CreateWebhookEndpointResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateWebhookEndpointResponse")
            .field("endpoint", &self.endpoint)
            .field("secret", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for RotateWebhookSecretResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateWebhookSecretResponse")
            .field("secret", &REDACTED)
            .field("old_signs_until", &self.old_signs_until)
            .finish()
    }
}

impl fmt::Debug for GetAccessTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetAccessTokenResponse")
            .field("access_token", &REDACTED)
            .field("generation", &self.generation)
            .field("base_url", &self.base_url)
            .field("expires_at", &self.expires_at)
            .field("auth_scheme", &self.auth_scheme)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_reach_debug_output() {
        let create = CreateConnectionRequest { api_key: "canary".into(), ..Default::default() };
        let reconnect = ReconnectConnectionRequest { api_key: "canary".into(), ..Default::default() };
        let token = GetAccessTokenResponse { access_token: "canary".into(), ..Default::default() };
        let endpoint = CreateWebhookEndpointResponse { secret: "canary".into(), ..Default::default() };
        let secret = RotateWebhookSecretResponse { secret: "canary".into(), ..Default::default() };
        let canary = String::from("canary");
        let begin = BeginConsentRequest { session: canary.clone(), ..Default::default() };
        let begun = BeginConsentResponse { authorize_url: canary.clone(), ..Default::default() };
        let (session, state, code) = (canary.clone(), canary.clone(), canary);
        let complete = CompleteConsentRequest { session, state, code, ..Default::default() };
        let text = format!(
            "{create:?} {reconnect:?} {token:?} {endpoint:?} {secret:?} {begin:?} {begun:?} {complete:?}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
}
