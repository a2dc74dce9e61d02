//! What the headers of an answer say: limits, pauses, request ids and announcements.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::HeaderMap;

/// How long to wait after a 429 that does not say.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// No pause is longer, whatever the vendor asks for.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What the vendor allows in any second, whichever of its three spellings it uses. Nothing at all is no limit.
pub(crate) fn limit(headers: &HeaderMap) -> Option<u32> {
    number(headers, &["x-ratelimit-limit-second", "ratelimit-limit", "x-ratelimit-limit"])
        .filter(|limit| *limit > 0)
}

/// What is left of the limit.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<u32> {
    number(headers, &["x-ratelimit-remaining-second", "ratelimit-remaining", "x-ratelimit-remaining"])
}

/// `Retry-After`: in seconds, or as a moment, which is a date or the seconds or milliseconds since 1970. A moment is
/// held against the answer's own `Date`: no clock of ours has to agree with theirs. No pause is longer than an hour.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| DateTime::parse_from_rfc2822(text(headers, &[name])?.trim()).ok();
    let answered = date("date").map(|date| date.to_utc());
    let Some(number) = decimal(headers, "retry-after") else {
        let pause = (date("retry-after")?.to_utc() - answered?).to_std().ok()?;
        return Some(pause.min(LONGEST_PAUSE));
    };
    if number < 0.0 {
        return None;
    }
    let longest = LONGEST_PAUSE.as_secs_f64();
    let ahead = answered.and_then(|now| {
        let now = now.timestamp() as f64;
        [number - now, number / 1000.0 - now].into_iter().find(|ahead| ahead.abs() <= longest)
    });
    let seconds = ahead.unwrap_or(number).clamp(0.0, longest).ceil();
    Some(Duration::from_secs_f64(seconds))
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    text(headers, &["x-request-id", "x-pb-request-id", "request-id"])
}

/// The first of these headers that is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok())
}

/// The first of these headers that begins with a number: `50`, or `50;w=1`. Larger ones count as the largest.
fn number(headers: &HeaderMap, names: &[&str]) -> Option<u32> {
    let number = names.iter().find_map(|name| decimal(headers, name))?;
    // In range by the clamp.
    Some(number.clamp(0.0, f64::from(u32::MAX)) as u32)
}

/// A number in plain digits: other words are numbers to the library, such as `inf`.
fn decimal(headers: &HeaderMap, name: &str) -> Option<f64> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    let number = text.split([';', ',']).next()?.trim_end();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
    is_plain.then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    /// What a vendor may write into a header of numbers: any of its kinds, and what is none.
    fn any_number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<u64>().prop_map(|it| it.to_string()),
            any::<i64>().prop_map(|it| it.to_string()),
            any::<u128>().prop_map(|it| it.to_string()),
            any::<f64>().prop_map(|it| it.to_string()),
            any::<f64>().prop_map(|it| format!("{it:e}")),
            (any::<i64>(), any::<u8>()).prop_map(|(it, more)| format!("{it};w={more}")),
            (1_500_000_000_i64..2_000_000_000).prop_map(|it| it.to_string()),
            "[ -~]{0,40}",
        ]
    }

    proptest! {
        #[test]
        fn no_header_panics_and_none_says_more_than_it_may(said in any_number(), bytes: Vec<u8>, dated: bool) {
            let date = dated.then_some(("date", "Wed, 12 Aug 2026 10:00:00 GMT"));
            let said = [HeaderValue::from_str(&said).ok(), HeaderValue::from_bytes(&bytes).ok()];
            for value in said.into_iter().flatten() {
                let mut headers = map(date.as_slice());
                for name in ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-request-id"] {
                    headers.insert(name, value.clone());
                }
                prop_assert!(retry_after(&headers).is_none_or(|pause| pause <= LONGEST_PAUSE));
                prop_assert!(limit(&headers) != Some(0));
                let _ = (remaining(&headers), request_id(&headers));
            }
        }
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
        for (absurd, expected) in
            [("0", None), ("1000000000000", Some(u32::MAX)), ("-5", None), ("1e9", None)]
        {
            assert_eq!(limit(&map(&[("x-ratelimit-limit", absurd)])), expected, "{absurd}");
        }
    }

    #[test]
    fn no_pause_is_longer_than_an_hour_and_a_moment_is_no_pause() {
        let date = ("date", "Wed, 12 Aug 2026 10:00:00 GMT");
        let now = 1_786_528_800_u64;
        let pause = |text: &str| {
            let mut headers = map(&[date]);
            headers.insert("retry-after", HeaderValue::from_str(text).unwrap());
            retry_after(&headers).map(|pause| pause.as_secs())
        };
        for (text, expected) in [
            (now.to_string(), Some(0)),
            ((now + 90).to_string(), Some(90)),
            ((now - 90).to_string(), Some(0)),
            (((now + 90) * 1000).to_string(), Some(90)),
            ((now + 7200).to_string(), Some(3600)),
            ("3601".to_owned(), Some(3600)),
            ("86400".to_owned(), Some(3600)),
            ("10000000000000".to_owned(), Some(3600)),
            (u64::MAX.to_string(), Some(3600)),
            ("9".repeat(400), Some(3600)),
            ("2.5".to_owned(), Some(3)),
            ("0".to_owned(), Some(0)),
            ("-1".to_owned(), None),
            ("-99999999999999999999".to_owned(), None),
            ("inf".to_owned(), None),
            ("NaN".to_owned(), None),
            ("Wed, 12 Aug 2099 10:00:00 GMT".to_owned(), Some(3600)),
        ] {
            assert_eq!(pause(&text), expected, "{text}");
        }
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
