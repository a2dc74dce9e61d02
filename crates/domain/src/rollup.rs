//! The fold from facts to numbers, by the definitions of `DEFINITION_VERSION`: a pure function of facts and days.
//!
//! One member at a time goes through [`Fold::member`], so that memory does not grow with the workspace. Activity is held
//! as bits, so that a window is a mask and a count. An equal, naive computation in the tests keeps it honest.

mod bits;
mod seat;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use uuid::Uuid;

use crate::{
    activity::{Area, Kind, MemberDay},
    member::{Version, standing_on},
};
use bits::Bits;
pub use seat::{Seat, SeatState};

/// The version of the metric definitions; printed beside every number.
pub const DEFINITION_VERSION: u32 = 1;

/// The window lengths in days that are kept: 1 gives daily actives, the others are shown.
pub const WINDOWS: [u32; 4] = [1, 7, 28, 90];

/// The window lengths that seat and area numbers are shown for.
pub const SHOWN_WINDOWS: [u32; 3] = [7, 28, 90];

const LONGEST: u32 = 90;

/// The days that were fetched whole on a later date than themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(std::collections::BTreeSet<NaiveDate>);

impl Coverage {
    /// The last covered day: what every number is as of.
    pub fn as_of(&self) -> Option<NaiveDate> {
        self.0.last().copied()
    }

    /// The first covered day: "never seen" means "not since then".
    pub fn history_start(&self) -> Option<NaiveDate> {
        self.0.first().copied()
    }

    /// How many days of the window that ends on `day` are covered.
    pub fn covered(&self, day: NaiveDate, window: u32) -> u32 {
        let count = self.0.range(window_start(day, window)..=day).count();
        u32::try_from(count).expect("a window has at most 90 days")
    }

    /// Whether the window that ends on `day` is covered whole.
    pub fn is_full(&self, day: NaiveDate, window: u32) -> bool {
        self.covered(day, window) == window
    }

    /// Whether that day is covered.
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.0.contains(&day)
    }
}

impl FromIterator<NaiveDate> for Coverage {
    fn from_iter<I: IntoIterator<Item = NaiveDate>>(days: I) -> Self {
        Self(days.into_iter().collect())
    }
}

fn window_start(day: NaiveDate, window: u32) -> NaiveDate {
    day - Days::new(u64::from(window) - 1)
}

/// The first day whose facts a rollup of `day` depends on.
pub fn horizon(day: NaiveDate) -> NaiveDate {
    window_start(day, LONGEST)
}

/// The numbers of one feature area in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AreaUse {
    /// Paid members with an action in the area.
    pub members: u32,
    /// Paid members who created or changed something in it.
    pub creators: u32,
    /// Paid members who opened something in it.
    pub openers: u32,
    /// Actions of paid members in it.
    pub actions: u64,
}

/// The numbers of one window that ends on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowUse {
    /// Covered days of the window.
    pub covered_days: u32,
    /// Paid seats on the last day of the window.
    pub assigned: u32,
    /// Those of them with an active day in the window.
    pub active_seats: u32,
    /// Members of any role with an active day in the window.
    pub active_members: u32,
    /// Active days of all members in the window, added up.
    pub member_days: u32,
    /// Per area, in the order of [`Area::ALL`].
    pub areas: [AreaUse; 5],
}

impl WindowUse {
    /// Paid seats without a known active day in the window. Read it beside the coverage.
    pub fn idle_seats(&self) -> u32 {
        self.assigned - self.active_seats
    }
}

/// What the fold gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollup {
    /// Per day and window length.
    pub windows: BTreeMap<(NaiveDate, u32), WindowUse>,
    /// Each member's seat on the last day, in the order the members came.
    pub seats: Vec<Seat>,
}

/// One member's facts: the history in order of `valid_from`, and the days in any order.
#[derive(Debug, Clone, Copy)]
pub struct MemberFacts<'a> {
    /// The member.
    pub member_id: Uuid,
    /// The roster history; empty for ids that the member list never had.
    pub versions: &'a [Version],
    /// The member days.
    pub days: &'a [MemberDay],
}

/// Folds members into the windows that end on the days `first..=last`.
#[derive(Debug)]
pub struct Fold<'a> {
    first: NaiveDate,
    last: NaiveDate,
    coverage: &'a Coverage,
    windows: BTreeMap<(NaiveDate, u32), WindowUse>,
    seats: Vec<Seat>,
}

impl<'a> Fold<'a> {
    /// A fold for the windows that end on `first..=last`.
    pub fn new(first: NaiveDate, last: NaiveDate, coverage: &'a Coverage) -> Self {
        let mut windows = BTreeMap::new();
        for day in first.iter_days().take_while(|day| *day <= last) {
            for window in WINDOWS {
                let covered_days = coverage.covered(day, window);
                windows.insert((day, window), WindowUse { covered_days, ..WindowUse::default() });
            }
        }
        Self { first, last, coverage, windows, seats: Vec::new() }
    }

    /// Adds one member. Ids that the member list never had hold no seat and count nowhere.
    pub fn member(&mut self, facts: MemberFacts<'_>) {
        if facts.versions.is_empty() {
            return;
        }
        let tracks = Tracks::new(horizon(self.first), self.last, facts.days);
        for ((day, window), row) in &mut self.windows {
            let Some(standing) = standing_on(facts.versions, *day) else { continue };
            let (from, to) = tracks.span(*day, *window);
            let active_days = tracks.active.count(from, to);
            row.active_members += u32::from(active_days > 0);
            row.member_days += active_days;
            if standing.is_paid_seat() {
                row.assigned += 1;
                row.active_seats += u32::from(active_days > 0);
                tracks.add_areas(&mut row.areas, from, to);
            }
        }
        self.seats.extend(seat::judge(&facts, self.last, self.coverage));
    }

    /// The result.
    pub fn finish(self) -> Rollup {
        Rollup { windows: self.windows, seats: self.seats }
    }
}

/// One member's days as bits, and as running sums where amounts matter.
struct Tracks {
    origin: NaiveDate,
    active: Bits,
    areas: [AreaTrack; 5],
}

struct AreaTrack {
    created: Bits,
    opened: Bits,
    /// `running[i]` = actions on the days before day `i`; empty while there were none.
    running: Vec<u64>,
}

impl Tracks {
    fn new(origin: NaiveDate, last: NaiveDate, days: &[MemberDay]) -> Self {
        let length =
            usize::try_from((last - origin).num_days() + 1).expect("the last day is not before the first");
        let mut active = Bits::new(length);
        let mut areas = Area::ALL.map(|_| AreaTrack {
            created: Bits::new(length),
            opened: Bits::new(length),
            running: Vec::new(),
        });
        for row in days.iter().filter(|row| (origin..=last).contains(&row.day)) {
            let at = usize::try_from((row.day - origin).num_days()).expect("filtered to the range");
            if row.is_active() {
                active.set(at);
            }
            for (area, kind, value) in row.counters.actions() {
                let track = &mut areas[area as usize];
                let seen = if kind == Kind::View { &mut track.opened } else { &mut track.created };
                seen.set(at);
                track.running.resize(length + 1, 0);
                track.running[at + 1] += u64::from(value);
            }
        }
        for track in &mut areas {
            for at in 1..track.running.len() {
                track.running[at] += track.running[at - 1];
            }
        }
        Self { origin, active, areas }
    }

    /// The bit range of the window that ends on `day`.
    fn span(&self, day: NaiveDate, window: u32) -> (usize, usize) {
        let end =
            usize::try_from((day - self.origin).num_days()).expect("rollup days lie after the horizon") + 1;
        (end - window as usize, end)
    }

    fn add_areas(&self, areas: &mut [AreaUse; 5], from: usize, to: usize) {
        for (sum, track) in areas.iter_mut().zip(&self.areas).filter(|(_, track)| !track.running.is_empty()) {
            let (created, opened) = (track.created.count(from, to) > 0, track.opened.count(from, to) > 0);
            sum.members += u32::from(created || opened);
            sum.creators += u32::from(created);
            sum.openers += u32::from(opened);
            sum.actions += track.running[to] - track.running[from];
        }
    }
}
