//! The values of switches that are more than yes, no or a number.

use axum::http::HeaderName;
use serde::{Deserialize, Serialize};

/// Failures that come and go: the last `length` of every `every` requests of a token answer 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// The length of a whole turn, in requests.
    pub every: u64,
    /// How many of these fail.
    pub length: u64,
}

impl Burst {
    /// Whether the request of this number, counted from 1, fails.
    pub(crate) fn hits(self, number: u64) -> bool {
        let position = number.saturating_sub(1) % self.every.max(1);
        position >= self.every.saturating_sub(self.length)
    }
}

/// 429 whatever the rate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// For so many requests.
    pub requests: u64,
    /// What `Retry-After` says.
    pub retry_after_secs: u64,
}

/// A text in the body of answers of success, and what stands there instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// What to look for, in the JSON as it is sent: `"role":"maker"`.
    pub find: String,
    /// What is sent instead: `"role":"Maker"`, `"name":"Anna \\ud83d"`.
    pub put: String,
    /// In each body the first so many of them only.
    #[serde(default)]
    pub most: Option<usize>,
}

impl Swap {
    pub(crate) fn apply(&self, body: &str) -> String {
        body.replacen(&self.find, &self.put, self.most.unwrap_or(usize::MAX))
    }
}

/// How a 429 says when to come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    #[default]
    Seconds,
    /// A date, by real time as the `Date` header is.
    HttpDate,
    /// Not at all.
    Absent,
}

/// The names of the rate limit's headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateHeaders {
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining`.
    #[default]
    XRatelimit,
    /// `RateLimit-Limit`, `RateLimit-Remaining`.
    Ratelimit,
    /// `X-RateLimit-Limit-Second`, `X-RateLimit-Remaining-Second`.
    PerSecond,
    /// None.
    Absent,
}

impl RateHeaders {
    /// Those of the limit and of what remains.
    pub(crate) fn names(self) -> Option<[HeaderName; 2]> {
        let names = match self {
            Self::XRatelimit => ["x-ratelimit-limit", "x-ratelimit-remaining"],
            Self::Ratelimit => ["ratelimit-limit", "ratelimit-remaining"],
            Self::PerSecond => ["x-ratelimit-limit-second", "x-ratelimit-remaining-second"],
            Self::Absent => return None,
        };
        Some(names.map(HeaderName::from_static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_each_turn() {
        let burst = Burst { every: 5, length: 2 };
        let hits: Vec<u64> = (1..=10).filter(|number| burst.hits(*number)).collect();
        assert_eq!(hits, [4, 5, 9, 10]);
        assert!((1..9).all(|number| Burst { every: 1, length: 1 }.hits(number)));
        assert!(!(1..9).any(|number| Burst { every: 3, length: 0 }.hits(number)));
    }
}
