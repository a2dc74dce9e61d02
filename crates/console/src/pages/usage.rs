//! The usage of the organization's workspaces: the answer of each, and the pages behind it.

pub(super) mod contract;
pub(super) mod dashboard;
pub(super) mod decisions;
pub(super) mod export;
pub(super) mod groups;
pub(super) mod recommendations;
pub(super) mod seat;
pub(super) mod seats;

use askama::Template;
use tidemark_rpc::{
    connections::{GetConnectionRequest, ListConnectionsRequest},
    utilization::GetSummaryRequest,
};
use tonic::Code;

use super::given;
use crate::{
    failure::Failure,
    page::{self, Answer, Chrome, Place},
    view::{
        connection::Card,
        usage::{USUAL, Usage, WINDOWS},
    },
    visitor::Visitor,
};

const PAGE: u32 = 20;

#[derive(Template)]
#[template(path = "usage.html")]
struct List {
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
    for card in listed.connections.into_iter().map(Card::from).filter(|card| card.is_open && card.is_begun) {
        let request = GetSummaryRequest { connection_id: card.id.clone() };
        let found = visitor.services.utilization.utilization().get_summary(request).await;
        let is_away = found.as_ref().is_err_and(|status| status.code() != Code::NotFound);
        let summary = found.ok().and_then(|found| found.into_inner().summary);
        workspaces.push(Workspace { card, usage: summary.map(|it| Usage::of(it, USUAL)), is_away });
    }
    page::show(&List { chrome: Chrome::of(&visitor, Place::Usage, "Usage"), workspaces })
}

/// Around the pages of one workspace: whose they are, and which of them this is.
#[derive(Debug, Clone)]
struct Frame {
    base: String,
    card: Card,
    at: Tab,
}

/// The pages of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Overview,
    Seats,
    Recommendations,
    Groups,
    Contract,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Overview, Self::Seats, Self::Recommendations, Self::Groups, Self::Contract];

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Seats => "Seats",
            Self::Recommendations => "What to do",
            Self::Groups => "Teams",
            Self::Contract => "Contract",
        }
    }

    /// Behind the workspace's address.
    fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Seats => "/seats",
            Self::Recommendations => "/recommendations",
            Self::Groups => "/groups",
            Self::Contract => "/contract",
        }
    }
}

/// To one of the workspace's pages.
struct Link {
    title: &'static str,
    address: String,
    is_here: bool,
}

impl Frame {
    async fn of(visitor: &Visitor, id: &str, at: Tab) -> Result<Self, Failure> {
        let request = GetConnectionRequest { connection_id: id.to_owned() };
        let found = visitor.services.credentials.connections().get_connection(request).await?;
        let card = Card::from(given(found.into_inner().connection)?);
        Ok(Self { base: visitor.base.clone(), card, at })
    }

    fn chrome(&self, visitor: &Visitor) -> Chrome {
        Chrome::of(visitor, Place::Usage, format!("{} · {}", self.card.workspace, self.at.title()))
    }

    fn links(&self) -> [Link; 5] {
        Tab::ALL.map(|tab| Link { title: tab.title(), address: self.address(tab), is_here: tab == self.at })
    }

    /// The address of one of the workspace's pages.
    fn address(&self, tab: Tab) -> String {
        format!("{}/usage/{}{}", self.base, self.card.id, tab.path())
    }

    /// The address of the workspace's first page.
    fn home(&self) -> String {
        self.address(Tab::Overview)
    }
}

/// One of the windows to choose from.
struct WindowChoice {
    days: u32,
    is_chosen: bool,
}

fn windows(chosen: u32) -> [WindowChoice; 3] {
    WINDOWS.map(|days| WindowChoice { days, is_chosen: days == chosen })
}

/// A window's length as asked for, if there is one.
fn window(asked: &str) -> u32 {
    asked.parse().ok().filter(|days| WINDOWS.contains(days)).unwrap_or(USUAL)
}
