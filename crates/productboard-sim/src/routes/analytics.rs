//! `GET /v2/analytics/member-activities`: flat, sparse rows, sorted by date then member.

use axum::Extension;
use axum::http::Uri;
use chrono::{Days, NaiveDate};

use self::row::Rows;
use self::strangers::WithStrangers;
use crate::Workspace;
use crate::error::ApiError;
use crate::gate::Call;
use crate::json::Body;
use crate::page::PageRequest;

mod row;
mod strangers;

pub(super) async fn list(Extension(call): Extension<Call>, uri: Uri) -> Result<Body, ApiError> {
    page(&call, &uri)
}

fn page(call: &Call, uri: &Uri) -> Result<Body, ApiError> {
    let obeys_limit = call.faults.activity_limit_obeyed;
    let known: &[&str] = if obeys_limit { &["dateFrom", "dateTo", "limit"] } else { &["dateFrom", "dateTo"] };
    let request = PageRequest::read(uri, known)?;
    // `limit` is in no document; some clients send it, and the vendor has been seen to ignore it.
    let limit: Option<usize> = request.parsed("limit", "a number")?;
    let request = request.limited_to(limit.map(|limit| limit.clamp(1, 1_000)));
    let (from, to) = (date(&request, "dateFrom")?, date(&request, "dateTo")?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(ApiError::invalid_parameter("dateFrom", "dateFrom must not be after dateTo"));
    }
    let workspace: &Workspace = &call.workspace;
    let (from, to) = if call.faults.window_ignored { (None, None) } else { (from, to) };
    let from = from.or_else(|| default_from(workspace, to, call.faults.default_window_days?));
    let to = to.map(|to| if call.faults.date_to_exclusive { to - Days::new(1) } else { to });
    let to = settled(workspace, call.faults.late_days, to);
    let window = &workspace.activities[workspace.window(from, to)];
    let mut rows = Rows::new(call);
    if call.faults.unknown_member_ids {
        let all = WithStrangers::new(workspace, window);
        let row = |out: &mut Vec<u8>, at| rows.write(out, &all.row(at));
        return Ok(request.answer(call, all.len(), call.faults.next_link, row));
    }
    let at = |at: usize| if call.faults.activity_newest_first { window.len() - 1 - at } else { at };
    let row = |out: &mut Vec<u8>, place| rows.write(out, &window[at(place)]);
    Ok(request.answer(call, window.len(), call.faults.next_link, row))
}

/// Where a request without dates begins.
fn default_from(workspace: &Workspace, to: Option<NaiveDate>, days: u64) -> Option<NaiveDate> {
    let newest = workspace.activities.last()?.date;
    to.is_none().then(|| newest.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN))
}

fn date(request: &PageRequest, name: &'static str) -> Result<Option<NaiveDate>, ApiError> {
    let Some(text) = request.value(name) else { return Ok(None) };
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    date.map(Some).ok_or_else(|| ApiError::invalid_parameter(name, "must be a date, YYYY-MM-DD"))
}

/// The end of the window when the newest days are late.
fn settled(workspace: &Workspace, late_days: u32, to: Option<NaiveDate>) -> Option<NaiveDate> {
    let Some(newest) = workspace.activities.last().map(|row| row.date).filter(|_| late_days > 0) else {
        return to;
    };
    let settled = newest.checked_sub_days(Days::new(late_days.into())).unwrap_or(NaiveDate::MIN);
    Some(to.map_or(settled, |to| to.min(settled)))
}

#[cfg(test)]
mod tests;
