//! Rows of people whom no members list has: two more on each day, woven in without a copy of the list.

use std::borrow::Cow;

use uuid::Uuid;

use crate::spec::fnv1a;
use crate::{Activity, Workspace};

/// A window of rows with strangers in it, in the same order.
pub(super) struct WithStrangers<'a> {
    window: &'a [Activity],
    /// Where each day begins in the window.
    days: Vec<usize>,
    strangers: [Uuid; 2],
}

impl<'a> WithStrangers<'a> {
    pub(super) fn new(workspace: &Workspace, window: &'a [Activity]) -> Self {
        let mut strangers = ["voter", "former colleague"].map(|who| {
            let bits = |salt: &str| fnv1a(format!("{}/{who}/{salt}", workspace.domain).as_bytes());
            let bits = u128::from(bits("high")) << 64 | u128::from(bits("low"));
            uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
        });
        strangers.sort_unstable();
        let mut days = Vec::new();
        let mut start = 0;
        while let Some(first) = window.get(start) {
            days.push(start);
            start += window[start..].partition_point(|row| row.date <= first.date);
        }
        Self { window, days, strangers }
    }

    pub(super) fn len(&self) -> usize {
        self.window.len() + self.days.len() * self.strangers.len()
    }

    /// The row at a place less than [`Self::len`].
    pub(super) fn row(&self, at: usize) -> Cow<'a, Activity> {
        let begins = |day: usize| self.days[day] + day * self.strangers.len();
        let mut days = 0..self.days.len();
        while days.len() > 1 {
            let middle = days.start + days.len() / 2;
            if begins(middle) <= at { days.start = middle } else { days.end = middle }
        }
        let day = days.start;
        let end = self.days.get(day + 1).copied().unwrap_or(self.window.len());
        let rows = &self.window[self.days[day]..end];
        let mut at = at - begins(day);
        for (before, stranger) in self.strangers.iter().enumerate().rev() {
            let place = before + rows.partition_point(|row| row.member_id < *stranger);
            if at == place {
                return Cow::Owned(stranger_row(&rows[0], *stranger));
            }
            at -= usize::from(at > place);
        }
        Cow::Borrowed(&rows[at])
    }
}

fn stranger_row(of_day: &Activity, member_id: Uuid) -> Activity {
    let mut counters = [Some(0); 19];
    (counters[1], counters[14]) = (Some(1), Some(1));
    Activity { date: of_day.date, member_id, role: "viewer".to_owned(), active_flag: true, counters }
}
