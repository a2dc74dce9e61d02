//! Hosted connect links: the platform sends its user here, and gets them back connected. What the link told is kept in
//! the page itself; what counts stays with the service.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, Path, Query, State, rejection::FormRejection},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Redirect},
};
use serde::Deserialize;
use tidemark_rpc::connections::{ConnectThroughLinkRequest, RedeemConnectLinkRequest};
use tonic::Code;

use super::{
    entry, given,
    landing::{self, Fields, Thanks},
    refusal::{self, Refused},
};
use crate::{
    cookie::{self, Name},
    failure::Failure,
    form, limit,
    page::{self, Answer, Chrome},
    server::Console,
    view::connection::Card,
};

const LIFE_SECONDS: u32 = 900;

/// What the page shows of the link. It is only shown: whoever changes it fools nobody but themselves.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    workspace: String,
    #[serde(default)]
    reconnect: bool,
}

#[derive(Template)]
#[template(path = "hosted.html")]
struct Hosted {
    chrome: Chrome,
    action: String,
    form_token: String,
    shown: Shown,
    refused: Option<Refused>,
    is_eu: bool,
}

pub(crate) async fn redeem(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Answer {
    if !entry::is_visit(&method, &headers) {
        return Err(Failure::dead_link());
    }
    let request = RedeemConnectLinkRequest { token };
    let redeemed = match console.services().credentials.connect_links().redeem_connect_link(request).await {
        Ok(redeemed) => redeemed.into_inner(),
        Err(status) if status.code() == Code::NotFound => return Err(Failure::dead_link()),
        Err(status) => return Err(status.into()),
    };
    let settings = console.settings();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("organization", &redeemed.organization_name)
        .append_pair("workspace", &redeemed.workspace)
        .append_pair("reconnect", if redeemed.reconnect { "true" } else { "false" })
        .finish();
    let mut response = Redirect::to(&format!("{}/hosted?{query}", settings.base())).into_response();
    let cookie = cookie::set(settings, Name::Connect, &redeemed.session, Some(LIFE_SECONDS));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn show(console: &Console, session: &str, shown: Shown, refused: Option<Refused>, region: &str) -> Answer {
    let settings = console.settings();
    let status = refused.as_ref().map_or(axum::http::StatusCode::OK, |refused| refused.status);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("organization", &shown.organization)
        .append_pair("workspace", &shown.workspace)
        .append_pair("reconnect", if shown.reconnect { "true" } else { "false" })
        .finish();
    let other = refused.as_ref().is_some_and(|refused| refused.other_region);
    let page = Hosted {
        chrome: Chrome::outside(settings, "Connect Productboard"),
        action: format!("{}/hosted?{query}", settings.base()),
        form_token: form::token_of(session),
        shown,
        refused,
        is_eu: (region == "eu") != other,
    };
    page::show_as(status, &page)
}

pub(crate) async fn ask(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(shown): Query<Shown>,
) -> Answer {
    let session = cookie::read(&headers, console.settings(), Name::Connect);
    show(&console, &session.ok_or_else(Failure::dead_link)?, shown, None, "")
}

pub(crate) async fn connect(
    State(console): State<Console>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(shown): Query<Shown>,
    sent: Result<Form<Fields>, FormRejection>,
) -> Answer {
    let settings = console.settings();
    let session = cookie::read(&headers, settings, Name::Connect).ok_or_else(Failure::dead_link)?;
    let fields = landing::check(&console, &headers, sent, &session)?;
    let address = limit::address(&headers, &settings.client_address_header, peer);
    if let Err(wait) = console.tries().take(&form::token_of(&session), address) {
        return show(&console, &session, shown, Some(refusal::too_many(wait)), &fields.region);
    }
    let region = refusal::region(&fields.region).into();
    let request = ConnectThroughLinkRequest { session: session.clone(), api_key: fields.api_key, region };
    match console.services().credentials.connect_links().connect_through_link(request).await {
        Ok(made) => {
            let made = made.into_inner();
            let thanks = Thanks {
                chrome: Chrome::outside(settings, "Productboard is connected"),
                card: Card::from(given(made.connection)?),
                organization: shown.organization,
                return_url: made.return_url,
            };
            let mut response = page::show(&thanks)?;
            let cookie = cookie::clear(settings, Name::Connect);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(status) if status.code() == Code::NotFound => Err(Failure::dead_link()),
        Err(status) => show(&console, &session, shown, Some(refusal::of(status)?), &fields.region),
    }
}
