//! What to do about a seat, how sure that is, and what it saves.
//!
//! | tier | rule |
//! |---|---|
//! | `certain` | a paid role whose member is disabled, or whose invitation waits for more than 30 days |
//! | `probable` | a paid seat without an active day for 60 days or more, all of them covered, past the grace of 30 days |
//! | `review` | active, but without a maker action in 90 covered days: `contributor` where notes were created, `viewer` where boards were only opened. The counters count what was created, not what was edited: a reason to look, never "unused" |
//!
//! Exempt members are in no tier. Nothing is recommended by what is not covered.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    contract::{Contract, Price},
    exemption::Exemption,
    rollup::{Coverage, Flag, Rollup, Seat, SeatState},
};

/// Days an invitation may wait.
const PENDING_DAYS: i64 = 30;
/// Days without activity, all covered, after which a seat is probably not needed.
const IDLE_DAYS: u32 = 60;
/// Days a newcomer is left in peace.
const GRACE_DAYS: u64 = 30;
const REVIEW_DAYS: u32 = 90;

/// How sure a recommendation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nobody can use the seat.
    Certain,
    /// Nobody used it for long.
    Probable,
    /// Somebody uses it for what a free role can do.
    Review,
}

impl Tier {
    /// All tiers, surest first.
    pub const ALL: [Self; 3] = [Self::Certain, Self::Probable, Self::Review];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Probable => "probable",
            Self::Review => "review",
        }
    }

    /// The tier of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text)
    }
}

/// What to do with the seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The member is disabled, and the role still a paying one.
    RemoveDisabled,
    /// Nobody accepted the invitation.
    WithdrawInvitation,
    /// Give the seat to somebody else.
    Reassign,
    /// Look whether a contributor's role would do.
    ReviewContributor,
    /// Look whether a viewer's role would do.
    ReviewViewer,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 5] = [
        Self::RemoveDisabled,
        Self::WithdrawInvitation,
        Self::Reassign,
        Self::ReviewContributor,
        Self::ReviewViewer,
    ];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoveDisabled => "remove_disabled",
            Self::WithdrawInvitation => "withdraw_invitation",
            Self::Reassign => "reassign",
            Self::ReviewContributor => "review_contributor",
            Self::ReviewViewer => "review_viewer",
        }
    }

    /// The action of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }

    /// In words, for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RemoveDisabled => "disabled, but still in a paid role: remove it",
            Self::WithdrawInvitation => "invitation not accepted for over 30 days: withdraw it",
            Self::Reassign => "no activity for 60 days or more: give the seat to somebody else",
            Self::ReviewContributor => {
                "notes, but no maker action in 90 days: review whether contributor would do"
            }
            Self::ReviewViewer => "only opened boards in 90 days: review whether viewer would do",
        }
    }
}

/// A recommendation for one seat. The evidence is the seat itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recommendation {
    /// The member.
    pub member_id: Uuid,
    /// How sure.
    pub tier: Tier,
    /// What to do.
    pub action: Action,
}

/// Somebody took a recommendation on, and does at the vendor what it says. Holds while the same is recommended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The member.
    pub member_id: Uuid,
    /// What was recommended.
    pub action: Action,
    /// Who took it on, as people know them.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a rollup recommends, without the exempt.
pub fn recommend(rollup: &Rollup, coverage: &Coverage, exemptions: &[Exemption]) -> Vec<Recommendation> {
    let as_of = rollup.days.1;
    let exempt: BTreeSet<_> =
        exemptions.iter().filter(|exemption| exemption.holds(as_of)).map(|it| it.member_id).collect();
    let judging = Judging {
        as_of,
        idle_covered: coverage.is_full(as_of, IDLE_DAYS),
        // Features per seat say nothing where every row carries the workspace's totals.
        review_covered: coverage.is_full(as_of, REVIEW_DAYS) && !rollup.flags.contains(&Flag::RepeatedTotals),
    };
    let seats = rollup.seats.iter().filter(|seat| !exempt.contains(&seat.member_id));
    let mut found: Vec<_> = seats
        .filter_map(|seat| {
            let (tier, action) = judging.seat(seat)?;
            Some(Recommendation { member_id: seat.member_id, tier, action })
        })
        .collect();
    found.sort_by_key(|it| (it.tier, it.action, it.member_id));
    found
}

struct Judging {
    as_of: NaiveDate,
    idle_covered: bool,
    review_covered: bool,
}

impl Judging {
    fn seat(&self, seat: &Seat) -> Option<(Tier, Action)> {
        if !seat.standing.role.is_paid() {
            return None;
        }
        match seat.state {
            SeatState::Disabled => Some((Tier::Certain, Action::RemoveDisabled)),
            SeatState::Pending => {
                let waited =
                    seat.pending_since.is_some_and(|since| (self.as_of - since).num_days() > PENDING_DAYS);
                waited.then_some((Tier::Certain, Action::WithdrawInvitation))
            }
            SeatState::Dormant | SeatState::NeverSeen => {
                let idle_since = seat.last_active_day.unwrap_or(seat.first_seen_day);
                let idle = (self.as_of - idle_since).num_days() >= i64::from(IDLE_DAYS);
                let past_grace = seat.first_seen_day <= self.as_of - Days::new(GRACE_DAYS);
                (idle && past_grace && self.idle_covered).then_some((Tier::Probable, Action::Reassign))
            }
            SeatState::Occasional | SeatState::Engaged => self.review(seat),
            SeatState::Unknown | SeatState::New => None,
        }
    }

    fn review(&self, seat: &Seat) -> Option<(Tier, Action)> {
        let used = seat.uses[2];
        if !self.review_covered || used.maker_actions > 0 {
            return None;
        }
        let action = match (used.notes, used.views) {
            (1.., _) => Action::ReviewContributor,
            (0, 1..) => Action::ReviewViewer,
            // Active by the vendor's flag alone: what was done is not known.
            (0, 0) => return None,
        };
        Some((Tier::Review, action))
    }
}

/// What the recommendations come to. A yearly seat cannot shrink in mid-term, so that the two are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Savings {
    /// Seats in the tier `certain`.
    pub certain: u32,
    /// Seats in the tier `probable`.
    pub probable: u32,
    /// Seats in the tier `review`: not counted in any saving.
    pub review: u32,
    /// Seats a new hire could take today instead of buying one: certain and probable.
    pub reassignable_now: u32,
    /// Seats fewer to buy at renewal: `min(certain + probable, purchased − minimum)`; unknown without a contract.
    pub droppable_at_renewal: Option<u32>,
    /// What they cost a year, in the smallest unit of the currency; unknown without a contract and a price.
    pub saving_at_renewal: Option<u64>,
    /// What the reassignable seats cost a month.
    pub reassignable_per_month: Option<u64>,
}

impl Savings {
    /// Of those recommendations under that contract.
    pub fn of(recommendations: &[Recommendation], contract: &Contract) -> Self {
        let count = |tier| recommendations.iter().filter(|it| it.tier == tier).count();
        Self::of_counts(Tier::ALL.map(|tier| u32::try_from(count(tier)).unwrap_or(u32::MAX)), contract)
    }

    /// Of so many recommendations in each tier, surest first.
    pub fn of_counts([certain, probable, review]: [u32; 3], contract: &Contract) -> Self {
        let free = certain + probable;
        let droppable = contract.droppable().map(|most| most.min(free));
        let cost = |seats: u32, months| contract.price.map(|price: Price| price.times(seats.into(), months));
        Self {
            certain,
            probable,
            review,
            reassignable_now: free,
            droppable_at_renewal: droppable,
            saving_at_renewal: droppable.and_then(|seats| cost(seats, 12)),
            reassignable_per_month: cost(free, 1),
        }
    }
}
