//! One member's seat on the as-of day: its state and the evidence for it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Coverage, MemberFacts, SHOWN_WINDOWS, window_start};
use crate::{
    activity::Area,
    member::{Standing, standing_on},
};

/// Days a newcomer without activity is left in peace.
const GRACE_DAYS: u64 = 30;
/// Active days in 28 from which a seat counts as engaged.
const ENGAGED_DAYS: u32 = 4;

/// What is known of a seat's use: the first state that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatState {
    /// The member was disabled.
    Disabled,
    /// The invitation waits.
    Pending,
    /// The last 28 days are not covered whole.
    Unknown,
    /// Seen for fewer than 30 days, and not active yet.
    New,
    /// No activity since the history starts.
    NeverSeen,
    /// No active day in 28.
    Dormant,
    /// One to three active days in 28.
    Occasional,
    /// Four or more active days in 28.
    Engaged,
}

impl SeatState {
    /// All states, in order of precedence.
    pub const ALL: [Self; 8] = [
        Self::Disabled,
        Self::Pending,
        Self::Unknown,
        Self::New,
        Self::NeverSeen,
        Self::Dormant,
        Self::Occasional,
        Self::Engaged,
    ];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::New => "new",
            Self::NeverSeen => "never_seen",
            Self::Dormant => "dormant",
            Self::Occasional => "occasional",
            Self::Engaged => "engaged",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A seat and the evidence for its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The member.
    pub member_id: Uuid,
    /// How the member stands on the as-of day.
    pub standing: Standing,
    /// The verdict.
    pub state: SeatState,
    /// The first day anything was known of the member.
    pub first_seen_day: NaiveDate,
    /// The last active day up to the as-of day.
    pub last_active_day: Option<NaiveDate>,
    /// Active days per window, in the order of [`SHOWN_WINDOWS`].
    pub active_days: [u32; 3],
    /// Feature areas used in the longest window.
    pub areas_used: BTreeSet<Area>,
}

/// Judges one member; nothing where the member was not on the list on that day.
pub(super) fn judge(facts: &MemberFacts<'_>, as_of: NaiveDate, coverage: &Coverage) -> Option<Seat> {
    let standing = standing_on(facts.versions, as_of)?.clone();
    let mut active: BTreeSet<NaiveDate> = BTreeSet::new();
    let mut areas: BTreeMap<NaiveDate, BTreeSet<Area>> = BTreeMap::new();
    for row in facts.days.iter().filter(|row| row.day <= as_of) {
        if row.is_active() {
            active.insert(row.day);
        }
        areas.entry(row.day).or_default().extend(row.counters.actions().map(|(area, ..)| area));
    }
    let active_days = SHOWN_WINDOWS.map(|window| {
        u32::try_from(active.range(window_start(as_of, window)..).count()).expect("at most 90 days")
    });
    let first_version = facts.versions.first().map(|version| version.valid_from);
    let first_seen_day = first_version.into_iter().chain(active.first().copied()).min()?;
    let areas_used = areas.range(super::horizon(as_of)..).flat_map(|(_, areas)| areas).copied().collect();
    let state = if standing.disabled {
        SeatState::Disabled
    } else if standing.pending {
        SeatState::Pending
    } else if !coverage.is_full(as_of, 28) {
        SeatState::Unknown
    } else if active.is_empty() && first_seen_day > as_of - Days::new(GRACE_DAYS) {
        SeatState::New
    } else if active.is_empty() {
        SeatState::NeverSeen
    } else {
        match active_days[1] {
            0 => SeatState::Dormant,
            1..ENGAGED_DAYS => SeatState::Occasional,
            _ => SeatState::Engaged,
        }
    };
    let last_active_day = active.last().copied();
    Some(Seat {
        member_id: facts.member_id,
        standing,
        state,
        first_seen_day,
        last_active_day,
        active_days,
        areas_used,
    })
}
