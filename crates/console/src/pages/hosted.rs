//! Hosted connect links: the platform sends its user here, and gets them back connected. What the link told is kept in
//! the page itself; what counts stays with the service.

use std::net::SocketAddr;

use axum::{
    Form,
    extract::{ConnectInfo, Path, Query, State, rejection::FormRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Redirect},
};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tidemark_rpc::connections::{ConnectThroughLinkRequest, RedeemConnectLinkRequest};

use super::offer::{self, Fields, Made, Offer};
use crate::{
    cookie::{self, Name},
    failure::Failure,
    form,
    page::{Answer, Chrome},
    server::Console,
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

pub(crate) async fn redeem(
    State(console): State<Console>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Answer {
    offer::check_visit(&method, &headers)?;
    let request = RedeemConnectLinkRequest { token };
    let redeemed = console.services().credentials.connect_links().redeem_connect_link(request).await;
    let redeemed = offer::opened(redeemed)?;
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

fn made(console: &Console, session: &str, shown: &Shown) -> Offer {
    let settings = console.settings();
    let Shown { organization, workspace, reconnect, .. } = shown;
    let what = match (reconnect, workspace.is_empty()) {
        (false, _) => "Connect a Productboard workspace".to_owned(),
        (true, true) => "Renew the connection of your workspace".to_owned(),
        (true, false) => format!("Renew the connection of {workspace}"),
    };
    let whose = if organization.is_empty() { String::new() } else { format!(" for {organization}") };
    Offer {
        chrome: Chrome::outside(settings, "Connect Productboard"),
        action: shown.address(settings.base()),
        form_token: form::token_of(session),
        lead: format!("{what}{whose}. You need to be an admin of the workspace."),
        is_reconnect: *reconnect,
        ends: None,
        refused: None,
        is_eu: false,
    }
}

pub(crate) async fn ask(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(shown): Query<Shown>,
) -> Answer {
    let session = cookie::read(&headers, console.settings(), Name::Connect).ok_or_else(Failure::dead_link)?;
    made(&console, &session, &shown.checked(&session)).show()
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
    let fields = offer::check(&console, &headers, sent, &session)?;
    let shown = shown.checked(&session);
    let offer = made(&console, &session, &shown);
    let mut links = console.services().credentials.connect_links();
    let call = |api_key, region| async move {
        let request = ConnectThroughLinkRequest { session, api_key, region };
        let made = links.connect_through_link(request).await?;
        let (made, organization) = (made.into_inner(), shown.organization);
        Ok(Made { connection: made.connection, organization, return_url: made.return_url })
    };
    let mut response = offer::connect(&console, (&headers, peer), offer, fields, call).await?;
    // Anything else is the form again.
    if response.status() == StatusCode::OK {
        response.headers_mut().append(header::SET_COOKIE, cookie::clear(settings, Name::Connect));
    }
    Ok(response)
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
