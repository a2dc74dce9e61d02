//! The connections of an organization: all as cards, one with what it can read, both kept up to date as things happen.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use serde::Deserialize;
use tidemark_rpc::{
    connections::{GetConnectionRequest, ListConnectionsRequest, ProbeConnectionRequest},
    syncs::ListSyncsRequest,
};
use tonic::Status;

use super::{events::Newest, given, see, watch::Watch};
use crate::{
    failure::Failure,
    live,
    page::{self, Answer, Chrome, Place},
    server::Console,
    view::{
        connection::{self, Card},
        run::Progress,
    },
    visitor::Visitor,
};

const PAGE: u32 = 100;
const RUNS: u32 = 5;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Paging {
    #[serde(default)]
    pub(crate) page: String,
}

#[derive(Template)]
#[template(path = "connections.html")]
struct List {
    chrome: Chrome,
    cards: Cards,
}

/// The part of the page that changes by itself.
#[derive(Template)]
#[template(path = "parts/cards.html")]
struct Cards {
    base: String,
    is_admin: bool,
    cards: Vec<Card>,
    /// Whether one of them is for good no longer connected.
    has_ended: bool,
    next: String,
}

impl Cards {
    async fn of(visitor: &Visitor, page_token: String) -> Result<Self, Status> {
        let organization_id = visitor.organization.to_string();
        let request = ListConnectionsRequest { organization_id, page_size: PAGE, page_token };
        let client = &visitor.services.credentials;
        let listed = client
            .retry(|| {
                let request = request.clone();
                async move { client.connections().list_connections(request).await }
            })
            .await?
            .into_inner();
        let mut cards: Vec<Card> = listed.connections.into_iter().map(Card::from).collect();
        // What needs somebody comes first, what has ended last.
        cards.sort_by_key(|card| (!card.is_open, !card.is_urgent));
        Ok(Self {
            base: visitor.base.clone(),
            is_admin: visitor.is_admin,
            has_ended: cards.iter().any(|card| !card.is_open),
            cards,
            next: listed.next_page_token,
        })
    }
}

pub(crate) async fn list(visitor: Visitor, Query(paging): Query<Paging>) -> Answer {
    let cards = Cards::of(&visitor, paging.page).await?;
    page::show(&List { chrome: Chrome::of(&visitor, Place::Connections, "Connections"), cards })
}

pub(crate) async fn live_list(State(console): State<Console>, visitor: Visitor) -> Response {
    live::stream(&console, async move |page| {
        let mut events = Watch::of(&visitor);
        loop {
            let news = events.news(None).await;
            let cards = live::patiently(|| Cards::of(&visitor, String::new())).await;
            page.part("cards", &cards).await?;
            let card = news.last().and_then(|event| cards.cards.iter().find(|card| card.id == event.subject));
            if let Some(card) = card {
                page.say(format!("{}: {}", card.workspace, card.state)).await?;
            }
        }
    })
}

#[derive(Template)]
#[template(path = "connection.html")]
struct One {
    chrome: Chrome,
    /// It was just connected or reconnected.
    is_news: bool,
    state: Standing,
    events: Newest,
}

/// How it stands: kept up to date.
#[derive(Template)]
#[template(path = "parts/standing.html")]
struct Standing {
    base: String,
    is_admin: bool,
    form_token: String,
    card: Card,
    runs: Vec<Progress>,
}

impl Standing {
    async fn of(visitor: &Visitor, id: &str) -> Result<Self, Failure> {
        let request = GetConnectionRequest { connection_id: id.to_owned() };
        let mut client = visitor.services.credentials.connections();
        let card = Card::from(given(client.get_connection(request).await?.into_inner().connection)?);
        // Without the sync service, the connection can be looked at all the same.
        let request =
            ListSyncsRequest { connection_id: id.to_owned(), page_size: RUNS, ..Default::default() };
        let runs = visitor.services.syncs.syncs().list_syncs(request).await;
        let runs = runs.map(|listed| listed.into_inner().runs).unwrap_or_default();
        Ok(Self {
            base: visitor.base.clone(),
            is_admin: visitor.is_admin,
            form_token: visitor.form_token.clone(),
            card,
            runs: runs.into_iter().map(Progress::from).collect(),
        })
    }
}

/// What the connection's workspace is called.
pub(super) async fn workspace(visitor: &Visitor, id: &str) -> Result<String, Failure> {
    let request = GetConnectionRequest { connection_id: id.to_owned() };
    let found = visitor.services.credentials.connections().get_connection(request).await?;
    Ok(connection::workspace(&given(found.into_inner().connection)?))
}

#[derive(Debug, Deserialize)]
pub(crate) struct News {
    #[serde(default)]
    news: bool,
}

pub(crate) async fn one(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(News { news }): Query<News>,
) -> Answer {
    let (state, events) = tokio::try_join!(Standing::of(&visitor, &id), Newest::of(&visitor, &id))?;
    let chrome = Chrome::of(&visitor, Place::Connections, state.card.workspace.clone());
    page::show(&One { chrome, is_news: news && state.card.is_working, state, events })
}

pub(crate) async fn live_one(
    State(console): State<Console>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    Standing::of(&visitor, &id).await?;
    Ok(live::stream(&console, async move |page| {
        let mut watch = Watch::of(&visitor);
        loop {
            let news = watch.news(Some(&id)).await;
            let state = live::patiently(|| Standing::of(&visitor, &id)).await;
            page.part("standing", &state).await?;
            if !news.is_empty() {
                let events = live::patiently(|| Newest::of(&visitor, &id)).await;
                page.part("events", &events).await?;
                page.say(format!("{}: {}", state.card.workspace, state.card.state)).await?;
            }
        }
    }))
}

pub(crate) async fn probe(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let request = ProbeConnectionRequest { connection_id: id.clone() };
    visitor.services.credentials.connections().probe_connection(request).await?;
    Ok(see(&visitor.base, &format!("/connections/{id}")))
}
