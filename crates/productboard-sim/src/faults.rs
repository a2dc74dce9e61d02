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
    /// `GET /v2/teams`
    Teams,
    /// `GET /v2/teams/{id}/members`
    TeamMembers,
    /// `GET /v2/analytics/member-activities`
    MemberActivities,
}

impl Route {
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Members => "members:read",
            Self::Teams | Self::TeamMembers => "teams:read",
            Self::MemberActivities => "analytics:read",
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
    /// These routes answer 403, as for a token that lacks their scope.
    pub forbidden: HashSet<Route>,
    /// Revoke the token after this many more requests.
    pub revoke_after: Option<u64>,
    /// A missing scope is `access.missing_scope`, not `auth.accessDenied`.
    pub access_missing_scope: bool,
    /// OAuth tokens get 403 on members, teams and analytics whatever their scopes, as seen live in March 2026.
    pub oauth_forbidden: bool,
    /// `[obfuscated]` stands in for personal data, not `[redacted]`.
    pub obfuscated_word: bool,
}

impl Faults {
    /// Whether every forced status is an error status.
    pub(crate) fn are_answerable(&self) -> bool {
        self.fail_next.iter().chain(&self.analytics_unavailable).all(|status| (400..600).contains(status))
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
