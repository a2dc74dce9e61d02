//! Where an invited admin lands. Whoever holds the link may connect one workspace, and see nothing else.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, Path, State, rejection::FormRejection},
    http::{HeaderMap, Method, StatusCode},
};
use tidemark_rpc::connections::{AcceptInvitationRequest, OpenInvitationRequest, OpenInvitationResponse};

use super::offer::{self, Fields, Made, Offer};
use crate::{
    failure::Failure,
    form,
    page::{self, Answer, Chrome},
    server::Console,
    view::moment,
};

/// The invitation was real, and has ended.
#[derive(Template)]
#[template(path = "ended.html")]
struct Ended {
    chrome: Chrome,
    sentence: String,
}

pub(crate) async fn open(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Answer {
    offer::check_visit(&method, &headers)?;
    let invitation = opened(&console, &token).await?;
    if !invitation.usable {
        return ended(&console, invitation);
    }
    made(&console, &token, &invitation).show()
}

async fn opened(console: &Console, token: &str) -> Result<OpenInvitationResponse, Failure> {
    let request = OpenInvitationRequest { token: token.to_owned() };
    offer::opened(console.services().credentials.invitations().open_invitation(request).await)
}

fn ended(console: &Console, invitation: OpenInvitationResponse) -> Answer {
    let chrome = Chrome::outside(console.settings(), "This invitation has ended");
    page::show_as(StatusCode::GONE, &Ended { chrome, sentence: invitation.sentence })
}

fn made(console: &Console, token: &str, invitation: &OpenInvitationResponse) -> Offer {
    let settings = console.settings();
    let OpenInvitationResponse { organization_name, invited_by, invitee_name, workspace, .. } = invitation;
    let hello = if invitee_name.is_empty() { String::new() } else { format!("Hello {invitee_name}. ") };
    let what = match (invitation.reconnect, workspace.is_empty()) {
        (false, _) => "connect your Productboard workspace".to_owned(),
        (true, true) => "renew the connection of the workspace that was connected before".to_owned(),
        (true, false) => format!("renew the connection of the workspace {workspace}"),
    };
    Offer {
        chrome: Chrome::outside(settings, format!("Connect Productboard for {organization_name}")),
        action: format!("{}/invitations/{token}", settings.base()),
        form_token: form::token_of(token),
        lead: format!(
            "{hello}{invited_by} of {organization_name} asks you to {what}, so that they can see which seats are used."
        ),
        is_reconnect: invitation.reconnect,
        ends: moment!(invitation.expires_at),
        refused: None,
        is_eu: false,
    }
}

pub(crate) async fn accept(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(token): Path<String>,
    sent: Result<Form<Fields>, FormRejection>,
) -> Answer {
    let fields = offer::check(&console, &headers, sent, &token)?;
    let invitation = opened(&console, &token).await?;
    if !invitation.usable {
        return ended(&console, invitation);
    }
    let offer = made(&console, &token, &invitation);
    let mut invitations = console.services().credentials.invitations();
    let call = |api_key, region| async move {
        let request = AcceptInvitationRequest { token, api_key, region };
        let accepted = invitations.accept_invitation(request).await?;
        let (connection, organization) = (accepted.into_inner().connection, invitation.organization_name);
        Ok(Made { connection, organization, return_url: String::new() })
    };
    offer::connect(&console, (&headers, peer), offer, fields, call).await
}
