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
use subtle::ConstantTimeEq as _;
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

/// What the page shows of the link, carried in the page's address. A proof keeps others from putting their own words
/// there.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    organization: String,
    #[serde(default)]
    workspace: String,
    #[serde(default)]
    reconnect: bool,
    #[serde(default)]
    proof: String,
}

impl Shown {
    fn proven_by(self, session: &str) -> Self {
        let Self { organization, workspace, reconnect, .. } = self;
        // Lengths in front, so that no two different texts read the same.
        let text = format!(
            "shown\0{session}\0{}\0{organization}\0{}\0{workspace}\0{reconnect}",
            organization.len(),
            workspace.len()
        );
        Self { proof: form::token_of(&text), organization, workspace, reconnect }
    }

    /// What nobody but this page has written; otherwise nothing.
    fn checked(self, session: &str) -> Self {
        let said = self.proof.clone();
        let proven = self.proven_by(session);
        if said.as_bytes().ct_eq(proven.proof.as_bytes()).into() { proven } else { Self::default() }
    }

    fn address(&self, base: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("organization", &self.organization)
            .append_pair("workspace", &self.workspace)
            .append_pair("reconnect", if self.reconnect { "true" } else { "false" })
            .append_pair("proof", &self.proof)
            .finish();
        format!("{base}/hosted?{query}")
    }
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
    let shown = Shown {
        organization: redeemed.organization_name,
        workspace: redeemed.workspace,
        reconnect: redeemed.reconnect,
        proof: String::new(),
    };
    let address = shown.proven_by(&redeemed.session).address(settings.base());
    let mut response = Redirect::to(&address).into_response();
    let cookie = cookie::set(settings, Name::Connect, &redeemed.session, Some(LIFE_SECONDS));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn show(console: &Console, session: &str, shown: Shown, refused: Option<Refused>, region: &str) -> Answer {
    let settings = console.settings();
    let status = refused.as_ref().map_or(axum::http::StatusCode::OK, |refused| refused.status);
    let other = refused.as_ref().is_some_and(|refused| refused.other_region);
    let page = Hosted {
        chrome: Chrome::outside(settings, "Connect Productboard"),
        action: shown.address(settings.base()),
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
    let session = cookie::read(&headers, console.settings(), Name::Connect).ok_or_else(Failure::dead_link)?;
    show(&console, &session, shown.checked(&session), None, "")
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
    let shown = shown.checked(&session);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_not_shown() {
        let own = Shown { organization: "Acme".to_owned(), ..Shown::default() }.proven_by("session");
        let proof = own.proof.clone();
        assert_eq!(own.checked("session").organization, "Acme");
        for (organization, session) in [("Evil", "session"), ("Acme", "another session")] {
            let (organization, proof) = (organization.to_owned(), proof.clone());
            let shown = Shown { organization, proof, ..Shown::default() };
            assert_eq!(shown.checked(session).organization, "", "{session}");
        }
    }
}
