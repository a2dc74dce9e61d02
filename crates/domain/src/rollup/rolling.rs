//! One member's windows as they stand on one day. A day more is a step: the day comes in at one end, and of each window
//! one goes out at the other, so that it costs four days and not ninety. Made of the facts, they are the same.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use uuid::Uuid;

use super::{
    Cut, DayUse, LONGEST, MemberFacts, SHOWN_WINDOWS,
    day::areas_of,
    seat::{SeatUse, first_seen},
    window_start,
};
use crate::{activity::Area, member::Version};

/// Days before the longest window that are kept as well: what comes late within them is cheap.
const LATE_DAYS: u32 = 15;
const KEPT_DAYS: u32 = LONGEST + LATE_DAYS;
/// The oldest of the kept days.
const OLDEST: u128 = 1 << (KEPT_DAYS - 1);

/// The first of the days that are kept, where `as_of` is the last.
pub fn kept_from(as_of: NaiveDate) -> NaiveDate {
    window_start(as_of, KEPT_DAYS)
}

/// The days of that window as bits.
pub(super) fn mask(window: u32) -> u128 {
    (1 << window) - 1
}

/// What a member did in a window, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Days on which something was created or changed, per area in the order of [`Area::ALL`].
    pub created_days: [u32; 5],
    /// Days on which something was opened.
    pub opened_days: [u32; 5],
    /// Actions per area; above zero where one of the two is.
    pub actions: [u64; 5],
    /// Of all actions, boards opened.
    pub views: u64,
    /// Of all actions, what needs a paid seat.
    pub maker_actions: u64,
}

impl Amounts {
    /// Of one day.
    pub(super) fn of(one: &DayUse) -> Self {
        let mut sum = Self::default();
        sum.add(one);
        sum
    }

    fn add(&mut self, one: &DayUse) {
        self.created_days.iter_mut().zip(days_of(one.created)).for_each(|(sum, day)| *sum += day);
        self.opened_days.iter_mut().zip(days_of(one.opened)).for_each(|(sum, day)| *sum += day);
        self.actions.iter_mut().zip(one.actions).for_each(|(sum, actions)| *sum += actions);
        self.views += one.views;
        self.maker_actions += one.maker_actions;
    }

    /// None where that was never added.
    fn take(&mut self, one: &DayUse) -> Option<()> {
        let created = self.created_days.iter_mut().zip(days_of(one.created));
        for (sum, day) in created.chain(self.opened_days.iter_mut().zip(days_of(one.opened))) {
            *sum = sum.checked_sub(day)?;
        }
        for (sum, actions) in self.actions.iter_mut().zip(one.actions) {
            *sum = sum.checked_sub(actions)?;
        }
        self.views = self.views.checked_sub(one.views)?;
        self.maker_actions = self.maker_actions.checked_sub(one.maker_actions)?;
        Some(())
    }

    /// Areas with an action, as bits.
    fn areas(&self) -> u8 {
        let used = |area: &usize| self.created_days[*area] > 0 || self.opened_days[*area] > 0;
        (0..self.actions.len()).filter(used).fold(0, |areas, area| areas | 1 << area)
    }
}

/// What a day with these areas adds to the days of each.
fn days_of(areas: u8) -> [u32; 5] {
    std::array::from_fn(|area| u32::from(areas >> area & 1))
}

/// A member's kept days as bits, of which bit n is the day n days before the one it stands on; the sums of the shown
/// windows; and two dates that tell of the days before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolling {
    /// The member.
    pub member_id: Uuid,
    /// The day of the first row there is, where it lies before the kept days.
    pub first_row: Option<NaiveDate>,
    /// The last active day before the kept days.
    pub active_before: Option<NaiveDate>,
    /// Kept days with a row.
    pub rows: u128,
    /// Kept days that were active.
    pub active: u128,
    /// Per window, in the order of [`SHOWN_WINDOWS`].
    pub sums: [Amounts; 3],
}

impl Rolling {
    /// How a member's windows stand on that day. Later rows do not count.
    pub fn new(facts: &MemberFacts<'_>, on: NaiveDate) -> Self {
        let mut rolling = Self {
            member_id: facts.member_id,
            first_row: facts.first_row,
            active_before: facts.active_before,
            rows: 0,
            active: 0,
            sums: [Amounts::default(); 3],
        };
        for row in facts.days.iter().take_while(|row| row.day <= on) {
            let age = u32::try_from((on - row.day).num_days()).unwrap_or(u32::MAX);
            if age >= KEPT_DAYS {
                rolling.forget(row.day, row.active);
                continue;
            }
            rolling.set(age, row);
            let sums = SHOWN_WINDOWS.iter().zip(&mut rolling.sums).filter(|(window, _)| age < **window);
            sums.for_each(|(_, sum)| sum.add(row));
        }
        rolling
    }

    fn set(&mut self, age: u32, one: &DayUse) {
        self.rows |= 1 << age;
        self.active |= u128::from(one.active) << age;
    }

    /// A row is no more among those that are kept.
    fn forget(&mut self, day: NaiveDate, active: bool) {
        self.first_row.get_or_insert(day);
        if active {
            self.active_before = Some(day);
        }
    }

    /// Moves the bits on to that day, on which nothing is known yet.
    fn forward(&mut self, day: NaiveDate) {
        if self.rows & OLDEST != 0 {
            self.forget(day - Days::new(KEPT_DAYS.into()), self.active & OLDEST != 0);
        }
        self.rows = (self.rows & !OLDEST) << 1;
        self.active = (self.active & !OLDEST) << 1;
    }

    /// Moves the bits back by a day.
    fn back(&mut self) {
        self.rows >>= 1;
        self.active >>= 1;
    }

    /// The day of the first row up to the day it stands on.
    fn first_row(&self, on: NaiveDate) -> Option<NaiveDate> {
        let oldest = self.rows.checked_ilog2();
        self.first_row.or_else(|| oldest.map(|age| on - Days::new(age.into())))
    }

    /// The first day anything was known of the member; it stands on `on`.
    pub(super) fn first_seen(&self, versions: &[Version], on: NaiveDate) -> Option<NaiveDate> {
        first_seen(versions, self.first_row(on))
    }

    /// The cohort of a member with that history; it stands on `on`.
    pub fn cohort(&self, versions: &[Version], on: NaiveDate) -> Option<Cut> {
        self.first_seen(versions, on).map(Cut::cohort)
    }

    pub(super) fn last_active(&self, on: NaiveDate) -> Option<NaiveDate> {
        let active = self.active;
        let kept = (active != 0).then(|| on - Days::new(active.trailing_zeros().into()));
        kept.or(self.active_before)
    }

    pub(super) fn active_days(&self, window: u32) -> u32 {
        (self.active & mask(window)).count_ones()
    }

    pub(super) fn areas_used(&self) -> BTreeSet<Area> {
        let [.., longest] = &self.sums;
        areas_of(longest.areas()).collect()
    }

    /// Per window, in the order of [`SHOWN_WINDOWS`].
    pub(super) fn uses(&self) -> [SeatUse; 3] {
        std::array::from_fn(|at| {
            let sum @ Amounts { actions, views, maker_actions, .. } = self.sums[at];
            let total = actions.iter().sum();
            SeatUse {
                active_days: self.active_days(SHOWN_WINDOWS[at]),
                areas: sum.areas().count_ones(),
                actions: total,
                views,
                maker_actions,
                notes: total - views - maker_actions,
            }
        })
    }
}

/// What the members of a block did on some days: their places in it, in order, each with the day.
pub type Pages = BTreeMap<NaiveDate, Vec<(usize, DayUse)>>;

/// Members whose windows stand on the same day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The day.
    pub on: NaiveDate,
    /// The members, each at a place of its own.
    pub members: Vec<Rolling>,
}

impl Block {
    /// The days whose pages it takes to go back from `on` to the day before `from`, and from there to `to`, but for those
    /// of `from..=to` as they are afterwards.
    pub fn needed(on: NaiveDate, from: NaiveDate, to: NaiveDate) -> BTreeSet<NaiveDate> {
        let days = from.iter_days().take_while(|day| *day <= to.max(on));
        let leaving = days.flat_map(|day| SHOWN_WINDOWS.map(|window| day - Days::new(window.into())));
        let taken_back = from.iter_days().take_while(|day| *day <= on);
        leaving.filter(|day| *day < from).chain(taken_back).collect()
    }

    /// Goes back by a day. None where the pages are not those that the sums were made of; then nothing is of use.
    pub fn back(&mut self, pages: &Pages) -> Option<()> {
        for (place, one) in page(pages, self.on) {
            let sums = &mut self.members.get_mut(*place)?.sums;
            sums.iter_mut().try_for_each(|sum| sum.take(one))?;
        }
        for (at, window) in SHOWN_WINDOWS.into_iter().enumerate() {
            for (place, one) in page(pages, self.on - Days::new(window.into())) {
                self.members.get_mut(*place)?.sums[at].add(one);
            }
        }
        self.members.iter_mut().for_each(Rolling::back);
        self.on = self.on - Days::new(1);
        Some(())
    }

    /// Goes on by a day. None as for [`back`](Self::back).
    pub fn forward(&mut self, pages: &Pages) -> Option<()> {
        self.on = self.on + Days::new(1);
        self.members.iter_mut().for_each(|member| member.forward(self.on));
        for (at, window) in SHOWN_WINDOWS.into_iter().enumerate() {
            for (place, one) in page(pages, self.on - Days::new(window.into())) {
                self.members.get_mut(*place)?.sums[at].take(one)?;
            }
        }
        for (place, one) in page(pages, self.on) {
            let member = self.members.get_mut(*place)?;
            member.set(0, one);
            member.sums.iter_mut().for_each(|sum| sum.add(one));
        }
        Some(())
    }
}

/// What was done on that day; nothing without a page.
pub(super) fn page(pages: &Pages, day: NaiveDate) -> &[(usize, DayUse)] {
    pages.get(&day).map_or(&[], Vec::as_slice)
}
