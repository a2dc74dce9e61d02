//! An invitation through the processes: a link, a mail that no server takes, a connection made by whoever holds the link.

use tidemark_domain::id::OrganizationId;
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::connections::{
    AcceptInvitationRequest, CreateInvitationRequest, GetInvitationRequest, InvitationState,
};
use tidemark_runtime::{OsEntropy, SystemClock};

use crate::cluster::{Cluster, Wiring, today, until};

/// Nobody listens there.
const MAIL: &str = "smtp://user:cAnArY-mail-password@127.0.0.1:1";

pub(crate) async fn whoever_holds_the_link_connects(wiring: Wiring) {
    let settings = [("CONSOLE__PUBLIC_URL", "https://app.example.com"), ("MAIL__SMTP_URL", MAIL)];
    let cluster = Cluster::start(wiring, &settings).await;
    let key = "cAnArY-invited-key";
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("invited", 10, today())), key);
    let mut client = cluster.caller(0).invitations();

    let request = CreateInvitationRequest {
        organization_id: OrganizationId::generate(&SystemClock, &OsEntropy).to_string(),
        organization_name: "Acme".to_owned(),
        invitee_email: "ada@example.com".to_owned(),
        invited_by: "Grace".to_owned(),
        ..Default::default()
    };
    let made = client.create_invitation(request).await.unwrap().into_inner();
    let invitation_id = made.invitation.unwrap().id;
    let note = until("the mail was tried", async || {
        let request = GetInvitationRequest { invitation_id: invitation_id.clone() };
        let found = client.clone().get_invitation(request).await.ok()?.into_inner().invitation?;
        (!found.delivery_note.is_empty()).then_some(found.delivery_note)
    })
    .await;
    assert!(note.contains("could not be reached") && note.contains("tried again"), "{note}");

    let token = made.link.strip_prefix("https://app.example.com/invitations/").unwrap().to_owned();
    let request = AcceptInvitationRequest { token: token.clone(), api_key: key.to_owned(), region: 0 };
    let connection = client.accept_invitation(request).await.unwrap().into_inner().connection.unwrap();
    let invitation = client.get_invitation(GetInvitationRequest { invitation_id }).await.unwrap();
    let invitation = invitation.into_inner().invitation.unwrap();
    assert_eq!(invitation.state(), InvitationState::Accepted);
    assert_eq!(invitation.made_connection_id, connection.id);
    cluster.never_wrote(&token);
    cluster.stop().await;
}
