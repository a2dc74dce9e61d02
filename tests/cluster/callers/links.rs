//! `InvitationsService`, `ConnectLinksService` and `ConsoleService`: who comes in by a link. What they name by a token or
//! an id of their own does not exist.

use tidemark_rpc::{
    client::Caller,
    connections::{
        AcceptInvitationRequest, ConnectThroughLinkRequest, CreateConnectLinkRequest,
        CreateConsoleLinkRequest, CreateInvitationRequest, EndConsoleSessionRequest, GetInvitationRequest,
        ListInvitationsRequest, OpenInvitationRequest, RedeemConnectLinkRequest, RedeemConsoleLinkRequest,
        ResendInvitationRequest, RevokeInvitationRequest, TouchConsoleSessionRequest,
    },
};
use tonic::Status;

use super::Target;

const NO_INVITATION: &str = "inv_00000000000000000000000000";

pub(super) async fn invitations(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (organization_id, invitation_id) = (of.organization, NO_INVITATION.to_owned());
    let mut client = caller.invitations();
    match method {
        "CreateInvitation" => client
            .create_invitation(CreateInvitationRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "GetInvitation" => client.get_invitation(GetInvitationRequest { invitation_id }).await.map(drop),
        "ListInvitations" => client
            .list_invitations(ListInvitationsRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "ResendInvitation" => client
            .resend_invitation(ResendInvitationRequest { invitation_id, actor: "Ada".to_owned() })
            .await
            .map(drop),
        "RevokeInvitation" => client
            .revoke_invitation(RevokeInvitationRequest { invitation_id, actor: "Ada".to_owned() })
            .await
            .map(drop),
        "OpenInvitation" => client.open_invitation(OpenInvitationRequest::default()).await.map(drop),
        "AcceptInvitation" => client.accept_invitation(AcceptInvitationRequest::default()).await.map(drop),
        other => panic!("add {other} to this table"),
    }
}

pub(super) async fn connect_links(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (mut client, organization_id) = (caller.connect_links(), of.organization);
    match method {
        "CreateConnectLink" => client
            .create_connect_link(CreateConnectLinkRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "RedeemConnectLink" => {
            client.redeem_connect_link(RedeemConnectLinkRequest::default()).await.map(drop)
        }
        "ConnectThroughLink" => {
            client.connect_through_link(ConnectThroughLinkRequest::default()).await.map(drop)
        }
        other => panic!("add {other} to this table"),
    }
}

pub(super) async fn console(caller: &Caller, method: &str, of: Target) -> Result<(), Status> {
    let (mut client, organization_id) = (caller.console(), of.organization);
    match method {
        "CreateConsoleLink" => client
            .create_console_link(CreateConsoleLinkRequest { organization_id, ..Default::default() })
            .await
            .map(drop),
        "RedeemConsoleLink" => {
            client.redeem_console_link(RedeemConsoleLinkRequest::default()).await.map(drop)
        }
        "TouchConsoleSession" => {
            client.touch_console_session(TouchConsoleSessionRequest::default()).await.map(drop)
        }
        "EndConsoleSession" => {
            client.end_console_session(EndConsoleSessionRequest::default()).await.map(drop)
        }
        other => panic!("add {other} to this table"),
    }
}
