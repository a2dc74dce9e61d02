//! Teams and who is in them. Scope `teams:read`.

use reqwest::Method;
use uuid::Uuid;

use super::Client;
use crate::operation::{GET_TEAM, LIST_TEAM_MEMBERS, LIST_TEAMS, SEARCH_TEAMS};
use crate::query::teams::{TeamSearch, TeamsQuery};
use crate::{Cursor, Document, Error, Pages, Team, TeamMember};

impl Client {
    /// The teams, newest first.
    pub fn teams(&self, query: &TeamsQuery, start: Option<Cursor>) -> Pages<Team> {
        self.pages(self.get(LIST_TEAMS, &["teams"]).query(query.pairs()), start)
    }

    /// The same, with each one's JSON.
    pub fn team_documents(&self, query: &TeamsQuery, start: Option<Cursor>) -> Pages<Document<Team>> {
        self.pages(self.get(LIST_TEAMS, &["teams"]).query(query.pairs()), start)
    }

    /// The teams that a search finds. By name or handle the vendor has been seen to find nothing: prefer `query`, or
    /// [`Client::teams`].
    pub fn search_teams(&self, search: &TeamSearch, start: Option<Cursor>) -> Pages<Team> {
        let request = self.request(SEARCH_TEAMS, Method::POST, &["teams", "search"]).body(&search.body());
        self.pages(request, start)
    }

    /// One team.
    pub async fn team(&self, id: Uuid) -> Result<Team, Error> {
        self.one(self.get(GET_TEAM, &["teams", &id.to_string()])).await
    }

    /// The members of one team, newest membership first.
    pub fn team_members(&self, team: Uuid, start: Option<Cursor>) -> Pages<TeamMember> {
        self.pages(self.get(LIST_TEAM_MEMBERS, &["teams", &team.to_string(), "members"]), start)
    }
}
