//! Rate limits in a map, on the monotonic clock.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tidemark_ports::{
    Grant, RateLimits, Unavailable,
    rate::{LONGEST_PAUSE, RESERVED_AHEAD, interval},
};
use tokio::time::Instant;

/// A key that nobody asks for is forgotten after this long.
const KEPT: Duration = Duration::from_secs(60);

/// Rate limits within the process. Clones share them.
#[derive(Clone, Default)]
pub struct InprocRateLimits(Arc<Mutex<HashMap<String, Pace>>>);

#[derive(Debug, Clone, Copy)]
struct Pace {
    /// When the next request may go out.
    next: Instant,
    limit: u32,
}

impl InprocRateLimits {
    /// Nothing is reserved.
    pub fn new() -> Self {
        Self::default()
    }

    fn paces(&self) -> MutexGuard<'_, HashMap<String, Pace>> {
        let mut paces = self.0.lock().expect("no code panics while it holds the paces");
        let now = Instant::now();
        paces.retain(|_, pace| pace.next + KEPT > now);
        paces
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Pace)) {
        let fresh = || Pace { next: Instant::now(), limit: u32::MAX };
        change(self.paces().entry(key.to_owned()).or_insert_with(fresh));
    }
}

impl fmt::Debug for InprocRateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InprocRateLimits").field("keys", &self.paces().len()).finish()
    }
}

#[async_trait]
impl RateLimits for InprocRateLimits {
    async fn reserve(&self, key: &str, per_second: u32, count: u32) -> Result<Grant, Unavailable> {
        let mut grant = Grant { count, starts_in: Duration::ZERO, interval: Duration::ZERO };
        self.change(key, |pace| {
            let now = Instant::now();
            let next = pace.next.max(now);
            grant.interval = interval(per_second.min(pace.limit));
            grant.starts_in = next - now;
            if grant.starts_in > RESERVED_AHEAD {
                grant.count = 0;
            } else {
                let behind = next.checked_add(grant.interval.saturating_mul(count));
                pace.next = behind.unwrap_or(next);
            }
        });
        Ok(grant)
    }

    async fn freeze(&self, key: &str, pause: Duration) -> Result<(), Unavailable> {
        self.change(key, |pace| pace.next = pace.next.max(Instant::now() + pause.min(LONGEST_PAUSE)));
        Ok(())
    }

    async fn thaw(&self, key: &str) -> Result<(), Unavailable> {
        // What may be reserved already stays so.
        self.change(key, |pace| pace.next = pace.next.min(Instant::now() + RESERVED_AHEAD));
        Ok(())
    }

    async fn lower(&self, key: &str, per_second: u32) -> Result<(), Unavailable> {
        self.change(key, |pace| pace.limit = per_second.max(1));
        Ok(())
    }
}
