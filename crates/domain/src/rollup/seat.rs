//! One member's seat on the as-of day: its state and the evidence for it.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Coverage, Rolling, UnknownDays};
use crate::{
    activity::Area,
    member::{Standing, Version, standing_on},
};

/// Days a newcomer without activity is left in peace.
const GRACE_DAYS: u64 = 30;
/// The days whose activity makes the verdict.
const JUDGED_DAYS: u32 = 28;
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
    /// The last 28 days are not covered whole; or a day of the member among them could not be read, and the others do not
    /// make the seat engaged.
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

/// What a member did in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SeatUse {
    /// Days with activity.
    pub active_days: u32,
    /// Feature areas used: the breadth.
    pub areas: u32,
    /// Actions of any kind: over the active days, the depth.
    pub actions: u64,
    /// Of them, boards opened: over all actions, the view-only share.
    pub views: u64,
    /// Of them, what needs a paid seat: every creation but a note's, and notes moved on.
    pub maker_actions: u64,
    /// Of them, notes created.
    pub notes: u64,
}

/// A seat and the evidence for its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The member.
    pub member_id: Uuid,
    /// How the member stands on the as-of day.
    pub standing: Standing,
    /// The verdict.
    pub state: SeatState,
    /// The first day anything was known of the member: the first listing or the first row of activity.
    pub first_seen_day: NaiveDate,
    /// The last active day up to the as-of day.
    pub last_active_day: Option<NaiveDate>,
    /// Since when the invitation is known to wait, where it does.
    pub pending_since: Option<NaiveDate>,
    /// Per window, in the order of [`SHOWN_WINDOWS`](super::SHOWN_WINDOWS).
    pub uses: [SeatUse; 3],
    /// Feature areas used in the longest window.
    pub areas_used: BTreeSet<Area>,
}

impl Seat {
    /// Active days per window, in the order of [`SHOWN_WINDOWS`](super::SHOWN_WINDOWS).
    pub fn active_days(&self) -> [u32; 3] {
        self.uses.map(|window| window.active_days)
    }
}

/// The first day anything was known of a member: the first listing, or the first row of activity.
pub(super) fn first_seen(versions: &[Version], first_row: Option<NaiveDate>) -> Option<NaiveDate> {
    let listed = versions.first().map(|version| version.valid_from);
    [listed, first_row].into_iter().flatten().min()
}

/// Judges members by how their windows stand on one day.
#[derive(Debug, Clone)]
pub struct Judge {
    as_of: NaiveDate,
    /// All days whose activity makes the verdict are covered.
    is_known: bool,
    roster_start: NaiveDate,
    unknown: Arc<UnknownDays>,
}

impl Judge {
    /// Of that day, in a workspace whose members were first listed as of `roster_start`.
    pub fn new(as_of: NaiveDate, coverage: &Coverage, roster_start: NaiveDate) -> Self {
        Self { as_of, is_known: coverage.is_full(as_of, JUDGED_DAYS), roster_start, unknown: Arc::default() }
    }

    /// The same, where the activity of some members on some days is unknown.
    pub fn with_unknown(self, unknown: &Arc<UnknownDays>) -> Self {
        Self { unknown: Arc::clone(unknown), ..self }
    }

    /// The seat of a member with that history; nothing where the member was not on the list on that day.
    pub fn seat(&self, member: &Rolling, versions: &[Version]) -> Option<Seat> {
        let as_of = self.as_of;
        let standing = standing_on(versions, self.roster_start, as_of)?.clone();
        let first_seen_day = member.first_seen(versions, as_of)?;
        let last_active_day = member.last_active(as_of);
        let active_days = member.active_days(JUDGED_DAYS);
        let is_engaged = active_days >= ENGAGED_DAYS;
        let (id, unknown) = (member.member_id, &*self.unknown);
        let state = if standing.disabled {
            SeatState::Disabled
        } else if standing.pending {
            SeatState::Pending
        } else if !self.is_known || (!is_engaged && unknown.any_within(id, as_of, JUDGED_DAYS)) {
            SeatState::Unknown
        } else if last_active_day.is_none() {
            let newcomer = first_seen_day > as_of - Days::new(GRACE_DAYS);
            match newcomer {
                true => SeatState::New,
                // What could not be read may have been activity.
                false if unknown.any(id, as_of) => SeatState::Dormant,
                false => SeatState::NeverSeen,
            }
        } else {
            match active_days {
                0 => SeatState::Dormant,
                _ if is_engaged => SeatState::Engaged,
                _ => SeatState::Occasional,
            }
        };
        Some(Seat {
            member_id: member.member_id,
            pending_since: pending_since(versions, as_of),
            standing,
            state,
            first_seen_day,
            last_active_day,
            uses: member.uses(),
            areas_used: member.areas_used(),
        })
    }
}

/// The first day of the spell of waiting that still goes on.
fn pending_since(versions: &[Version], as_of: NaiveDate) -> Option<NaiveDate> {
    let present = versions.partition_point(|version| version.valid_from <= as_of).max(1);
    let waits = |version: &&Version| version.standing.as_ref().is_some_and(|standing| standing.pending);
    let spell = versions.get(..present)?.iter().rev().take_while(waits);
    spell.last().map(|version| version.valid_from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        member::Role,
        recommendation::{Action, Recommendation, Tier},
        rollup::{DayUse, MemberFacts},
    };

    const MEMBER: Uuid = Uuid::from_u128(1);

    fn day(back: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 6, 30).unwrap() - Days::new(back)
    }

    /// The state of a maker who was active so many days ago, with a day of so many days ago unread.
    fn state(active: &[u64], unread: Option<u64>) -> SeatState {
        let standing = Standing { role: Role::Maker, disabled: false, pending: false };
        let versions = [Version { valid_from: day(300), standing: Some(standing) }];
        let mut days: Vec<_> =
            active.iter().map(|back| DayUse { active: true, ..DayUse::blank(day(*back)) }).collect();
        days.sort_by_key(|one| one.day);
        let facts = MemberFacts {
            member_id: MEMBER,
            versions: &versions,
            days: &days,
            teams: &[],
            first_row: None,
            active_before: None,
        };
        let coverage: Coverage = (0..200).map(day).collect();
        let unknown = unread.map(|back| (MEMBER, [day(back)].into()));
        let unknown = Arc::new(UnknownDays::new(unknown.into_iter().collect::<BTreeMap<_, _>>()));
        let judge = Judge::new(day(0), &coverage, day(300)).with_unknown(&unknown);
        judge.seat(&Rolling::new(&facts, day(0)), &versions).unwrap().state
    }

    #[test]
    fn a_day_that_could_not_be_read_is_not_inactive() {
        assert_eq!(state(&[], None), SeatState::NeverSeen);
        assert_eq!(state(&[], Some(3)), SeatState::Unknown);
        assert_eq!(state(&[], Some(27)), SeatState::Unknown, "the first of the 28 days");
        assert_eq!(state(&[], Some(28)), SeatState::Dormant, "not seen lately, and not sure before");
        assert_eq!(state(&[1, 2], None), SeatState::Occasional);
        assert_eq!(state(&[1, 2], Some(3)), SeatState::Unknown, "it may be engaged");
        assert_eq!(state(&[1, 2, 4, 5], Some(3)), SeatState::Engaged, "whatever the unread day had");
        assert_eq!(state(&[60], Some(30)), SeatState::Dormant);
    }

    #[test]
    fn nothing_is_recommended_by_days_that_could_not_be_read() {
        let unknown = UnknownDays::new([(MEMBER, [day(40)].into())].into());
        let of = |member_id, tier| Recommendation { member_id, tier, action: Action::Reassign };
        assert!(!unknown.allow(&of(MEMBER, Tier::Probable), day(0)));
        assert!(!unknown.allow(&of(MEMBER, Tier::Review), day(0)));
        assert!(unknown.allow(&of(MEMBER, Tier::Certain), day(0)));
        assert!(unknown.allow(&of(Uuid::from_u128(2), Tier::Probable), day(0)));
        let old = UnknownDays::new([(MEMBER, [day(90)].into())].into());
        assert!(old.allow(&of(MEMBER, Tier::Probable), day(0)));
    }
}
