//! Disconnect, with what it will do spelled out first, and what is left to do said afterwards.

use askama::Template;
use axum::{
    Form,
    extract::{Path, rejection::FormRejection},
    http::StatusCode,
};
use serde::Deserialize;
use tidemark_rpc::connections::{DisconnectConnectionRequest, Facts, GetConnectionRequest, NotRevoked};

use super::given;
use crate::{
    failure::Failure,
    page::{self, Answer, Chrome, Place},
    view::connection::Card,
    visitor::Visitor,
};

#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    facts: String,
    #[serde(default)]
    understood: String,
}

#[derive(Template)]
#[template(path = "disconnect.html")]
struct Ask {
    chrome: Chrome,
    card: Card,
    /// It was sent without the tick.
    is_incomplete: bool,
}

#[derive(Template)]
#[template(path = "disconnected.html")]
struct Done {
    chrome: Chrome,
    is_purged: bool,
    not_revoked: Vec<NotRevoked>,
}

async fn card(visitor: &Visitor, id: &str) -> Result<Card, Failure> {
    let request = GetConnectionRequest { connection_id: id.to_owned() };
    let found = visitor.services.credentials.connections().get_connection(request).await?;
    Ok(given(found.into_inner().connection)?.into())
}

pub(crate) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let card = card(&visitor, &id).await?;
    let chrome = Chrome::of(&visitor, Place::Connections, format!("Disconnect {}", card.workspace));
    page::show(&Ask { chrome, card, is_incomplete: false })
}

pub(crate) async fn disconnect(
    visitor: Visitor,
    Path(id): Path<String>,
    sent: Result<Form<Fields>, FormRejection>,
) -> Answer {
    let Form(fields) = sent.map_err(|_| Failure::unreadable_form())?;
    if fields.understood != "yes" {
        let card = card(&visitor, &id).await?;
        let chrome = Chrome::of(&visitor, Place::Connections, format!("Disconnect {}", card.workspace));
        let page = Ask { chrome, card, is_incomplete: true };
        return page::show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let is_purged = fields.facts == "purge";
    let facts = if is_purged { Facts::Purge } else { Facts::Keep };
    let request = DisconnectConnectionRequest { connection_id: id, facts: facts.into() };
    let done = visitor.services.credentials.connections().disconnect_connection(request).await?.into_inner();
    let card = Card::from(given(done.connection)?);
    let chrome = Chrome::of(&visitor, Place::Connections, format!("{} is disconnected", card.workspace));
    page::show(&Done { chrome, is_purged, not_revoked: done.not_revoked })
}
