//! Member activities. Scope `analytics:read`; not every plan has them.

use chrono::NaiveDate;
use futures::{StreamExt, TryStreamExt};

use super::Client;
use crate::operation::LIST_ACTIVITIES;
use crate::paging::Page;
use crate::{Activity, Cursor, Pages};

impl Client {
    /// What members did from one date to another, both included. Rows of other dates are dropped: the vendor's links
    /// have been seen to lose the window.
    pub fn member_activities(
        &self,
        from: NaiveDate,
        to: NaiveDate,
        start: Option<Cursor>,
    ) -> Pages<Activity> {
        let window = [("dateFrom", from.to_string()), ("dateTo", to.to_string())];
        let within = move |mut page: Page<Activity>| {
            page.items.retain(|activity| (from..=to).contains(&activity.row.day));
            page.unreadable.retain(|row| row.key.day.is_none_or(|day| (from..=to).contains(&day)));
            page
        };
        let request = self.get(LIST_ACTIVITIES, &["analytics", "member-activities"]).query(window);
        self.pages(request, start).map_ok(within).boxed()
    }
}
