//! One Productboard workspace as facts: people and their daily activity, what they plan and what customers said.
//!
//! Invariant of a served workspace: `activities` are sorted by (date, member), `teams`, `memberships` and `notes`
//! newest first, `members` and `entities` oldest first. Pages are slices of these; windows are found by binary search.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::feedback::Subjects;
use crate::ground::{self, Ground};
use crate::people::Person;
use crate::{
    CustomField, Entity, Note, SelectOption, Status, WorkspaceSpec, calendar, feedback, people, planning,
    teams,
};

/// What people plan and say is drawn apart: more of it must not change who is there and when they come.
const PLANS: u64 = 0x706c_616e_7321;

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
    /// The last day of data.
    #[serde(default)]
    pub today: NaiveDate,
    /// Members, oldest first, disabled and pending ones included.
    pub members: Vec<Member>,
    /// Teams, newest first.
    pub teams: Vec<Team>,
    /// Who is in which team, newest first.
    pub memberships: Vec<Membership>,
    /// Activity rows, sorted by (date, member).
    pub activities: Vec<Activity>,
    /// Entities of all types, oldest first.
    #[serde(default)]
    pub entities: Vec<Entity>,
    /// Notes, newest first.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// Statuses of entities.
    #[serde(default)]
    pub statuses: Vec<Status>,
    /// Tags of entities and notes.
    #[serde(default)]
    pub tags: Vec<SelectOption>,
    /// Fields that the workspace defined itself.
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
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
            today: spec.today,
            members: members.collect(),
            activities: people.iter().flat_map(|person| calendar::live(&mut rng, person, spec)).collect(),
            teams,
            memberships,
            entities: Vec::new(),
            notes: Vec::new(),
            statuses: Vec::new(),
            tags: Vec::new(),
            custom_fields: Vec::new(),
        };
        workspace.plan(spec);
        workspace.sort();
        workspace
    }

    fn plan(&mut self, spec: &WorkspaceSpec) {
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed ^ PLANS);
        self.statuses = ground::statuses(&mut rng);
        self.tags = ground::tags(&mut rng);
        self.custom_fields = ground::custom_fields(&mut rng);
        self.entities = planning::draw(&mut rng, spec, Ground::of(self));
        self.notes = feedback::draw(&mut rng, spec, Ground::of(self), &Subjects::of(&self.entities));
    }

    /// Restores the order that pages rely on, after hands may have been on the public fields.
    pub(crate) fn sort(&mut self) {
        self.activities.sort_by_key(|row| (row.date, row.member_id));
        self.teams.sort_by_key(|team| std::cmp::Reverse(team.created_at));
        self.memberships.sort_by_key(|membership| std::cmp::Reverse(membership.since));
        self.entities.sort_by_key(|entity| (entity.created_at, entity.id));
        self.notes.sort_by_key(|note| std::cmp::Reverse((note.created_at, note.id)));
    }

    /// Where the rows of a window (both ends inclusive, open when `None`) lie in `activities`.
    pub(crate) fn window(&self, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Range<usize> {
        let start = from.map_or(0, |from| self.activities.partition_point(|row| row.date < from));
        let end =
            to.map_or(self.activities.len(), |to| self.activities.partition_point(|row| row.date <= to));
        start..end.max(start)
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
