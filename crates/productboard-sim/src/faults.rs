//! The switches that make the answers to one token, or to a whole workspace, less than faithful. All off by default.

mod latency;
mod shape;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use axum::http::HeaderValue;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use self::shape::{Burst, RateHeaders, RetryAfter, Storm, Swap};

/// A route of the simulated API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// `GET /v2/webhooks`
    Webhooks,
    /// `GET /v2/webhooks/{id}`
    Webhook,
    /// `POST /v2/webhooks`
    CreateWebhook,
    /// `DELETE /v2/webhooks/{id}`
    DeleteWebhook,
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
    /// `GET /notes` of the first version
    V1Notes,
}

impl Route {
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Members | Self::MembersSearch | Self::Member => "members:read",
            Self::Teams | Self::TeamsSearch | Self::Team | Self::TeamMembers => "teams:read",
            Self::MemberActivities => "analytics:read",
            Self::Webhooks | Self::Webhook => "webhooks:read",
            Self::CreateWebhook => "webhooks:write",
            Self::DeleteWebhook => "webhooks:delete",
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
            | Self::NoteConfiguration
            | Self::V1Notes => "notes:read",
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

/// Something else in a row of a list, wherever it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OddRow {
    /// Which list.
    pub route: Route,
    /// The row's id; of member activities, the member's.
    pub id: Uuid,
    /// Of member activities, the day.
    #[serde(default)]
    pub date: Option<NaiveDate>,
    /// Where in the row, as a JSON pointer such as `/fields/role`.
    pub pointer: String,
    /// What stands there instead.
    pub value: Value,
}

impl OddRow {
    /// Puts it into the row, if it is that one.
    pub(crate) fn put(&self, row: &mut Value) {
        let is = |name: &str, text: &str| row[name].as_str() == Some(text);
        let id = self.id.to_string();
        let is_of = is("memberId", &id) || is("id", &id);
        if is_of
            && self.date.is_none_or(|date| is("date", &date.to_string()))
            && let Some(place) = row.pointer_mut(&self.pointer)
        {
            place.clone_from(&self.value);
        }
    }
}

/// The switches of one token, or of a workspace for its tokens.
#[doc = include_str!("../docs/switches.md")]
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
    /// The last page links to the page of this number, counted from 0.
    pub last_page_links_to: Option<usize>,
    /// Behind the last page of these lists come empty ones, each with a fresh cursor, for ever.
    pub endless_empty_pages: HashSet<Route>,
    /// Behind the last page of these lists it comes again, each time with a fresh cursor, for ever.
    pub same_page_again: HashSet<Route>,
    /// Rows of lists have an unknown field of arrays nested this deep.
    pub deep_field: usize,
    /// What notes say is this many bytes long.
    pub note_bytes: usize,
    /// The selector `fields[]` of `GET /notes` is ignored: only `fields` is heard.
    pub plain_note_fields: bool,
    /// Texts of the JSON as it is sent, and what is sent instead; what it makes of the JSON is not looked at.
    pub body_swaps: Vec<Swap>,
    /// Requests are never answered.
    pub hangs: bool,
    /// The body of every 401, in the place of the documented one.
    pub unauthorized_body: Option<String>,
    /// `Retry-After` of every 429 and 503.
    pub retry_after_text: Option<String>,
    /// The value of the headers of the rate limit.
    pub rate_limit_text: Option<String>,
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
    /// Activity without dates is of this many of the newest days only.
    pub default_window_days: Option<u64>,
    /// Activity comes whole, whatever the dates.
    pub window_ignored: bool,
    /// Activity comes newest day first.
    pub activity_newest_first: bool,
    /// Activity obeys `limit`, up to 1,000 rows a page.
    pub activity_limit_obeyed: bool,
    /// Rows per page, where the simulator has another number.
    pub page_rows: Option<usize>,
    /// Every second answer to a cursor is the page of a row earlier.
    pub cursors_drift: bool,
    /// Members come newest first.
    pub members_newest_first: bool,
    /// Disabled and pending members are left out, even when they are asked for.
    pub include_ignored: bool,
    /// A search of entities without a type finds nothing.
    pub untyped_search_empty: bool,
    /// Filters by `updatedAt` are accepted and change nothing.
    pub updated_filter_ignored: bool,
    /// Every 404 is this code.
    pub not_found_code: Option<String>,
    /// The newest days of activity are not there yet: this many.
    pub late_days: u32,
    /// `dateTo` of member activities is the first day that is not in the answer.
    pub date_to_exclusive: bool,
    /// Rows that carry something else.
    pub odd_rows: Vec<OddRow>,
    /// Member activities are empty, whatever the window.
    pub empty_window: bool,
    /// These lists are empty.
    pub empty_list: HashSet<Route>,
    /// These lists end after half of their rows.
    pub shrunken_list: HashSet<Route>,
    /// These lists lose rows while they are read: each page after the first sees a tenth of a page (one row at least)
    /// less of the list's end than the one before, so that the last pages are shorter, empty, or not linked at all.
    pub shrinks_between_pages: HashSet<Route>,
    /// These routes answer 403, as for a token that lacks their scope.
    pub forbidden: HashSet<Route>,
    /// Revoke the token after this many more requests; of a workspace, all its tokens.
    pub revoke_after: Option<u64>,
    /// The same, but it expires.
    pub expire_after: Option<u64>,
    /// A missing scope is `access.missing_scope`, not `auth.accessDenied`.
    pub access_missing_scope: bool,
    /// OAuth tokens get 403 on members, teams and analytics whatever their scopes, as seen live in March 2026.
    pub oauth_forbidden: bool,
    /// `[obfuscated]` stands in for personal data, not `[redacted]`.
    pub obfuscated_word: bool,
    /// Up to this much is added to `latency` (`latency_jitter_ms` in JSON).
    #[serde(rename = "latency_jitter_ms", with = "millis")]
    pub latency_jitter: Duration,
    /// One answer in a hundred takes this long instead (`latency_p99_ms` in JSON).
    #[serde(rename = "latency_p99_ms", with = "millis")]
    pub latency_p99: Duration,
    /// Where jitter and stragglers are drawn from.
    pub latency_seed: u64,
    /// These routes answer 401 although the token is live.
    pub unauthorized_on: HashSet<Route>,
    /// These routes answer 503.
    pub broken: HashSet<Route>,
    /// 429 for the next requests.
    pub storm_429: Option<Storm>,
    /// 503 in bursts.
    pub burst_5xx: Option<Burst>,
    /// How a 429 says when to come back.
    pub retry_after: RetryAfter,
    /// How the headers of the rate limit are called.
    pub rate_headers: RateHeaders,
    /// The next so many answers are a proxy's 502 in HTML.
    pub html_error: u64,
    /// The next so many requests are done, and then the connection drops without a byte.
    pub reset_before_head: u64,
    /// The next so many answers end in the middle, with the connection.
    pub reset_mid_body: u64,
    /// The next so many answers are whole by their length, but half a JSON.
    pub truncated_json: u64,
    /// The next so many answers are no JSON.
    pub malformed_json: u64,
    /// The body comes in drops over this time (`slow_body_ms` in JSON).
    #[serde(rename = "slow_body_ms", with = "millis")]
    pub slow_body: Duration,
    /// So many bytes of white space come before the JSON, without a `Content-Length`.
    pub huge_body_bytes: u64,
    /// Bodies are compressed for clients that accept it.
    pub gzip: bool,
    /// Every answer redirects (302) to this URL.
    pub redirect: Option<String>,
    /// `links.next` points to this origin, `http://host:port`.
    pub foreign_next_host: Option<String>,
    /// The `Deprecation` header.
    pub deprecation: Option<String>,
    /// The `Sunset` header.
    pub sunset: Option<String>,
    /// Webhooks may go to `http://127.0.0.1:…`, which the vendor refuses.
    pub local_webhooks: bool,
    /// The first version still answers `GET /notes`, to requests with `X-Version: 1`.
    pub v1_alive: bool,
    /// Its last page gives the first page's `pageCursor` again.
    pub v1_cursor_loops: bool,
    /// Of a workspace: what `evolve` makes, updates and deletes among entities and notes is told to subscribers.
    pub announce_evolution: bool,
}

impl Faults {
    /// How many of a list's rows are left for the page that begins at `start`.
    pub(crate) fn left(&self, route: Route, total: usize, start: usize, page_size: usize) -> usize {
        let total = self.shown(route, total);
        if !self.shrinks_between_pages.contains(&route) {
            return total;
        }
        total.saturating_sub(start / page_size.max(1) * (page_size / 10).max(1))
    }

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

    /// Why nothing can be answered with these.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let mut statuses = self.fail_next.iter().chain(&self.analytics_unavailable);
        let said =
            [&self.redirect, &self.deprecation, &self.sunset, &self.retry_after_text, &self.rate_limit_text];
        let mut headers = said.into_iter().flatten();
        if !statuses.all(|status| (400..600).contains(status)) {
            return Some("Forced statuses must be 400 to 599");
        }
        if self.burst_5xx.is_some_and(|burst| burst.every == 0 || burst.length > burst.every) {
            return Some("A burst is at most as long as its turn, which is at least 1");
        }
        headers
            .any(|value| HeaderValue::from_str(value).is_err())
            .then_some("A header cannot hold this value")
    }

    /// Whether bodies go out as they are made.
    pub(crate) fn leave_bodies_alone(&self) -> bool {
        self.slow_body.is_zero() && self.huge_body_bytes == 0 && !self.gzip && self.body_swaps.is_empty()
    }
}

pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
