//! Invitations of a Productboard admin: send, send again, take back, and how each stands.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, rejection::FormRejection},
    http::StatusCode,
};
use serde::Deserialize;
use tidemark_rpc::connections::{
    CreateInvitationRequest, ListInvitationsRequest, ResendInvitationRequest, RevokeInvitationRequest,
};

use super::{
    connections::Paging,
    given,
    refusal::{self, Refused},
    see,
};
use crate::{
    failure::Failure,
    page::{self, Answer, Chrome, Place},
    view::invitation::Invited,
    visitor::Visitor,
};

const PAGE: u32 = 100;

#[derive(Template)]
#[template(path = "invites.html")]
struct List {
    chrome: Chrome,
    refused: Option<Refused>,
    invited: Vec<Invited>,
    next: String,
}

#[derive(Template)]
#[template(path = "invite.html")]
struct Ask {
    chrome: Chrome,
    refused: Option<Refused>,
    fields: Fields,
}

/// The only page that shows a link.
#[derive(Template)]
#[template(path = "invited.html")]
struct Made {
    chrome: Chrome,
    invited: Invited,
    link: String,
    is_mailed: bool,
}

#[derive(Default, Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    connection_id: String,
}

pub(crate) async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Answer {
    listed(&visitor, paging, None).await
}

/// The list, under what was refused of it.
async fn listed(visitor: &Visitor, paging: Paging, refused: Option<Refused>) -> Answer {
    let organization_id = visitor.organization.to_string();
    let request = ListInvitationsRequest { organization_id, page_size: PAGE, page_token: paging.page };
    let listed = visitor.services.credentials.invitations().list_invitations(request).await?.into_inner();
    let mut invited: Vec<Invited> = listed.invitations.into_iter().map(Invited::from).collect();
    invited.reverse();
    let chrome = Chrome::of(visitor, Place::Invites, "Invitations");
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    page::show_as(status, &List { chrome, refused, invited, next: listed.next_page_token })
}

pub(crate) async fn ask(visitor: Visitor, Query(fields): Query<Fields>) -> Answer {
    let chrome = Chrome::of(&visitor, Place::Invites, "Invite an admin");
    page::show(&Ask { chrome, refused: None, fields })
}

pub(crate) async fn create(visitor: Visitor, sent: Result<Form<Fields>, FormRejection>) -> Answer {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let request = CreateInvitationRequest {
        organization_id: visitor.organization.to_string(),
        organization_name: visitor.organization_name.clone(),
        connection_id: fields.connection_id.clone(),
        invitee_email: fields.email.clone(),
        invitee_name: fields.name.clone(),
        invited_by: visitor.person.clone(),
        ..Default::default()
    };
    match visitor.services.credentials.invitations().create_invitation(request).await {
        Ok(made) => {
            let made = made.into_inner();
            shown(&visitor, given(made.invitation)?.into(), made.link, !fields.email.trim().is_empty())
        }
        Err(status) => {
            let refused = refusal::of(status)?;
            let chrome = Chrome::of(&visitor, Place::Invites, "Invite an admin");
            let code: StatusCode = refused.status;
            page::show_as(code, &Ask { chrome, refused: Some(refused), fields })
        }
    }
}

fn shown(visitor: &Visitor, invited: Invited, link: String, is_mailed: bool) -> Answer {
    let chrome = Chrome::of(visitor, Place::Invites, "The invitation is made");
    page::show(&Made { chrome, invited, link, is_mailed })
}

pub(crate) async fn resend(visitor: Visitor, Path(invitation_id): Path<String>) -> Answer {
    let request = ResendInvitationRequest { invitation_id, actor: visitor.person.clone() };
    let made = match visitor.services.credentials.invitations().resend_invitation(request).await {
        Ok(made) => made.into_inner(),
        Err(status) => return listed(&visitor, Paging::default(), Some(refusal::of(status)?)).await,
    };
    let invitation = given(made.invitation)?;
    let is_mailed = !invitation.invitee_email.is_empty();
    shown(&visitor, invitation.into(), made.link, is_mailed)
}

pub(crate) async fn revoke(visitor: Visitor, Path(invitation_id): Path<String>) -> Answer {
    let request = RevokeInvitationRequest { invitation_id, actor: visitor.person.clone() };
    visitor.services.credentials.invitations().revoke_invitation(request).await?;
    Ok(see(&visitor.base, "/invites"))
}
