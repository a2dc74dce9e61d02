//! Days of single members of which nothing is known: their rows could not be read. The other days and the other members
//! count as ever; of these, nobody is called inactive.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::window_start;
use crate::recommendation::{Recommendation, Tier};

/// The days a recommendation may depend on.
const ADVISED_BY: u32 = 90;

/// Days on which it is unknown what a member did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownDays(BTreeMap<Uuid, BTreeSet<NaiveDate>>);

impl UnknownDays {
    /// Those days, by member.
    pub fn new(days: BTreeMap<Uuid, BTreeSet<NaiveDate>>) -> Self {
        Self(days)
    }

    /// Whether a day of the member up to that one is unknown.
    pub(super) fn any(&self, member: Uuid, as_of: NaiveDate) -> bool {
        self.0.get(&member).is_some_and(|days| days.range(..=as_of).next().is_some())
    }

    /// Whether a day of the member in the window that ends on that one is unknown.
    pub(super) fn any_within(&self, member: Uuid, as_of: NaiveDate, window: u32) -> bool {
        let days = window_start(as_of, window)..=as_of;
        self.0.get(&member).is_some_and(|known| known.range(days).next().is_some())
    }

    /// Whether nothing that is unknown speaks against a recommendation: only what is certain does not depend on activity.
    pub fn allow(&self, it: &Recommendation, as_of: NaiveDate) -> bool {
        it.tier == Tier::Certain || !self.any_within(it.member_id, as_of, ADVISED_BY)
    }
}
