//! One member's seat on the as-of day: its state and the evidence for it.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Coverage, LONGEST, MemberFacts, SHOWN_WINDOWS,
    day::{DayUse, areas_of},
};
use crate::{
    activity::Area,
    member::{Standing, Version, standing_on},
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

/// What a member did in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Per window, in the order of [`SHOWN_WINDOWS`].
    pub uses: [SeatUse; 3],
    /// Feature areas used in the longest window.
    pub areas_used: BTreeSet<Area>,
}

impl Seat {
    /// Active days per window, in the order of [`SHOWN_WINDOWS`].
    pub fn active_days(&self) -> [u32; 3] {
        self.uses.map(|window| window.active_days)
    }
}

/// The first day anything was known of a member: the first listing, or the first row of activity.
pub(super) fn first_seen(facts: &MemberFacts<'_>) -> Option<NaiveDate> {
    let listed = facts.versions.first().map(|version| version.valid_from);
    let rows = facts.days.first().map(|row| row.day);
    [listed, rows, facts.first_row].into_iter().flatten().min()
}

/// Judges one member; nothing where the member was not on the list on that day.
pub(super) fn judge(
    facts: &MemberFacts<'_>,
    uses: &Uses,
    as_of: NaiveDate,
    coverage: &Coverage,
    roster_start: NaiveDate,
) -> Option<Seat> {
    let standing = standing_on(facts.versions, roster_start, as_of)?.clone();
    let first_seen_day = first_seen(facts)?;
    let last_active_day = uses.last_active(as_of).or_else(|| last_active_before(facts, as_of));
    let active_days = uses.active_days(28);
    let state = if standing.disabled {
        SeatState::Disabled
    } else if standing.pending {
        SeatState::Pending
    } else if !coverage.is_full(as_of, 28) {
        SeatState::Unknown
    } else if last_active_day.is_none() {
        let newcomer = first_seen_day > as_of - Days::new(GRACE_DAYS);
        if newcomer { SeatState::New } else { SeatState::NeverSeen }
    } else {
        match active_days {
            0 => SeatState::Dormant,
            1..ENGAGED_DAYS => SeatState::Occasional,
            _ => SeatState::Engaged,
        }
    };
    Some(Seat {
        member_id: facts.member_id,
        pending_since: pending_since(facts.versions, as_of),
        standing,
        state,
        first_seen_day,
        last_active_day,
        uses: uses.shown(),
        areas_used: uses.areas_used(),
    })
}

/// The first day of the spell of waiting that still goes on.
fn pending_since(versions: &[Version], as_of: NaiveDate) -> Option<NaiveDate> {
    let present = versions.partition_point(|version| version.valid_from <= as_of).max(1);
    let waits = |version: &&Version| version.standing.as_ref().is_some_and(|standing| standing.pending);
    let spell = versions.get(..present)?.iter().rev().take_while(waits);
    spell.last().map(|version| version.valid_from)
}

/// The last active day before the longest window.
fn last_active_before(facts: &MemberFacts<'_>, as_of: NaiveDate) -> Option<NaiveDate> {
    let older = facts.days.iter().rev().find(|row| row.active && row.day <= as_of).map(|row| row.day);
    older.or(facts.active_before.filter(|day| *day <= as_of))
}

/// A member's last 90 days: what was active as bits, bit 0 being the as-of day, so that a window is a mask and a count;
/// the rest added up per window.
pub(super) struct Uses {
    active: u128,
    sums: [SeatUse; 3],
    /// Areas with an action, per window.
    areas: [u8; 3],
}

fn mask(window: u32) -> u128 {
    (1 << window) - 1
}

impl Uses {
    /// From days with their ages.
    pub(super) fn new<'a>(days: impl Iterator<Item = (usize, &'a DayUse)>) -> Self {
        let mut uses = Self { active: 0, sums: [SeatUse::default(); 3], areas: [0; 3] };
        for (age, row) in days.filter(|(age, row)| row.active && *age < LONGEST as usize) {
            uses.active |= 1 << age;
            for (at, _) in SHOWN_WINDOWS.iter().enumerate().filter(|(_, window)| age < **window as usize) {
                let sum = &mut uses.sums[at];
                uses.areas[at] |= row.areas();
                sum.actions += row.total();
                sum.views += row.views;
                sum.maker_actions += row.maker_actions;
                sum.notes += row.notes();
            }
        }
        uses
    }

    fn last_active(&self, as_of: NaiveDate) -> Option<NaiveDate> {
        (self.active != 0).then(|| as_of - Days::new(self.active.trailing_zeros().into()))
    }

    fn active_days(&self, window: u32) -> u32 {
        (self.active & mask(window)).count_ones()
    }

    fn areas_used(&self) -> BTreeSet<Area> {
        areas_of(self.areas[2]).collect()
    }

    /// Per window, in the order of [`SHOWN_WINDOWS`].
    fn shown(&self) -> [SeatUse; 3] {
        std::array::from_fn(|at| SeatUse {
            active_days: self.active_days(SHOWN_WINDOWS[at]),
            areas: self.areas[at].count_ones(),
            ..self.sums[at]
        })
    }
}
