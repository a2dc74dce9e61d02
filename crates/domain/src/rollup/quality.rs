//! What may be wrong with the facts themselves. A known fault of the vendor puts the workspace's totals into every
//! member's row; then nothing can be told of a single seat's features.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{DayUse, window_start};

/// Days that are looked at.
const WINDOW: u32 = 28;
/// Days with two or more active members it takes to be sure: on one day, two may have done equally much by chance.
const ENOUGH: usize = 5;

/// Something wrong with a connection's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Every active member's row carries the workspace's totals: all with the same counter sums, every day. Features per
    /// seat are not told.
    RepeatedTotals,
}

impl Flag {
    /// All flags.
    pub const ALL: [Self; 1] = [Self::RepeatedTotals];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedTotals => "repeated_totals",
        }
    }

    /// In words, for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RepeatedTotals => {
                "On each day of the last weeks all active members carry the same sum of actions: these are the \
                 workspace's totals, repeated, and say nothing about one member."
            }
        }
    }
}

/// Whether the members' counter sums of a day are all the same, for each of the last days.
#[derive(Debug, Clone)]
pub struct Uniformity {
    /// The newest first.
    days: Vec<(BTreeSet<u64>, usize)>,
}

impl Default for Uniformity {
    fn default() -> Self {
        Self { days: vec![(BTreeSet::new(), 0); WINDOW as usize] }
    }
}

impl Uniformity {
    /// The days that are looked at, where `as_of` is the last.
    pub fn days(as_of: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        window_start(as_of, WINDOW).iter_days().take(WINDOW as usize)
    }

    /// Takes what a member did on a day that lies so many days back. Older days do not matter.
    pub fn add(&mut self, age: usize, one: &DayUse) {
        let Some((sums, members)) = self.days.get_mut(age) else { return };
        let sum = one.total();
        if sum > 0 {
            *members += 1;
            // Two different sums say no, however many more there are.
            if sums.len() < 2 {
                sums.insert(sum);
            }
        }
    }

    /// Takes what others did.
    pub fn merge(&mut self, other: Self) {
        for ((sums, members), (others, more)) in self.days.iter_mut().zip(other.days) {
            *members += more;
            sums.extend(others);
        }
    }

    /// Whether there is no flag, whatever else is taken.
    pub fn is_decided(&self) -> bool {
        self.days.iter().any(|(sums, _)| sums.len() > 1)
    }

    /// What is found.
    pub fn flag(&self) -> Option<Flag> {
        let told: Vec<_> = self.days.iter().filter(|(_, members)| *members >= 2).collect();
        let uniform = told.len() >= ENOUGH && told.iter().all(|(sums, _)| sums.len() == 1);
        uniform.then_some(Flag::RepeatedTotals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(amounts: &[u64]) -> Vec<DayUse> {
        let row = |amount: &u64| DayUse {
            active: true,
            actions: [0, 0, *amount, 0, 0],
            ..DayUse::blank(NaiveDate::MIN)
        };
        amounts.iter().map(row).collect()
    }

    fn flag(members: &[&[u64]]) -> Option<Flag> {
        let mut uniformity = Uniformity::default();
        let days = members.iter().flat_map(|amounts| member(amounts).into_iter().enumerate());
        days.for_each(|(age, row)| uniformity.add(age, &row));
        uniformity.flag()
    }

    #[test]
    fn the_same_sums_on_every_day_are_totals() {
        let same: &[u64] = &[4, 7, 9, 1, 3, 5];
        assert_eq!(flag(&[same, same]), Some(Flag::RepeatedTotals));
        assert_eq!(
            flag(&[same, same, &[0, 7, 0, 1]]),
            Some(Flag::RepeatedTotals),
            "who was away says nothing"
        );
        assert_eq!(flag(&[same, &[4, 7, 9, 1, 3, 6]]), None, "one day tells");
        assert_eq!(flag(&[same]), None, "one member alone");
        assert_eq!(flag(&[&[1, 1, 1, 1], &[1, 1, 1, 1]]), None, "four days may be chance");
        assert_eq!(flag(&[]), None);
    }
}
