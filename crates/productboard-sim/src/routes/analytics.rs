//! `GET /v2/analytics/member-activities`: flat, sparse rows, sorted by date then member.

use std::collections::HashMap;

use axum::http::Uri;
use axum::{Extension, Json};
use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::gate::Call;
use crate::page::PageRequest;
use crate::{Activity, COUNTER_NAMES, Workspace};

type Counters = [Option<u32>; 19];

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Json<Value>, ApiError> {
    page(&call, &uri).map(Json)
}

fn page(call: &Call, uri: &Uri) -> Result<Value, ApiError> {
    let request = PageRequest::read(uri, &["dateFrom", "dateTo"])?;
    let (from, to) = (date(&request, "dateFrom")?, date(&request, "dateTo")?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(ApiError::invalid_parameter("dateFrom", "dateFrom must not be after dateTo"));
    }
    let rows = &call.workspace.activities[call.workspace.window(from, to)];
    Ok(request.answer(call, rows.len(), call.faults.next_link, |range| render(call, &rows[range])))
}

fn date(request: &PageRequest, name: &'static str) -> Result<Option<NaiveDate>, ApiError> {
    let Some(text) = request.value(name) else { return Ok(None) };
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    date.map(Some).ok_or_else(|| ApiError::invalid_parameter(name, "must be a date, YYYY-MM-DD"))
}

fn render(call: &Call, rows: &[Activity]) -> Vec<Value> {
    let Call { workspace, faults, .. } = call;
    let mut days: HashMap<NaiveDate, Counters> = HashMap::new();
    rows.iter()
        .map(|row| {
            let mut counters = row.counters;
            if faults.repeated_totals {
                counters = *days.entry(row.date).or_insert_with(|| day_totals(workspace, row.date));
            }
            if faults.totals_zero {
                (counters[0], counters[1]) = (Some(0), Some(0));
            }
            if faults.hide_zeros {
                counters = counters.map(|count| count.filter(|count| *count > 0));
            }
            flat_row(workspace, row, counters)
        })
        .collect()
}

fn flat_row(workspace: &Workspace, row: &Activity, counters: Counters) -> Value {
    let mut flat = json!({
        "date": row.date,
        "domain": workspace.domain,
        "memberId": row.member_id,
        "role": row.role,
        "activeFlag": row.active_flag,
    });
    for (name, count) in COUNTER_NAMES.iter().zip(counters) {
        if let Some(count) = count {
            flat[*name] = json!(count);
        }
    }
    flat
}

fn day_totals(workspace: &Workspace, day: NaiveDate) -> Counters {
    let mut totals = [0; 19];
    for row in &workspace.activities[workspace.window(Some(day), Some(day))] {
        for (total, count) in totals.iter_mut().zip(row.counters) {
            *total += count.unwrap_or(0);
        }
    }
    totals.map(Some)
}

#[cfg(test)]
mod tests;
