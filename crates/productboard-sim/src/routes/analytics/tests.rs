use std::sync::Arc;

use chrono::Days;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::access::Pii;
use crate::index::Served;
use crate::{COUNTER_NAMES, Faults, NextLink, Route, WorkspaceSpec};

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 12).unwrap()
}

fn call(page_size: usize, faults: Faults) -> Call {
    let workspace = Workspace::generate(&WorkspaceSpec::new("acme", 12, today()).days(40));
    Call {
        route: Route::MemberActivities,
        workspace: Arc::new(Served::new(workspace)),
        faults: Arc::new(faults),
        access: Arc::default(),
        pii: Pii::Shown,
        origin: "http://sim".to_owned(),
        page_size,
        number: 1,
    }
}

/// Follows the cursors as a careful client does: takes `pageCursor` out of the link and sends the dates again.
fn walk(call: &Call, dates: &str, resend_dates: bool) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut uri: Uri = format!("/v2/analytics/member-activities?{dates}").parse().unwrap();
    loop {
        let page: Value = serde_json::from_slice(&page(call, &uri).unwrap().0).unwrap();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= call.page_size);
        rows.extend(data.iter().cloned());
        let Some(next) = page["links"]["next"].as_str() else { return rows };
        let cursor = next.split_once("pageCursor=").unwrap().1;
        let dates = if resend_dates { dates } else { "" };
        uri = format!("/v2/analytics/member-activities?{dates}&pageCursor={cursor}").parse().unwrap();
    }
}

fn keys(rows: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(&row["date"]), text(&row["memberId"]))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_cover_each_row_of_a_window_once(
        first_ago in 0_u64..50, length in 0_u64..50, page_size in 1_usize..120, resend_dates: bool,
        style in prop_oneof![Just(NextLink::Absolute), Just(NextLink::Relative), Just(NextLink::WithoutDates)],
    ) {
        let call = call(page_size, Faults { next_link: style, ..Faults::default() });
        let from = today() - Days::new(first_ago);
        let to = from + Days::new(length);
        let naive: Vec<_> = call.workspace.activities.iter()
            .filter(|row| from <= row.date && row.date <= to)
            .map(|row| (row.date.to_string(), row.member_id.to_string()))
            .collect();
        let rows = walk(&call, &format!("dateFrom={from}&dateTo={to}"), resend_dates);
        prop_assert_eq!(keys(&rows), naive);
    }
}

#[test]
fn open_windows_reach_to_both_ends() {
    let call = call(50, Faults::default());
    let all = walk(&call, "", false);
    assert_eq!(all.len(), call.workspace.activities.len());
    let day = today() - Days::new(10);
    let until = walk(&call, &format!("dateTo={day}"), true);
    let after = walk(&call, &format!("dateFrom={}", day + Days::new(1)), true);
    assert!(!until.is_empty() && !after.is_empty());
    assert_eq!([until, after].concat(), all);
}

#[test]
fn rows_carry_exactly_the_counters_that_are_known() {
    let call = call(10_000, Faults::default());
    let rows = walk(&call, "", false);
    for (row, fact) in rows.iter().zip(&call.workspace.activities) {
        for (name, count) in COUNTER_NAMES.iter().zip(fact.counters) {
            assert_eq!(row.get(*name).cloned(), count.map(Value::from), "{name}");
        }
        assert_eq!(row["domain"], "acme");
        assert_eq!(row["activeFlag"], fact.active_flag);
    }
}
