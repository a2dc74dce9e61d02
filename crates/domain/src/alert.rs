//! What somebody should be told without asking. Each is told once when it begins, and again only after it has ended.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    contract::Contract,
    event::Data,
    rollup::{Ratio, Seat, SeatState},
};

/// Days before a renewal that are told.
pub const RENEWAL_DAYS: [u32; 3] = [120, 90, 60];
/// The names of the kinds of alerts.
pub const KINDS: [&str; 5] = ["below_target", "seat_idle", "over_allocated", "renewal_near", "data_stale"];
/// Seats that one event lists.
pub const LISTED_SEATS: usize = 100;
/// Days the data may lag behind before that is told.
pub const STALE_DAYS: i64 = 3;

/// The utilization was under the customer's target for two 28-day windows in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BelowTarget {
    /// The last day of the later window.
    pub as_of: NaiveDate,
    /// Paid seats active in it.
    pub active_seats: u64,
    /// Assigned paid seats.
    pub assigned_seats: u64,
    /// The target.
    pub target_percent: u32,
}

/// A paid seat that was used, or new, is not used any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatIdle {
    /// The day it is judged by.
    pub as_of: NaiveDate,
    /// The member.
    pub member_id: Uuid,
    /// `dormant` or `never_seen`.
    pub state: SeatState,
    /// The last active day, where there was one.
    pub last_active_day: Option<NaiveDate>,
}

/// Paid seats that were used, or new, and are not used any more: all that went idle at one look, in one event. Each is an
/// alert of its own, so that `UtilizationService.ListAlerts` has those that are not listed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsIdle {
    /// The day they are judged by.
    pub as_of: NaiveDate,
    /// How many there are.
    pub total: u64,
    /// The first of them by member, at most [`LISTED_SEATS`].
    pub seats: Vec<IdleSeat>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleSeat {
    /// The member.
    pub member_id: Uuid,
    /// `dormant` or `never_seen`.
    pub state: SeatState,
    /// The last active day, where there was one.
    pub last_active_day: Option<NaiveDate>,
}

/// More seats are assigned than were bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverAllocated {
    /// The day it is judged by.
    pub as_of: NaiveDate,
    /// Assigned paid seats.
    pub assigned_seats: u32,
    /// Seats by the contract.
    pub purchased_seats: u32,
}

/// The contract renews soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalNear {
    /// The first day of the next term.
    pub renewal: NaiveDate,
    /// It is at most so many days away.
    pub days: u32,
    /// Seats fewer to buy, as it stands.
    pub droppable_seats: Option<u32>,
    /// The day these are judged by; none where it was told before this was told with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<NaiveDate>,
}

/// The numbers are old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataStale {
    /// The last covered day.
    pub as_of: NaiveDate,
    /// Whether the connection waits for somebody to reconnect it.
    pub reconnect_required: bool,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Alert {
    /// Utilization under the target.
    BelowTarget(BelowTarget),
    /// A paid seat went idle.
    SeatIdle(SeatIdle),
    /// More seats than bought.
    OverAllocated(OverAllocated),
    /// A renewal is near.
    RenewalNear(RenewalNear),
    /// Old numbers.
    DataStale(DataStale),
}

impl Alert {
    /// The kind's name in the database.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BelowTarget(_) => "below_target",
            Self::SeatIdle(_) => "seat_idle",
            Self::OverAllocated(_) => "over_allocated",
            Self::RenewalNear(_) => "renewal_near",
            Self::DataStale(_) => "data_stale",
        }
    }

    /// What tells it from others of its kind that may hold at the same time.
    pub fn subject(&self) -> String {
        match self {
            Self::BelowTarget(_) | Self::OverAllocated(_) | Self::DataStale(_) => String::new(),
            Self::SeatIdle(seat) => seat.member_id.to_string(),
            Self::RenewalNear(near) => format!("{}/{}", near.renewal, near.days),
        }
    }

    /// The day of the numbers it was judged by, where there are any.
    pub fn as_of(&self) -> Option<NaiveDate> {
        match self {
            Self::BelowTarget(BelowTarget { as_of, .. })
            | Self::SeatIdle(SeatIdle { as_of, .. })
            | Self::OverAllocated(OverAllocated { as_of, .. })
            | Self::DataStale(DataStale { as_of, .. }) => Some(*as_of),
            Self::RenewalNear(RenewalNear { as_of, .. }) => *as_of,
        }
    }

    /// What it tells as a part of something, where it does.
    pub fn share(&self) -> Option<Ratio> {
        match self {
            Self::BelowTarget(below) => Some(Ratio::of(below.active_seats, below.assigned_seats)),
            Self::OverAllocated(over) => Some(Ratio::of(over.assigned_seats, over.purchased_seats)),
            Self::SeatIdle(_) | Self::RenewalNear(_) | Self::DataStale(_) => None,
        }
    }

    /// The member it is about.
    pub fn member_id(&self) -> Option<Uuid> {
        match self {
            Self::SeatIdle(seat) => Some(seat.member_id),
            _ => None,
        }
    }

    /// In words, for a person.
    pub fn sentence(&self) -> String {
        match self {
            Self::BelowTarget(below) => format!(
                "{} of {} paid seats were used in 28 days: under the target of {} % for two windows in a row",
                below.active_seats, below.assigned_seats, below.target_percent
            ),
            Self::SeatIdle(SeatIdle { last_active_day: Some(day), .. }) => {
                format!("a paid seat went idle: no activity since {day}")
            }
            Self::SeatIdle(_) => "a paid seat went idle: no activity since it was first seen".to_owned(),
            Self::OverAllocated(over) => format!(
                "{} paid seats are assigned, {} were bought",
                over.assigned_seats, over.purchased_seats
            ),
            Self::RenewalNear(near) => {
                let droppable = near.droppable_seats.filter(|seats| *seats > 0);
                let seats = droppable.map(|seats| format!("; {seats} seats fewer could be bought"));
                format!(
                    "the contract renews on {}, in at most {} days{}",
                    near.renewal,
                    near.days,
                    seats.unwrap_or_default()
                )
            }
            Self::DataStale(stale) => {
                let why = if stale.reconnect_required { ": the workspace has to be reconnected" } else { "" };
                format!("the newest numbers are of {}{why}", stale.as_of)
            }
        }
    }
}

/// What alerts are judged by.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The day of the numbers.
    pub as_of: NaiveDate,
    /// The day it is.
    pub today: NaiveDate,
    /// Seat utilization over the 28 days that end on the as-of day, where they are covered whole.
    pub utilization: Option<Ratio>,
    /// The same, 28 days earlier.
    pub utilization_before: Option<Ratio>,
    /// Assigned paid seats.
    pub assigned: u32,
    /// The seats.
    pub seats: &'a [Seat],
    /// Members whose seats are exempt.
    pub exempt: &'a BTreeSet<Uuid>,
    /// The contract.
    pub contract: &'a Contract,
    /// Seats fewer to buy at renewal.
    pub droppable: Option<u32>,
    /// Whether the connection needs a reconnect.
    pub reconnect_required: bool,
}

/// Kind and subject of an alert that was told.
pub type Told = (String, String);

/// What has changed about the alerts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// To be told now.
    pub begun: Vec<Alert>,
    /// Hold, but are not told: they were there before anybody looked, or a nearer one is told.
    pub silent: Vec<Told>,
    /// Have ended.
    pub ended: Vec<Told>,
}

impl Turn {
    /// What is announced of those that have begun: each, but for seats that went idle, which leave together.
    pub fn announcements(&self) -> Vec<Data> {
        let mut idle: Option<SeatsIdle> = None;
        let mut all = Vec::new();
        for alert in &self.begun {
            let Alert::SeatIdle(SeatIdle { as_of, member_id, state, last_active_day }) = alert else {
                all.push(alert.clone().into());
                continue;
            };
            let seats = idle.get_or_insert(SeatsIdle { as_of: *as_of, total: 0, seats: Vec::new() });
            seats.total += 1;
            if seats.seats.len() < LISTED_SEATS {
                let (member_id, state, last_active_day) = (*member_id, *state, *last_active_day);
                seats.seats.push(IdleSeat { member_id, state, last_active_day });
            }
        }
        all.extend(idle.map(Data::SeatsIdle));
        all
    }
}

impl Situation<'_> {
    /// Compares what holds with what was told. The first look at a connection's seats tells nothing of them: which of them
    /// were idle before is in the summary.
    pub fn turn(&self, told: &BTreeSet<Told>, first_look: bool) -> Turn {
        let holding = self.holding();
        let known = |alert: &Alert| (alert.kind().to_owned(), alert.subject());
        let all: BTreeMap<Told, Alert> = holding.into_iter().map(|alert| (known(&alert), alert)).collect();
        let unknown = self.seats.iter().filter(|seat| seat.state == SeatState::Unknown);
        let unknown: BTreeSet<_> = unknown.map(|seat| seat.member_id.to_string()).collect();
        let ended = told.iter().filter(|one| !all.contains_key(*one) && self.can_tell(one, &unknown));
        let mut turn = Turn { ended: ended.cloned().collect(), ..Turn::default() };
        let nearest = self.nearest();
        for (key, alert) in all.into_iter().filter(|(key, _)| !told.contains(key)) {
            let silent = match &alert {
                Alert::SeatIdle(_) => first_look,
                Alert::RenewalNear(near) => Some(near.days) != nearest,
                _ => false,
            };
            if silent { turn.silent.push(key) } else { turn.begun.push(alert) }
        }
        turn
    }

    /// Whether the end of an alert can be seen: a seat that is not covered is neither idle nor in use, old numbers end
    /// nothing, and of a kind that this version does not know, another one sees the end. `unknown` has the members whose
    /// seats are not covered.
    fn can_tell(&self, (kind, subject): &Told, unknown: &BTreeSet<String>) -> bool {
        match kind.as_str() {
            "seat_idle" => !unknown.contains(subject),
            "below_target" => self.utilization.is_some() || self.contract.target_percent.is_none(),
            known => KINDS.contains(&known),
        }
    }

    fn holding(&self) -> Vec<Alert> {
        let mut all: Vec<Alert> = self.idle().collect();
        all.extend(self.below_target());
        let purchased = self.contract.purchased.filter(|purchased| self.assigned > *purchased);
        all.extend(purchased.map(|purchased_seats| {
            let Self { as_of, assigned: assigned_seats, .. } = *self;
            Alert::OverAllocated(OverAllocated { as_of, assigned_seats, purchased_seats })
        }));
        all.extend(self.renewals());
        let old = (self.today - self.as_of).num_days() > STALE_DAYS;
        all.extend(old.then_some(Alert::DataStale(DataStale {
            as_of: self.as_of,
            reconnect_required: self.reconnect_required,
        })));
        all
    }

    fn idle(&self) -> impl Iterator<Item = Alert> + '_ {
        let idle = |seat: &&Seat| matches!(seat.state, SeatState::Dormant | SeatState::NeverSeen);
        let seats = self.seats.iter().filter(|seat| seat.standing.is_paid_seat()).filter(idle);
        seats.filter(|seat| !self.exempt.contains(&seat.member_id)).map(|seat| {
            Alert::SeatIdle(SeatIdle {
                as_of: self.as_of,
                member_id: seat.member_id,
                state: seat.state,
                last_active_day: seat.last_active_day,
            })
        })
    }

    fn below_target(&self) -> Option<Alert> {
        let target_percent = self.contract.target_percent?;
        let (now, before) = (self.utilization?, self.utilization_before?);
        (now.is_below(target_percent) && before.is_below(target_percent)).then(|| {
            Alert::BelowTarget(BelowTarget {
                as_of: self.as_of,
                active_seats: now.numerator,
                assigned_seats: now.denominator.unwrap_or(0),
                target_percent,
            })
        })
    }

    fn renewals(&self) -> impl Iterator<Item = Alert> + '_ {
        let reached = |renewal: NaiveDate, days: u32| {
            self.today <= renewal && renewal <= self.today + Days::new(days.into())
        };
        let renewal = self.contract.renewal.into_iter();
        renewal.flat_map(move |renewal| {
            RENEWAL_DAYS.into_iter().filter(move |days| reached(renewal, *days)).map(move |days| {
                let (droppable_seats, as_of) = (self.droppable, Some(self.as_of));
                Alert::RenewalNear(RenewalNear { renewal, days, droppable_seats, as_of })
            })
        })
    }

    fn nearest(&self) -> Option<u32> {
        let days = self.renewals().filter_map(|alert| match alert {
            Alert::RenewalNear(near) => Some(near.days),
            _ => None,
        });
        days.min()
    }
}
