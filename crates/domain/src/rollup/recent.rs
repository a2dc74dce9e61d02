//! One member's last days of activity. Kept beside the facts, they let a day more be folded without reading ninety again;
//! made of the facts, they are the same.

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Cut, DayUse, LONGEST, MemberFacts, window_start};
use crate::member::Version;

/// Days before the longest window that are kept as well: what comes late within them is cheap.
const LATE_DAYS: u32 = 14;

/// The first of the days that are kept, where `as_of` is the last.
pub fn kept_from(as_of: NaiveDate) -> NaiveDate {
    window_start(as_of, LONGEST + LATE_DAYS)
}

/// A member's days from some day on, and two dates that tell of the days before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// The member.
    pub member_id: Uuid,
    /// The day of the first row there is, where it lies before the days.
    pub first_row: Option<NaiveDate>,
    /// The last active day before the days.
    pub active_before: Option<NaiveDate>,
    /// The days, oldest first.
    pub days: Vec<DayUse>,
}

impl Recent {
    /// Puts these days in the place of those of `from..=to`.
    pub fn replace(&mut self, (from, to): (NaiveDate, NaiveDate), days: &[DayUse]) {
        let start = self.days.partition_point(|day| day.day < from);
        let end = self.days.partition_point(|day| day.day <= to);
        self.days.splice(start..end, days.iter().copied());
    }

    /// Forgets the days before that one, but for the two dates.
    pub fn forget_before(&mut self, from: NaiveDate) {
        let end = self.days.partition_point(|day| day.day < from);
        for day in self.days.drain(..end) {
            self.first_row.get_or_insert(day.day);
            if day.active {
                self.active_before = Some(day.day);
            }
        }
    }

    /// As the fold takes it.
    pub fn facts<'a>(&'a self, versions: &'a [Version], teams: &'a [Uuid]) -> MemberFacts<'a> {
        let Self { member_id, first_row, active_before, days } = self;
        MemberFacts {
            member_id: *member_id,
            versions,
            days,
            teams,
            first_row: *first_row,
            active_before: *active_before,
        }
    }

    /// The cohort of a member with that history.
    pub fn cohort(&self, versions: &[Version]) -> Option<Cut> {
        super::seat::first_seen(&self.facts(versions, &[])).map(Cut::cohort)
    }
}
