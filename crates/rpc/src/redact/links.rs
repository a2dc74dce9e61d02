//! Debug output of the messages that carry a link, what a link holds, or a session.

use std::fmt;

use super::REDACTED;
use crate::connections::{
    AcceptInvitationRequest, ConnectThroughLinkRequest, CreateConnectLinkResponse, CreateInvitationResponse,
    OpenInvitationRequest, RedeemConnectLinkRequest, RedeemConnectLinkResponse, ResendInvitationResponse,
};

impl fmt::Debug for CreateInvitationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateInvitationResponse")
            .field("invitation", &self.invitation)
            .field("link", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for ResendInvitationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendInvitationResponse")
            .field("invitation", &self.invitation)
            .field("link", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for OpenInvitationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenInvitationRequest").field("token", &REDACTED).finish()
    }
}

impl fmt::Debug for AcceptInvitationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptInvitationRequest")
            .field("token", &REDACTED)
            .field("api_key", &REDACTED)
            .field("region", &self.region)
            .finish()
    }
}

impl fmt::Debug for CreateConnectLinkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateConnectLinkResponse")
            .field("url", &REDACTED)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl fmt::Debug for RedeemConnectLinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemConnectLinkRequest").field("token", &REDACTED).finish()
    }
}

impl fmt::Debug for RedeemConnectLinkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemConnectLinkResponse")
            .field("session", &REDACTED)
            .field("session_expires_at", &self.session_expires_at)
            .field("organization_id", &self.organization_id)
            .field("reconnect", &self.reconnect)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConnectThroughLinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectThroughLinkRequest")
            .field("session", &REDACTED)
            .field("api_key", &REDACTED)
            .field("region", &self.region)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_does_not_reach_debug_output() {
        let canary = || "canary".to_owned();
        let shown = [
            format!("{:?}", CreateInvitationResponse { link: canary(), ..Default::default() }),
            format!("{:?}", ResendInvitationResponse { link: canary(), ..Default::default() }),
            format!("{:?}", OpenInvitationRequest { token: canary() }),
            format!("{:?}", AcceptInvitationRequest { token: canary(), api_key: canary(), region: 0 }),
            format!("{:?}", CreateConnectLinkResponse { url: canary(), expires_at: None }),
            format!("{:?}", RedeemConnectLinkRequest { token: canary() }),
            format!("{:?}", RedeemConnectLinkResponse { session: canary(), ..Default::default() }),
            format!("{:?}", ConnectThroughLinkRequest { session: canary(), api_key: canary(), region: 0 }),
        ];
        assert!(shown.iter().all(|text| !text.contains("canary")), "{shown:?}");
    }
}
