//! Rate limits that many processes share: each request of a key is reserved before it goes out.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::Unavailable;

/// No request is reserved further ahead than this: a process that dies takes little with it, and a pause that somebody
/// else was told to make is heard of in time.
pub const RESERVED_AHEAD: Duration = Duration::from_secs(1);

/// No pause is longer than this, whatever the other side says: it is asked again then.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// By how much the way to the other side may squeeze a second's requests together before they are too many. So the pace
/// is a little slower than the limit.
const JITTER: Duration = Duration::from_millis(40);

/// Requests that may go out, evenly spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many; none where the next one is too far away.
    pub count: u32,
    /// When the first one may go out; where there is none, when it could.
    pub starts_in: Duration,
    /// From one to the next.
    pub interval: Duration,
}

/// Keeps the pace of each key.
#[async_trait]
pub trait RateLimits: fmt::Debug + Send + Sync {
    /// Reserves up to `count` requests behind all that are reserved, at no more than `per_second`.
    async fn reserve(&self, key: &str, per_second: u32, count: u32) -> Result<Grant, Unavailable>;

    /// Nothing more of the key is reserved for this long, and at most for [`LONGEST_PAUSE`].
    async fn freeze(&self, key: &str, pause: Duration) -> Result<(), Unavailable>;

    /// Ends a freeze: a person asks, or the credential is another one.
    async fn thaw(&self, key: &str) -> Result<(), Unavailable>;

    /// The other side's own limit, where it is lower than what is asked for. Forgotten when the key is quiet.
    async fn lower(&self, key: &str, per_second: u32) -> Result<(), Unavailable>;
}

/// From one request to the next, so that no second holds more than the limit.
pub fn interval(per_second: u32) -> Duration {
    (Duration::from_secs(1) + JITTER) / per_second.max(1)
}
