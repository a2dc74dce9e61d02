//! Which days a run still has to fetch, and in which slices. Pure.

use std::collections::{HashMap, VecDeque};

use chrono::{Days, NaiveDate};
use tidemark_domain::id::RunId;
use tidemark_store::CoveredDay;

/// About so many rows a slice should have: some pages, since a slice's pages can only be fetched one after another.
const ROWS_PER_SLICE: u64 = 1_000;
const MOST_DAYS_PER_SLICE: u64 = 31;

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
    /// Days that are in no slice yet, newest first.
    days: VecDeque<NaiveDate>,
    /// Days this run has covered already.
    pub(super) done: u64,
    /// Days in all.
    pub(super) total: u64,
    /// Members that were known before; an estimate of a day's rows until some days are in.
    members: u64,
    rows_seen: u64,
    days_seen: u64,
}

impl Plan {
    /// The days of the window that this run has to fetch. A day that this very run covered is done, and so is one that it
    /// doubted: that is the checkpoint. A day that another run doubted is fetched again, however old it is.
    pub(super) fn new(
        window: Window,
        coverage: &[CoveredDay],
        doubted: &[(NaiveDate, RunId)],
        run: &RunId,
        members: u64,
    ) -> Self {
        let covered: HashMap<_, _> = coverage.iter().map(|covered| (covered.day, &covered.run_id)).collect();
        let doubted: HashMap<_, _> = doubted.iter().map(|(day, by)| (*day, by)).collect();
        let (mut done, mut days) = (0, VecDeque::new());
        for age in 0..window.history_days.max(window.trailing_days) {
            let day = window.last - Days::new(age.into());
            match (covered.get(&day), doubted.get(&day)) {
                (Some(by), None) | (_, Some(by)) if *by == run => done += 1,
                (Some(_), None) if age >= window.trailing_days => {}
                _ => days.push_back(day),
            }
        }
        let total = done + days.len() as u64;
        Self { days, done, total, members, rows_seen: 0, days_seen: 0 }
    }

    /// Whether no day is left.
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Takes the newest days in a row that make a slice.
    pub(super) fn next_slice(&mut self) -> Option<Slice> {
        let most = self.days_per_slice();
        let to = self.days.pop_front()?;
        let mut slice = Slice { from: to, to };
        while let Some(day) = self.days.front()
            && slice.from.pred_opt() == Some(*day)
            && (to - *day).num_days().unsigned_abs() < most
        {
            slice.from = *day;
            self.days.pop_front();
        }
        Some(slice)
    }

    /// Learns from a part of a slice how many rows a day has.
    pub(super) fn saw(&mut self, slice: Slice, rows: usize, is_last: bool) {
        self.rows_seen += rows as u64;
        if is_last {
            self.days_seen += slice.days().count() as u64;
        }
    }

    /// How many days one slice may have; one, as long as nothing is known of the workspace.
    fn days_per_slice(&self) -> u64 {
        let rows_per_day = match self.days_seen {
            0 if self.members == 0 => return 1,
            0 => self.members,
            // The newest days are the first, and many workspaces grow: what is in tells more than the members do.
            seen => self.rows_seen.div_ceil(seen),
        };
        (ROWS_PER_SLICE / rows_per_day.max(1)).clamp(1, MOST_DAYS_PER_SLICE)
    }
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

    /// All slices, as they come when every day has as many rows as there are members.
    fn slices(plan: &mut Plan) -> Vec<Slice> {
        std::iter::from_fn(|| plan.next_slice()).collect()
    }

    fn ages(slices: &[Slice]) -> Vec<(i64, i64)> {
        let age = |day: NaiveDate| (last() - day).num_days();
        slices.iter().map(|slice| (age(slice.to), age(slice.from))).collect()
    }

    #[test]
    fn the_first_run_takes_all_days_and_the_next_one_the_newest() {
        let mut plan = Plan::new(window(365, 7), &[], &[], &run('a'), 60);
        assert_eq!((plan.done, plan.total), (0, 365));
        let taken = ages(&slices(&mut plan));
        assert_eq!((taken[0], taken.len()), ((0, 15), 23), "sixteen days of 60 rows each");
        let coverage: Vec<_> = (0..365).map(|age| covered(age, 'a')).collect();
        let mut plan = Plan::new(window(365, 7), &coverage, &[], &run('b'), 60);
        assert_eq!(ages(&slices(&mut plan)), [(0, 6)]);
        let plan = Plan::new(window(365, 7), &coverage, &[], &run('a'), 60);
        assert!(plan.is_empty() && plan.done == 365 && plan.total == 365, "a run that has all its days");
    }

    #[test]
    fn gaps_are_filled() {
        let coverage: Vec<_> =
            (0..30).filter(|age| ![12, 13, 20].contains(age)).map(|age| covered(age, 'a')).collect();
        let mut plan = Plan::new(window(30, 2), &coverage, &[], &run('b'), 60);
        assert_eq!(ages(&slices(&mut plan)), [(0, 1), (12, 13), (20, 20)]);
    }

    #[test]
    fn doubted_days_are_fetched_again_once_by_each_run() {
        let coverage: Vec<_> = (0..30).map(|age| covered(age, 'a')).collect();
        let doubted = [(last() - Days::new(20), run('a')), (last() - Days::new(1), run('a'))];
        let mut plan = Plan::new(window(30, 2), &coverage, &doubted, &run('b'), 60);
        assert_eq!(ages(&slices(&mut plan)), [(0, 1), (20, 20)]);
        let coverage: Vec<_> = (0..30).filter(|age| *age != 20).map(|age| covered(age, 'b')).collect();
        let plan = Plan::new(window(30, 2), &coverage, &[(last() - Days::new(20), run('b'))], &run('b'), 60);
        assert!(plan.is_empty() && plan.done == 30 && plan.total == 30, "{plan:?}");
    }

    #[test]
    fn slices_have_about_a_thousand_rows() {
        let days = [0, 1, 60, 143, 500, 501, 2_000, 90_000]
            .map(|members| Plan::new(window(365, 7), &[], &[], &run('a'), members).days_per_slice());
        assert_eq!(days, [1, 31, 16, 6, 2, 1, 1, 1]);
    }

    #[test]
    fn an_unknown_workspace_begins_with_single_days_and_learns() {
        let mut plan = Plan::new(window(365, 7), &[], &[], &run('a'), 0);
        let first = plan.next_slice().unwrap();
        assert_eq!(ages(&[first]), [(0, 0)]);
        plan.saw(first, 60, false);
        assert_eq!(ages(&[plan.next_slice().unwrap()]), [(1, 1)], "half a slice says nothing");
        plan.saw(first, 40, true);
        assert_eq!(ages(&[plan.next_slice().unwrap()]), [(2, 11)], "ten days of 100 rows");
        plan.saw(first, 0, true);
        assert_eq!(ages(&[plan.next_slice().unwrap()]), [(12, 31)]);
    }

    proptest! {
        #[test]
        fn slices_cover_exactly_the_needed_days(
            marks in prop::collection::btree_map(0_u64..120, any::<bool>(), 0..120),
            history in 1_u32..120,
            trailing in 1_u32..20,
            members in 0_u64..2_000,
        ) {
            let coverage: Vec<_> =
                marks.iter().map(|(age, own)| covered(*age, if *own { 'a' } else { 'b' })).collect();
            let mut plan = Plan::new(window(history, trailing), &coverage, &[], &run('a'), members);
            let (done, total, most) = (plan.done, plan.total, plan.days_per_slice() as usize);
            let taken = slices(&mut plan);
            let is_needed = |age: &u64| match marks.get(age) {
                None => true,
                Some(own) => !own && *age < trailing.into(),
            };
            let needed: BTreeSet<_> = (0..u64::from(history.max(trailing)))
                .filter(is_needed)
                .map(|age| last() - Days::new(age))
                .collect();
            let fetched: Vec<_> = taken.iter().flat_map(|slice| slice.days()).collect();
            prop_assert_eq!(fetched.len(), needed.len(), "no day twice");
            prop_assert_eq!(total, done + needed.len() as u64);
            prop_assert_eq!(fetched.into_iter().collect::<BTreeSet<_>>(), needed);
            prop_assert!(taken.is_sorted_by(|newer, older| newer.from > older.to), "newest first");
            prop_assert!(taken.iter().all(|slice| (1..=most).contains(&slice.days().count())));
        }
    }
}
