#![doc = include_str!("rollup/definitions.md")]
//!
//! # How it is computed
//! A pure function of facts and days: computing any range again gives the same rows. One member at a time goes through
//! [`Fold::member`], so that memory grows with cuts times days and not with members; of many, a fold takes a part of the
//! days or of the cuts, and [`Fold::member_of`] the others. Days are added up once, as [`DayUse`]; activity is
//! held as bits, so that a window is a mask and a count. Where the windows of all members stand on a day, added up, a
//! [`Block`] of them goes on to the next without older facts, and an [`Ending`] adds up what ends there. An equal, naive
//! computation in the tests keeps both honest.

mod bits;
mod counting;
mod cut;
mod day;
mod ending;
mod figures;
mod quality;
mod rolling;
mod seat;
mod sums;
#[cfg(test)]
mod tests;
mod tracks;
mod unknown;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{Days, NaiveDate};
use uuid::Uuid;

use crate::member::Version;
use counting::Counting;
pub use cut::{Cut, CutSet};
pub use day::DayUse;
pub use ending::{Ending, Stood};
pub use figures::{Ratio, Stickiness};
pub use quality::{Flag, Uniformity};
pub use rolling::{Amounts, Block, Pages, Rolling, kept_from};
pub use seat::{Judge, Seat, SeatState, SeatUse};
use sums::{Changes, Sums};
use tracks::{Spell, Tracks, spells};
pub use unknown::UnknownDays;

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

    /// Whether no day is covered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// The last day whose rollup depends on the facts of `day`.
pub fn reach(day: NaiveDate) -> NaiveDate {
    day + Days::new(u64::from(LONGEST) - 1)
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
    /// Active days in the window, added up over the members listed on its last day.
    pub member_days: u32,
    /// The daily active members of the window's days, added up: over the days, the mean of `dau`.
    pub daily_actives: u32,
    /// Per area, in the order of [`Area::ALL`](crate::activity::Area::ALL).
    pub areas: [AreaUse; 5],
}

impl WindowUse {
    /// Paid seats without a known active day in the window. Read it beside the coverage.
    pub fn idle_seats(&self) -> u32 {
        self.assigned - self.active_seats
    }

    /// Adds what others come to in the same window.
    fn add(&mut self, other: &Self) {
        self.assigned += other.assigned;
        self.active_seats += other.active_seats;
        self.active_members += other.active_members;
        self.member_days += other.member_days;
        self.daily_actives += other.daily_actives;
        for (sum, area) in self.areas.iter_mut().zip(&other.areas) {
            sum.members += area.members;
            sum.creators += area.creators;
            sum.openers += area.openers;
            sum.actions += area.actions;
        }
    }

    /// Whether there is nothing to tell of it.
    fn is_blank(&self) -> bool {
        *self == Self { covered_days: self.covered_days, ..Self::default() }
    }
}

/// What a row of numbers is about: who, the last day, the window's length.
pub type Key = (Cut, NaiveDate, u32);

/// What the fold gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollup {
    /// The first and the last day the windows end on.
    pub days: (NaiveDate, NaiveDate),
    /// The cuts that were counted.
    pub cuts: CutSet,
    /// Per cut, day and window length. Cuts other than all have no row where there is nothing to tell.
    pub windows: BTreeMap<Key, WindowUse>,
    /// Each member's seat on the last day, in the order the members came.
    pub seats: Vec<Seat>,
    /// What is wrong with the facts themselves, as of the last day.
    pub flags: Vec<Flag>,
}

impl Rollup {
    /// Adds the numbers of other members on the same days, and their seats behind those that are here.
    pub fn add(&mut self, windows: BTreeMap<Key, WindowUse>, seats: Vec<Seat>) {
        for (key, window) in windows {
            self.windows.entry(key).and_modify(|sum| sum.add(&window)).or_insert(window);
        }
        self.seats.extend(seats);
    }
}

/// One member's facts: the history in order of `valid_from`, and the days, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct MemberFacts<'a> {
    /// The member.
    pub member_id: Uuid,
    /// The roster history; empty for ids that the member list never had.
    pub versions: &'a [Version],
    /// The days, at least from the [`horizon`] of the first day that is folded to the last one.
    pub days: &'a [DayUse],
    /// The teams the member is in.
    pub teams: &'a [Uuid],
    /// The day of the first row there is, where it lies before the days given here.
    pub first_row: Option<NaiveDate>,
    /// The last active day before the days given here.
    pub active_before: Option<NaiveDate>,
}

/// Folds members into the windows that end on the days `first..=last`.
#[derive(Debug)]
pub struct Fold {
    first: NaiveDate,
    last: NaiveDate,
    coverage: Coverage,
    roster_start: NaiveDate,
    /// The first of the days whose facts matter.
    origin: NaiveDate,
    /// How many these are, up to the last.
    length: usize,
    cuts: CutSet,
    sums: BTreeMap<Cut, Sums>,
    seats: Vec<Seat>,
    judge: Judge,
    uniformity: Uniformity,
    /// Of the member in hand.
    tracks: Tracks,
    changes: Changes,
}

impl Fold {
    /// A fold for the windows that end on `first..=last`, of a workspace whose members were first listed as of
    /// `roster_start`.
    pub fn new(first: NaiveDate, last: NaiveDate, coverage: &Coverage, roster_start: NaiveDate) -> Self {
        let origin = horizon(first);
        let days = (last - origin).num_days() + 1;
        let length = usize::try_from(days).expect("the last day is not before the first");
        Self {
            first,
            last,
            coverage: coverage.clone(),
            roster_start,
            origin,
            length,
            cuts: CutSet::Whole,
            sums: BTreeMap::from([(Cut::All, Sums::new(length))]),
            seats: Vec::new(),
            judge: Judge::new(last, coverage, roster_start),
            uniformity: Uniformity::default(),
            tracks: Tracks::new(length),
            changes: Changes::default(),
        }
    }

    /// The same fold, where the activity of some members on some days is unknown.
    pub fn with_unknown(mut self, unknown: &Arc<UnknownDays>) -> Self {
        self.judge = self.judge.with_unknown(unknown);
        self
    }

    /// The same fold, of some cuts only.
    pub fn of(mut self, cuts: CutSet) -> Self {
        self.sums.retain(|cut, _| cuts.has(cut));
        Self { cuts, ..self }
    }

    /// How many days count for windows that end on a range of days: those before it, too.
    pub fn length(days: (NaiveDate, NaiveDate)) -> u64 {
        u64::try_from((days.1 - horizon(days.0)).num_days() + 1).unwrap_or(0)
    }

    /// Adds one member to numbers alone. Where these are of days before the last one that anything is known of, the
    /// member is in that cohort, whatever these days say.
    pub fn member_of(&mut self, facts: MemberFacts<'_>, cohort: Option<Cut>) {
        if !facts.versions.is_empty() {
            self.tracks.fill(self.origin, self.length, facts.days);
            self.count_everywhere(&facts, cohort);
        }
    }

    /// Adds one member; gives how the member's windows stand on the last day, and the seat. Ids that the member list never
    /// had hold no seat and count nowhere.
    pub fn member(&mut self, facts: MemberFacts<'_>) -> (Rolling, Option<&Seat>) {
        let rolling = Rolling::new(&facts, self.last);
        if facts.versions.is_empty() {
            return (rolling, None);
        }
        let length = self.length;
        let recent = self.tracks.fill(self.origin, length, facts.days);
        self.count_everywhere(&facts, rolling.cohort(facts.versions, self.last));
        for (age, row) in self.tracks.ages(length).zip(recent) {
            self.uniformity.add(age, row);
        }
        let seat = self.judge.seat(&rolling, facts.versions);
        let has_seat = seat.is_some();
        self.seats.extend(seat);
        (rolling, self.seats.last().filter(|_| has_seat))
    }

    /// Counts the member in hand in each cut.
    fn count_everywhere(&mut self, facts: &MemberFacts<'_>, cohort: Option<Cut>) {
        let spells: Vec<_> = spells(facts.versions, self.roster_start, self.origin, self.length).collect();
        // Most members have one role all the time, and count in its cut as they do everywhere.
        let only = spells.first().map(|spell| spell.role);
        let only = only.filter(|role| spells.iter().all(|spell| spell.role == *role));
        let everywhere = std::iter::once(Cut::All)
            .chain(facts.teams.iter().copied().map(Cut::Team))
            .chain(cohort)
            .chain(only.cloned().map(Cut::Role));
        self.count(&spells, everywhere);
        if only.is_none() {
            let roles: BTreeSet<_> = spells.iter().map(|spell| spell.role).collect();
            for role in roles {
                let own: Vec<_> = spells.iter().filter(|spell| spell.role == role).cloned().collect();
                self.count(&own, std::iter::once(Cut::Role(role.clone())));
            }
        }
    }

    /// Counts the member's spells in those cuts.
    fn count(&mut self, spells: &[Spell<'_>], cuts: impl Iterator<Item = Cut>) {
        let (length, kept, tracks) = (self.length, LONGEST as usize - 1, &self.tracks);
        // Whoever stands the same way on all days that are told counts with what was done day by day: a window's
        // amounts are then those of its days. Everybody else counts run by run.
        let steady = match spells {
            [only] if only.from <= kept && only.to == length => Some(only.paid),
            _ => None,
        };
        self.changes.clear();
        Counting { length, kept, changes: &mut self.changes }.member(tracks, spells, steady.is_some());
        if self.changes.is_empty() && (steady.is_none() || tracks.active.is_empty()) {
            return;
        }
        for cut in cuts.filter(|cut| self.cuts.has(cut)) {
            let sums = self.sums.entry(cut).or_insert_with(|| Sums::new(length));
            sums.apply(&self.changes);
            if let Some(paid) = steady {
                sums.add_days(&tracks.amounts, paid);
            }
        }
    }

    /// The result.
    pub fn finish(self) -> Rollup {
        let mut windows = BTreeMap::new();
        let days: Vec<_> = self.first.iter_days().take_while(|day| *day <= self.last).collect();
        // One after the other: its sums go as its rows come.
        for (cut, mut sums) in self.sums {
            sums.accumulate();
            for (place, day) in days.iter().enumerate() {
                for (at, window) in WINDOWS.into_iter().enumerate() {
                    let covered_days = self.coverage.covered(*day, window);
                    let row = WindowUse { covered_days, ..sums.window(at, place + LONGEST as usize - 1) };
                    if cut == Cut::All || !row.is_blank() {
                        windows.insert((cut.clone(), *day, window), row);
                    }
                }
            }
        }
        let flags = self.uniformity.flag().into_iter().collect();
        Rollup { days: (self.first, self.last), cuts: self.cuts, windows, seats: self.seats, flags }
    }
}
