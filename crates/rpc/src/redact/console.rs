//! Debug output of the messages that carry a session of the console, or what opens one.

use std::fmt;

use super::REDACTED;
use crate::connections::{
    ConsoleClaims, CreateConsoleLinkResponse, EndConsoleSessionRequest, RedeemConsoleLinkRequest,
    RedeemConsoleLinkResponse, TouchConsoleSessionRequest, TouchConsoleSessionResponse,
};

impl fmt::Debug for ConsoleClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleClaims")
            .field("organization_id", &self.organization_id)
            .field("role", &self.role)
            .field("form_token", &REDACTED)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CreateConsoleLinkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateConsoleLinkResponse")
            .field("url", &REDACTED)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl fmt::Debug for RedeemConsoleLinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemConsoleLinkRequest").field("token", &REDACTED).finish()
    }
}

impl fmt::Debug for RedeemConsoleLinkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemConsoleLinkResponse")
            .field("session", &REDACTED)
            .field("claims", &self.claims)
            .field("path", &self.path)
            .finish()
    }
}

impl fmt::Debug for TouchConsoleSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TouchConsoleSessionRequest")
            .field("session", &REDACTED)
            .field("passive", &self.passive)
            .finish()
    }
}

impl fmt::Debug for TouchConsoleSessionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TouchConsoleSessionResponse")
            .field("claims", &self.claims)
            .field("session", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for EndConsoleSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndConsoleSessionRequest").field("session", &REDACTED).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_does_not_reach_debug_output() {
        let canary = || "canary".to_owned();
        let claims = || Some(ConsoleClaims { form_token: canary(), ..Default::default() });
        let shown = [
            format!("{:?}", CreateConsoleLinkResponse { url: canary(), expires_at: None }),
            format!("{:?}", RedeemConsoleLinkRequest { token: canary() }),
            format!(
                "{:?}",
                RedeemConsoleLinkResponse { session: canary(), claims: claims(), path: String::new() }
            ),
            format!("{:?}", TouchConsoleSessionRequest { session: canary(), passive: false }),
            format!("{:?}", TouchConsoleSessionResponse { claims: claims(), session: canary() }),
            format!("{:?}", EndConsoleSessionRequest { session: canary() }),
        ];
        assert!(shown.iter().all(|text| !text.contains("canary")), "{shown:?}");
    }
}
