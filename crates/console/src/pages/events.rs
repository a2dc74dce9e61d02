//! What happened to a connection: the newest on its page, all of it in pages.

use askama::Template;
use axum::extract::{Path, Query};
use tidemark_rpc::connections::{ListEventsRequest, ListEventsResponse};

use super::connections::{Paging, workspace};
use crate::{
    failure::Failure,
    page::{self, Answer, Chrome, Place},
    view::event::Happened,
    visitor::Visitor,
};

const NEWEST: u32 = 5;
const PAGE: u32 = 50;

/// The newest of them: kept up to date.
#[derive(Template)]
#[template(path = "parts/events.html")]
pub(super) struct Newest {
    base: String,
    connection: String,
    events: Vec<Happened>,
}

#[derive(Template)]
#[template(path = "events.html")]
struct History {
    chrome: Chrome,
    connection: String,
    workspace: String,
    events: Vec<Happened>,
    /// Empty on the last page.
    next: String,
    is_first: bool,
}

async fn listed(
    visitor: &Visitor,
    id: &str,
    page_size: u32,
    page_token: String,
) -> Result<ListEventsResponse, Failure> {
    let request = ListEventsRequest { connection_id: id.to_owned(), page_size, page_token };
    Ok(visitor.services.credentials.events().list_events(request).await?.into_inner())
}

impl Newest {
    pub(super) async fn of(visitor: &Visitor, id: &str) -> Result<Self, Failure> {
        let events = listed(visitor, id, NEWEST, String::new()).await?.events;
        let events = events.iter().map(Happened::from).collect();
        Ok(Self { base: visitor.base.clone(), connection: id.to_owned(), events })
    }
}

pub(crate) async fn history(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Answer {
    let workspace = workspace(&visitor, &id).await?;
    let is_first = paging.page.is_empty();
    let listed = listed(&visitor, &id, PAGE, paging.page).await?;
    page::show(&History {
        chrome: Chrome::of(&visitor, Place::Connections, format!("History of {workspace}")),
        connection: id,
        workspace,
        events: listed.events.iter().map(Happened::from).collect(),
        next: listed.next_page_token,
        is_first,
    })
}
