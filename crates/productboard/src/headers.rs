//! What the headers of an answer say: limits, pauses, request ids and announcements.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::HeaderMap;

/// How long to wait after a 429 that does not say.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the vendor allows in any second, whichever of its three spellings it uses.
pub(crate) fn limit(headers: &HeaderMap) -> Option<u32> {
    number(headers, &["x-ratelimit-limit-second", "ratelimit-limit", "x-ratelimit-limit"])
}

/// What is left of the limit.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<u32> {
    number(headers, &["x-ratelimit-remaining-second", "ratelimit-remaining", "x-ratelimit-remaining"])
}

/// `Retry-After` in seconds, or as a date against the answer's own `Date`: no clock of ours has to agree with theirs.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(seconds) = number(headers, &["retry-after"]) {
        return Some(Duration::from_secs(seconds));
    }
    let date = |name| DateTime::parse_from_rfc2822(text(headers, &[name])?.trim()).ok();
    (date("retry-after")? - date("date")?).to_std().ok()
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    text(headers, &["x-request-id", "x-pb-request-id", "request-id"])
}

/// The first of these headers that is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok())
}

/// The first of these headers that begins with a number: `50`, or `50;w=1`.
fn number<N: std::str::FromStr>(headers: &HeaderMap, names: &[&str]) -> Option<N> {
    names.iter().find_map(|name| {
        let text = headers.get(*name)?.to_str().ok()?.trim();
        text.split([';', ',']).next()?.trim_end().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn all_three_families_of_headers_are_read() {
        for (limits, remains) in [
            ("x-ratelimit-limit", "x-ratelimit-remaining"),
            ("ratelimit-limit", "ratelimit-remaining"),
            ("x-ratelimit-limit-second", "x-ratelimit-remaining-second"),
        ] {
            let headers = map(&[(limits, "50"), (remains, "49")]);
            assert_eq!((limit(&headers), remaining(&headers)), (Some(50), Some(49)), "{limits}");
        }
        let headers = map(&[("ratelimit-limit", "50;w=1"), ("x-ratelimit-limit", "40")]);
        assert_eq!((limit(&headers), remaining(&headers)), (Some(50), None));
        let headers = map(&[("ratelimit-limit", "many"), ("x-ratelimit-limit", "40")]);
        assert_eq!(limit(&headers), Some(40));
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_by_the_vendors_own_clock() {
        let pause = |pairs: &[_]| retry_after(&map(pairs)).map(|pause| pause.as_secs());
        assert_eq!(pause(&[("retry-after", "2")]), Some(2));
        let date = ("date", "Wed, 12 Aug 2026 10:00:00 GMT");
        assert_eq!(pause(&[("retry-after", "Wed, 12 Aug 2026 10:00:07 GMT"), date]), Some(7));
        assert_eq!(pause(&[("retry-after", "Wed, 12 Aug 2026 09:00:00 GMT"), date]), None, "in the past");
        assert_eq!(
            pause(&[("retry-after", "Wed, 12 Aug 2026 10:00:07 GMT")]),
            None,
            "no date to hold it against"
        );
        assert_eq!(pause(&[("retry-after", "soon"), date]), None);
    }
}
