//! Where an invited admin lands. Whoever holds the link may connect one workspace, and see nothing else.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, Path, State, rejection::FormRejection},
    http::{HeaderMap, Method, StatusCode},
};
use serde::Deserialize;
use tidemark_rpc::connections::{AcceptInvitationRequest, OpenInvitationRequest, OpenInvitationResponse};
use tonic::Code;

use super::{
    entry, given,
    refusal::{self, Refused},
};
use crate::{
    failure::Failure,
    form, limit,
    page::{self, Answer, Chrome},
    server::Console,
    view::{Moment, connection::Card, moment},
};

#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    pub(super) form_token: String,
    #[serde(default)]
    pub(super) api_key: String,
    #[serde(default)]
    pub(super) region: String,
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    chrome: Chrome,
    action: String,
    form_token: String,
    organization: String,
    invited_by: String,
    name: String,
    ends: Option<Moment>,
    is_reconnect: bool,
    workspace: String,
    refused: Option<Refused>,
    is_eu: bool,
}

/// The invitation was real, and has ended.
#[derive(Template)]
#[template(path = "ended.html")]
struct Ended {
    chrome: Chrome,
    sentence: String,
}

/// After the key was taken.
#[derive(Template)]
#[template(path = "thanks.html")]
pub(super) struct Thanks {
    pub(super) chrome: Chrome,
    pub(super) card: Card,
    pub(super) organization: String,
    /// Where the person goes on; empty where that is nowhere.
    pub(super) return_url: String,
}

pub(crate) async fn open(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Answer {
    if !entry::is_visit(&method, &headers) {
        return Err(Failure::dead_link());
    }
    let page = opened(&console, &token).await?;
    show(&console, &token, page, None, "")
}

async fn opened(console: &Console, token: &str) -> Result<OpenInvitationResponse, Failure> {
    let request = OpenInvitationRequest { token: token.to_owned() };
    match console.services().credentials.invitations().open_invitation(request).await {
        Ok(opened) => Ok(opened.into_inner()),
        Err(status) if status.code() == Code::NotFound => Err(Failure::dead_link()),
        Err(status) => Err(status.into()),
    }
}

fn show(
    console: &Console,
    token: &str,
    page: OpenInvitationResponse,
    refused: Option<Refused>,
    region: &str,
) -> Answer {
    let settings = console.settings();
    if !page.usable {
        let chrome = Chrome::outside(settings, "This invitation has ended");
        return page::show_as(StatusCode::GONE, &Ended { chrome, sentence: page.sentence });
    }
    let title = format!("Connect Productboard for {}", page.organization_name);
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    let other = refused.as_ref().is_some_and(|refused| refused.other_region);
    let landing = Landing {
        chrome: Chrome::outside(settings, title),
        action: format!("{}/invitations/{token}", settings.base()),
        form_token: form::token_of(token),
        organization: page.organization_name,
        invited_by: page.invited_by,
        name: page.invitee_name,
        ends: moment!(page.expires_at),
        is_reconnect: page.reconnect,
        workspace: page.workspace,
        refused,
        is_eu: (region == "eu") != other,
    };
    page::show_as(status, &landing)
}

/// The form of a page without a session: it comes from that page, or it is refused.
pub(super) fn check(
    console: &Console,
    headers: &HeaderMap,
    sent: Result<Form<Fields>, FormRejection>,
    secret: &str,
) -> Result<Fields, Failure> {
    use subtle::ConstantTimeEq as _;
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let expected = form::token_of(secret);
    let is_known: bool = fields.form_token.as_bytes().ct_eq(expected.as_bytes()).into();
    if is_known && form::is_own(headers, &console.settings().public_url) {
        return Ok(fields);
    }
    Err(Failure::stale_form())
}

pub(crate) async fn accept(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(token): Path<String>,
    sent: Result<Form<Fields>, FormRejection>,
) -> Answer {
    let fields = check(&console, &headers, sent, &token)?;
    let page = opened(&console, &token).await?;
    if !page.usable {
        return show(&console, &token, page, None, "");
    }
    let address = limit::address(&headers, &console.settings().client_address_header, peer);
    if let Err(wait) = console.tries().take(&form::token_of(&token), address) {
        return show(&console, &token, page, Some(refusal::too_many(wait)), &fields.region);
    }
    let region = refusal::region(&fields.region).into();
    let request = AcceptInvitationRequest { token: token.clone(), api_key: fields.api_key, region };
    match console.services().credentials.invitations().accept_invitation(request).await {
        Ok(accepted) => {
            let card = Card::from(given(accepted.into_inner().connection)?);
            let chrome = Chrome::outside(console.settings(), "Productboard is connected");
            let organization = page.organization_name;
            page::show(&Thanks { chrome, card, organization, return_url: String::new() })
        }
        Err(status) if status.code() == Code::NotFound => Err(Failure::dead_link()),
        Err(status) => show(&console, &token, page, Some(refusal::of(status)?), &fields.region),
    }
}
