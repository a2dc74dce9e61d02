//! The dashboard: the answer first, for each workspace; and what happens next where there are no numbers yet.

use askama::Template;
use tidemark_rpc::{connections::ListConnectionsRequest, utilization::GetSummaryRequest};
use tonic::Code;

use crate::{
    page::{self, Answer, Chrome, Place},
    view::{connection::Card, usage::Usage},
    visitor::Visitor,
};

const PAGE: u32 = 20;

#[derive(Template)]
#[template(path = "usage.html")]
struct Dashboard {
    chrome: Chrome,
    workspaces: Vec<Workspace>,
}

/// A workspace with its numbers, where there are some.
struct Workspace {
    card: Card,
    usage: Option<Usage>,
    /// The numbers could not be asked for.
    is_away: bool,
}

pub(crate) async fn list(visitor: Visitor) -> Answer {
    let organization_id = visitor.organization.to_string();
    let request = ListConnectionsRequest { organization_id, page_size: PAGE, ..Default::default() };
    let listed = visitor.services.credentials.connections().list_connections(request).await?.into_inner();
    let mut workspaces = Vec::new();
    for card in listed.connections.into_iter().map(Card::from).filter(|card| card.is_open) {
        let request = GetSummaryRequest { connection_id: card.id.clone() };
        let found = visitor.services.utilization.utilization().get_summary(request).await;
        let is_away = found.as_ref().is_err_and(|status| status.code() != Code::NotFound);
        let usage = found.ok().and_then(|found| found.into_inner().summary).map(Usage::from);
        workspaces.push(Workspace { card, usage, is_away });
    }
    page::show(&Dashboard { chrome: Chrome::of(&visitor, Place::Usage, "Usage"), workspaces })
}
