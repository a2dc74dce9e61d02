//! The headers that each authenticated answer carries, by the names and in the forms that the switches ask for.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use chrono::TimeDelta;

use crate::clock::real_now;
use crate::limit::Quota;
use crate::{Faults, RetryAfter};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

pub(super) fn set(headers: &mut HeaderMap, faults: &Faults, quota: Option<Quota>) {
    if let Some((quota, [limit, remaining])) = quota.zip(faults.rate_headers.names()) {
        headers.insert(limit, HeaderValue::from(quota.limit));
        headers.insert(remaining, HeaderValue::from(quota.remaining));
    }
    if let Some(text) = faults.rate_limit_text.as_ref().and_then(|text| HeaderValue::from_str(text).ok())
        && let Some(names) = faults.rate_headers.names()
    {
        for name in names {
            headers.insert(name, text.clone());
        }
    }
    let said =
        [(DEPRECATION, &faults.deprecation), (SUNSET, &faults.sunset), (header::LOCATION, &faults.redirect)];
    for (name, value) in said {
        if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    if faults.retry_after != RetryAfter::Seconds {
        retry_after(headers, faults.retry_after);
    }
}

/// What `Retry-After` is to say, whatever it means.
pub(super) fn retry_after_text(headers: &mut HeaderMap, faults: &Faults) {
    let text = faults.retry_after_text.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
    if let Some(text) = text {
        headers.insert(header::RETRY_AFTER, text);
    }
}

fn retry_after(headers: &mut HeaderMap, form: RetryAfter) {
    let Some(seconds) = headers.remove(header::RETRY_AFTER) else { return };
    let seconds = seconds.to_str().ok().and_then(|seconds| seconds.parse().ok());
    if let (RetryAfter::HttpDate, Some(seconds)) = (form, seconds) {
        // Dates have no milliseconds: up, so that it is never too early.
        let until = real_now() + TimeDelta::seconds(seconds) + TimeDelta::milliseconds(999);
        let date = until.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        headers.extend(HeaderValue::from_str(&date).ok().map(|date| (header::RETRY_AFTER, date)));
    }
}
