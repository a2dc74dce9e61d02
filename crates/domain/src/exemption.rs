//! Seats that are kept although nobody uses them, for a reason and for a time.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// A member who counts in no recommendation for a while. It is shown beside the seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// The member.
    pub member_id: Uuid,
    /// Why, in the words of whoever set it.
    pub reason: String,
    /// The last day it holds.
    pub until: NaiveDate,
    /// When it was set.
    pub set_at: DateTime<Utc>,
    /// When somebody ended it early.
    pub ended_at: Option<DateTime<Utc>>,
}

impl Exemption {
    /// Whether it holds for numbers as of a day, which are read on the day after at the earliest.
    pub fn holds(&self, as_of: NaiveDate) -> bool {
        self.ended_at.is_none() && self.until > as_of
    }
}
