//! Which days a run still has to fetch, and in which slices. Pure.

use std::collections::HashMap;

use chrono::{Days, NaiveDate};
use tidemark_domain::id::RunId;
use tidemark_store::CoveredDay;

/// About so many rows a slice may have: they are held in memory and written in one transaction.
const ROWS_PER_SLICE: u64 = 10_000;
const MOST_DAYS_PER_SLICE: u64 = 7;

/// The days that are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// The last whole day.
    pub(super) last: NaiveDate,
    pub(super) history_days: u32,
    /// So many of the newest days are fetched even where they are covered.
    pub(super) trailing_days: u32,
}

/// Days in a row, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

impl Slice {
    pub(super) fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.from.iter_days().take_while(move |day| *day <= self.to)
    }
}

/// What is left of a run's days.
#[derive(Debug)]
pub(super) struct Plan {
    /// Newest first.
    pub(super) slices: Vec<Slice>,
    /// Days this run has covered already.
    pub(super) done: u64,
    /// Days in all.
    pub(super) total: u64,
}

impl Plan {
    /// The days of the window that this run has to fetch. A day that this very run covered is done: that is the
    /// checkpoint.
    pub(super) fn new(window: Window, coverage: &[CoveredDay], run: &RunId, days_per_slice: u64) -> Self {
        let covered: HashMap<_, _> = coverage.iter().map(|covered| (covered.day, &covered.run_id)).collect();
        let (mut done, mut needed) = (0, Vec::new());
        for age in 0..window.history_days.max(window.trailing_days) {
            let day = window.last - Days::new(age.into());
            match covered.get(&day) {
                Some(by) if *by == run => done += 1,
                Some(_) if age >= window.trailing_days => {}
                _ => needed.push(day),
            }
        }
        let total = done + needed.len() as u64;
        Self { slices: slices(&needed, days_per_slice), done, total }
    }
}

/// How many days one slice may have, given the size of the workspace.
pub(super) fn days_per_slice(members: u64) -> u64 {
    (ROWS_PER_SLICE / members.max(1)).clamp(1, MOST_DAYS_PER_SLICE)
}

/// Groups days, newest first, into slices of days in a row.
fn slices(days: &[NaiveDate], most: u64) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for day in days {
        match slices.last_mut() {
            Some(slice)
                if slice.from.pred_opt() == Some(*day) && ((slice.to - *day).num_days() as u64) < most =>
            {
                slice.from = *day;
            }
            _ => slices.push(Slice { from: *day, to: *day }),
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn last() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 8, 11).unwrap()
    }

    fn run(name: char) -> RunId {
        format!("run_{}", name.to_string().repeat(26)).parse().unwrap()
    }

    fn covered(age: u64, by: char) -> CoveredDay {
        CoveredDay { day: last() - Days::new(age), fetched_on: last(), run_id: run(by) }
    }

    fn window(history_days: u32, trailing_days: u32) -> Window {
        Window { last: last(), history_days, trailing_days }
    }

    #[test]
    fn the_first_run_takes_all_days_and_the_next_one_the_newest() {
        let plan = Plan::new(window(365, 7), &[], &run('a'), 7);
        assert_eq!((plan.done, plan.total, plan.slices.len()), (0, 365, 53));
        assert_eq!(plan.slices[0], Slice { from: last() - Days::new(6), to: last() });
        let coverage: Vec<_> = (0..365).map(|age| covered(age, 'a')).collect();
        let plan = Plan::new(window(365, 7), &coverage, &run('b'), 7);
        assert_eq!(plan.slices, [Slice { from: last() - Days::new(6), to: last() }]);
        let plan = Plan::new(window(365, 7), &coverage, &run('a'), 7);
        assert_eq!((plan.done, plan.total, plan.slices.len()), (365, 365, 0), "a run that has all its days");
    }

    #[test]
    fn gaps_are_filled() {
        let coverage: Vec<_> =
            (0..30).filter(|age| ![12, 13, 20].contains(age)).map(|age| covered(age, 'a')).collect();
        let plan = Plan::new(window(30, 2), &coverage, &run('b'), 7);
        let ages: Vec<_> = plan
            .slices
            .iter()
            .map(|slice| ((last() - slice.to).num_days(), (last() - slice.from).num_days()))
            .collect();
        assert_eq!(ages, [(0, 1), (12, 13), (20, 20)]);
    }

    #[test]
    fn large_workspaces_have_short_slices() {
        let days = [0, 1, 60, 1_428, 1_429, 2_000, 5_000, 10_000, 90_000].map(days_per_slice);
        assert_eq!(days, [7, 7, 7, 7, 6, 5, 2, 1, 1]);
    }

    proptest! {
        #[test]
        fn slices_cover_exactly_the_needed_days(
            marks in prop::collection::btree_map(0_u64..120, any::<bool>(), 0..120),
            history in 1_u32..120,
            trailing in 1_u32..20,
            most in 1_u64..8,
        ) {
            let coverage: Vec<_> =
                marks.iter().map(|(age, own)| covered(*age, if *own { 'a' } else { 'b' })).collect();
            let plan = Plan::new(window(history, trailing), &coverage, &run('a'), most);
            let is_needed = |age: &u64| match marks.get(age) {
                None => true,
                Some(own) => !own && *age < trailing.into(),
            };
            let needed: BTreeSet<_> = (0..u64::from(history.max(trailing)))
                .filter(is_needed)
                .map(|age| last() - Days::new(age))
                .collect();
            let fetched: Vec<_> = plan.slices.iter().flat_map(|slice| slice.days()).collect();
            prop_assert_eq!(fetched.len(), needed.len(), "no day twice");
            prop_assert_eq!(plan.total, plan.done + needed.len() as u64);
            prop_assert_eq!(fetched.into_iter().collect::<BTreeSet<_>>(), needed);
            prop_assert!(plan.slices.is_sorted_by(|newer, older| newer.from > older.to), "newest first");
            prop_assert!(plan.slices.iter().all(|slice| (1..=most as usize).contains(&slice.days().count())));
        }
    }
}
