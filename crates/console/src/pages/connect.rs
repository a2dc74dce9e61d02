//! The connect dialog: how to find the API key, the region, the key, and what Productboard said of it.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, Path, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use tidemark_rpc::connections::{
    AuthScheme, Connection, ConnectionState, CreateConnectionRequest, GetConnectionRequest,
    ReconnectConnectionRequest,
};
use tonic::Status;

use super::{
    given,
    refusal::{self, Refused},
    see,
};
use crate::{
    failure::Failure,
    limit,
    page::{self, Answer, Chrome, Place},
    server::Console,
    view::connection::{self, Card},
    visitor::Visitor,
};

/// What is sent with a key.
#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    scheme: String,
}

#[derive(Template)]
#[template(path = "connect.html")]
struct Dialog {
    chrome: Chrome,
    /// The connection that gets the key; none makes one.
    card: Option<Card>,
    refused: Option<Refused>,
    is_eu: bool,
    consent: bool,
    framed: bool,
}

impl Dialog {
    fn new(console: &Console, visitor: &Visitor, card: Option<Card>) -> Self {
        let begun = card.as_ref().filter(|card| card.is_begun);
        let title = begun.map_or_else(
            || "Connect Productboard".to_owned(),
            |card| format!("Reconnect {}", card.workspace),
        );
        Self {
            chrome: Chrome::of(visitor, Place::Connections, title),
            is_eu: card.as_ref().is_some_and(|card| card.region == "EU"),
            card,
            refused: None,
            consent: !console.settings().consent_hosts.is_empty(),
            framed: console.settings().is_embedded(),
        }
    }

    /// The connection, where its workspace is known: no other is taken for it.
    fn renewed(&self) -> Option<&Card> {
        self.card.as_ref().filter(|card| card.is_begun)
    }

    fn show(self) -> Answer {
        let status = self.refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
        page::show_as(status, &self)
    }

    fn refuse(mut self, refused: Refused, region: &str) -> Answer {
        if self.card.is_none() {
            // The region that the key is of is chosen already.
            self.is_eu = (region == "eu") != refused.other_region;
        }
        self.refused = Some(refused);
        self.show()
    }
}

pub(crate) async fn ask(State(console): State<Console>, visitor: Visitor) -> Answer {
    Dialog::new(&console, &visitor, None).show()
}

pub(crate) async fn ask_again(
    State(console): State<Console>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Answer {
    let card = open_card(&visitor, &id).await?;
    Dialog::new(&console, &visitor, Some(card)).show()
}

/// The connection, if it can be reconnected.
async fn open_card(visitor: &Visitor, id: &str) -> Result<Card, Failure> {
    let request = GetConnectionRequest { connection_id: id.to_owned() };
    let found = visitor.services.credentials.connections().get_connection(request).await?;
    let connection: Connection = given(found.into_inner().connection)?;
    if connection.state() == ConnectionState::Disconnected {
        let sentence = format!(
            "{} was disconnected for good. Connect it as a new connection.",
            connection::workspace(&connection)
        );
        return Err(Status::failed_precondition(sentence).into());
    }
    Ok(Card::from(connection))
}

type Sent = Result<Form<Fields>, FormRejection>;

pub(crate) async fn create(
    State(console): State<Console>,
    visitor: Visitor,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    sent: Sent,
) -> Answer {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let dialog = Dialog::new(&console, &visitor, None);
    let address = limit::address(&headers, &console.settings().client_address_header, peer);
    if let Err(wait) = console.tries().take(&visitor.form_token, address) {
        return dialog.refuse(refusal::too_many(wait), &fields.region);
    }
    let scheme = if fields.scheme == "basic" { AuthScheme::Basic } else { AuthScheme::Bearer };
    let request = CreateConnectionRequest {
        organization_id: visitor.organization.to_string(),
        region: refusal::region(&fields.region).into(),
        api_key: fields.api_key,
        auth_scheme: scheme.into(),
    };
    match visitor.services.credentials.connections().create_connection(request).await {
        Ok(made) => {
            let connection = given(made.into_inner().connection)?;
            Ok(see(&visitor.base, &format!("/connections/{}?news=true", connection.id)))
        }
        Err(status) => dialog.refuse(refusal::of(status)?, &fields.region),
    }
}

pub(crate) async fn reconnect(
    State(console): State<Console>,
    visitor: Visitor,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(id): Path<String>,
    sent: Sent,
) -> Answer {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    let card = open_card(&visitor, &id).await?;
    let dialog = Dialog::new(&console, &visitor, Some(card));
    let address = limit::address(&headers, &console.settings().client_address_header, peer);
    if let Err(wait) = console.tries().take(&visitor.form_token, address) {
        return dialog.refuse(refusal::too_many(wait), "");
    }
    let request =
        ReconnectConnectionRequest { connection_id: id.clone(), api_key: fields.api_key, auth_scheme: 0 };
    match visitor.services.credentials.connections().reconnect_connection(request).await {
        Ok(_) => Ok(see(&visitor.base, &format!("/connections/{id}?news=true"))),
        Err(status) => dialog.refuse(refusal::of(status)?, ""),
    }
}
