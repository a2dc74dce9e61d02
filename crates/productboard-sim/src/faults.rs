//! The switches that make one token's answers less than faithful. All off by default.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A route of the simulated API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `GET /v2/members`
    Members,
    /// `POST /v2/members/search`
    MembersSearch,
    /// `GET /v2/members/{id}`
    Member,
    /// `GET /v2/teams`
    Teams,
    /// `POST /v2/teams/search`
    TeamsSearch,
    /// `GET /v2/teams/{id}`
    Team,
    /// `GET /v2/teams/{id}/members`
    TeamMembers,
    /// `GET /v2/analytics/member-activities`
    MemberActivities,
    /// `GET /v2/entities`
    Entities,
    /// `POST /v2/entities/search`
    EntitiesSearch,
    /// `GET /v2/entities/{id}`
    Entity,
    /// `GET /v2/entities/{id}/relationships`
    EntityRelationships,
    /// `GET /v2/entities/configurations`
    EntityConfigurations,
    /// `GET /v2/entities/configurations/{type}`
    EntityConfiguration,
    /// `GET /v2/entities/fields/{id}/values`
    FieldValues,
    /// `GET /v2/notes`
    Notes,
    /// `POST /v2/notes/search`
    NotesSearch,
    /// `GET /v2/notes/{id}`
    Note,
    /// `GET /v2/notes/{id}/relationships`
    NoteRelationships,
    /// `GET /v2/notes/configurations`
    NoteConfigurations,
    /// `GET /v2/notes/configurations/{type}`
    NoteConfiguration,
}

impl Route {
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Members | Self::MembersSearch | Self::Member => "members:read",
            Self::Teams | Self::TeamsSearch | Self::Team | Self::TeamMembers => "teams:read",
            Self::MemberActivities => "analytics:read",
            Self::Entities
            | Self::EntitiesSearch
            | Self::Entity
            | Self::EntityRelationships
            | Self::EntityConfigurations
            | Self::EntityConfiguration
            | Self::FieldValues => "entities:read",
            Self::Notes
            | Self::NotesSearch
            | Self::Note
            | Self::NoteRelationships
            | Self::NoteConfigurations
            | Self::NoteConfiguration => "notes:read",
        }
    }
}

/// The shape of `links.next` of member activities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextLink {
    /// A whole URL with the window and the cursor.
    #[default]
    Absolute,
    /// `/member-activities?pageCursor=…`: without host, without the `/v2/analytics` prefix, without the window.
    Relative,
    /// A whole URL with the cursor only.
    WithoutDates,
}

/// The switches of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Wait this long before every answer (`latency_ms` in JSON).
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,
    /// Member activities always answer this status: 403, 404 or 501 when the plan lacks analytics.
    pub analytics_unavailable: Option<u16>,
    /// Statuses of the next answers, one each, for example 503, 408, 429.
    pub fail_next: VecDeque<u16>,
    /// The shape of `links.next` of member activities.
    pub next_link: NextLink,
    /// The vendor's two board totals are 0 although the kinds are not.
    pub totals_zero: bool,
    /// Every row carries the whole workspace's counters of its day.
    pub repeated_totals: bool,
    /// Counters that are 0 are left out of every row.
    pub hide_zeros: bool,
    /// Fields that no schema knows.
    pub unknown_fields: bool,
    /// The last page links to itself for ever.
    pub repeat_last_cursor: bool,
    /// `links.next` of entities carries `type=` where the API itself wants `type[]=`.
    pub scalar_type_in_next: bool,
    /// Searches find no objectives.
    pub objective_search_empty: bool,
    /// Searches for teams by name or handle find nothing.
    pub team_search_empty: bool,
    /// Inline relationships are a bare array.
    pub relationships_as_array: bool,
    /// Notes have their timestamps inside `fields`.
    pub nested_timestamps: bool,
    /// Every day has activity rows of people whom no members list has.
    pub unknown_member_ids: bool,
    /// Rows of makers say `editor`.
    pub editor_role: bool,
    /// Every third row has no counters.
    pub absent_counters: bool,
    /// The newest days of activity are not there yet: this many.
    pub late_days: u32,
    /// Member activities are empty, whatever the window.
    pub empty_window: bool,
    /// These lists are empty.
    pub empty_list: HashSet<Route>,
    /// These lists end after half of their rows.
    pub shrunken_list: HashSet<Route>,
    /// These routes answer 403, as for a token that lacks their scope.
    pub forbidden: HashSet<Route>,
    /// Revoke the token after this many more requests.
    pub revoke_after: Option<u64>,
}

impl Faults {
    /// How many of a list's rows can be seen.
    pub(crate) fn shown(&self, route: Route, total: usize) -> usize {
        if self.empty_list.contains(&route) || self.empty_window && route == Route::MemberActivities {
            0
        } else if self.shrunken_list.contains(&route) {
            total / 2
        } else {
            total
        }
    }

    /// Whether every forced status is an error status.
    pub(crate) fn are_answerable(&self) -> bool {
        self.fail_next.iter().chain(&self.analytics_unavailable).all(|status| (400..600).contains(status))
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
