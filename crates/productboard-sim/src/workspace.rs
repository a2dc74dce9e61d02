//! One Productboard workspace as facts: members, teams, memberships and daily activity.
//!
//! Invariant of a served workspace: `activities` are sorted by (date, member), `teams` and `memberships` newest
//! first, `members` oldest first. Pages are slices of these, found by binary search.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::people::Person;
use crate::{WorkspaceSpec, calendar, people, teams};

/// The names of [`Activity::counters`], in the order of the vendor's schema.
pub const COUNTER_NAMES: [&str; 19] = [
    "boardCreatedCount",
    "boardOpenedCount",
    "componentCreatedCount",
    "featureCreatedCount",
    "insightCreatedCount",
    "noteCreatedCount",
    "productCreatedCount",
    "subfeatureCreatedCount",
    "noteStateChangedCount",
    "gridBoardCreatedCount",
    "timelineBoardCreatedCount",
    "insightsBoardCreatedCount",
    "documentBoardCreatedCount",
    "columnBoardCreatedCount",
    "gridBoardOpenedCount",
    "timelineBoardOpenedCount",
    "insightsBoardOpenedCount",
    "documentBoardOpenedCount",
    "columnBoardOpenedCount",
];

/// Everything the simulator knows about one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// The workspace's domain.
    pub domain: String,
    /// Members, oldest first, disabled and pending ones included.
    pub members: Vec<Member>,
    /// Teams, newest first.
    pub teams: Vec<Team>,
    /// Who is in which team, newest first.
    pub memberships: Vec<Membership>,
    /// Activity rows, sorted by (date, member).
    pub activities: Vec<Activity>,
}

/// A row of the members list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The vendor's id.
    pub id: Uuid,
    /// Full name.
    pub name: String,
    /// Login name.
    pub username: String,
    /// Mail address.
    pub email: String,
    /// `admin`, `maker`, `viewer` or `contributor`.
    pub role: String,
    /// The account was switched off.
    pub disabled: bool,
    /// Invited, not yet accepted.
    pub invitation_pending: bool,
    /// Teams the member is in.
    pub teams: Vec<Uuid>,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// The vendor's id.
    pub id: Uuid,
    /// Shown name, unique.
    pub name: String,
    /// Lower-case handle, unique.
    pub handle: String,
    /// Free text, absent from the answer when `None`.
    pub description: Option<String>,
    /// When the team was made.
    pub created_at: DateTime<Utc>,
    /// When the team last changed.
    pub updated_at: DateTime<Utc>,
}

/// One member in one team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The team.
    pub team_id: Uuid,
    /// The member.
    pub member_id: Uuid,
    /// The day the member joined the team.
    pub since: NaiveDate,
}

/// One member on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The day.
    pub date: NaiveDate,
    /// The member, or somebody who is in no members list.
    pub member_id: Uuid,
    /// The role on that day; may be a word that the members list does not use.
    pub role: String,
    /// The vendor's flag.
    pub active_flag: bool,
    /// In the order of [`COUNTER_NAMES`]; `None` is left out of the answer.
    pub counters: [Option<u32>; 19],
}

impl Workspace {
    /// Generates a workspace; the same spec gives the same data.
    pub fn generate(spec: &WorkspaceSpec) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
        let people = people::draw(&mut rng, spec);
        let teams = teams::draw(&mut rng, spec);
        let memberships = teams::draw_memberships(&mut rng, &people, &teams);
        let members =
            people.iter().filter(|person| person.is_member()).map(|person| member(person, &memberships));
        let mut workspace = Self {
            domain: spec.domain.clone(),
            members: members.collect(),
            activities: people.iter().flat_map(|person| calendar::live(&mut rng, person, spec)).collect(),
            teams,
            memberships,
        };
        workspace.sort();
        workspace
    }

    /// Restores the order that pages rely on, after hands may have been on the public fields.
    pub(crate) fn sort(&mut self) {
        self.activities.sort_by_key(|row| (row.date, row.member_id));
        self.teams.sort_by_key(|team| std::cmp::Reverse(team.created_at));
        self.memberships.sort_by_key(|membership| std::cmp::Reverse(membership.since));
    }

    /// Where the rows of a window (both ends inclusive, open when `None`) lie in `activities`.
    pub(crate) fn window(&self, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Range<usize> {
        let start = from.map_or(0, |from| self.activities.partition_point(|row| row.date < from));
        let end =
            to.map_or(self.activities.len(), |to| self.activities.partition_point(|row| row.date <= to));
        start..end.max(start)
    }

    pub(crate) fn team(&self, id: Uuid) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id)
    }

    pub(crate) fn member(&self, id: Uuid) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }
}

fn member(person: &Person, memberships: &[Membership]) -> Member {
    Member {
        id: person.id,
        name: person.name.clone(),
        username: person.username.clone(),
        email: person.email.clone(),
        role: person.role.to_owned(),
        disabled: person.is_disabled(),
        invitation_pending: person.is_pending(),
        teams: memberships.iter().filter(|m| m.member_id == person.id).map(|m| m.team_id).collect(),
    }
}
