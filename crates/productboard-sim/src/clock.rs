//! The vendor's wall clock: real time plus what tests have moved it ahead. It never goes back.
//!
//! Codes, tokens, the grace of rotation and the retries of webhooks follow it; the rate limit stays in real seconds,
//! as the client's own pauses do.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
    moved: Notify,
}

impl Clock {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        real_now() + TimeDelta::milliseconds(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn ahead(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.ahead_ms.load(Ordering::Relaxed)).unwrap_or(0))
    }

    /// Moves ahead, at most ten years a time: dates must stay dates.
    pub(crate) fn advance(&self, by: Duration) {
        let by = by.min(Duration::from_secs(10 * 366 * 86_400));
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    /// Waits until the clock shows `due`, by real time or because it is moved.
    pub(crate) async fn reach(&self, due: DateTime<Utc>) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            // Negative: it is due.
            let Ok(left) = (due - self.now()).to_std() else { return };
            if left.is_zero() {
                return;
            }
            let _ = tokio::time::timeout(left, moved).await;
        }
    }
}

/// The real clock, which the client and the `Date` header show.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator stands alone; this is the one place its time comes from"
)]
pub(crate) fn real_now() -> DateTime<Utc> {
    SystemTime::now().into()
}

pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(36_600))
}
