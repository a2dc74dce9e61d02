//! The pace of one workspace: small batches of requests are reserved where all workers reserve, and go out one by one at
//! their times.
//!
//! Where the shared place does not answer, this process keeps the pace by itself for a while: the lease sees to it that
//! hardly anybody else works on the workspace. It is never without a pace.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tidemark_ports::{RateLimits, rate};
use tidemark_productboard::{LocalBudget, RateBudget};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::latency::Latency;

/// How long this process goes on alone before it asks again.
const ALONE: Duration = Duration::from_secs(5);
/// A request that is this late is dropped: several late ones at once would be a burst.
const LATE: Duration = Duration::from_millis(20);
/// Nearer than the timer can tell.
const SOON: Duration = Duration::from_millis(1);
/// Nobody waits for longer, whatever patience it has.
const MOST_PATIENCE: Duration = Duration::from_secs(86_400);
/// Of a second, in one reservation.
const BATCHES_PER_SECOND: u32 = 10;

#[derive(Debug)]
pub(crate) struct SharedBudget {
    limits: Arc<dyn RateLimits>,
    key: String,
    requests_per_second: u32,
    alone: LocalBudget,
    /// Held while waiting, so that requests go out in the order in which they asked.
    turn: tokio::sync::Mutex<Reserved>,
    waiting: AtomicU32,
    frozen_until: Mutex<Option<Instant>>,
    /// The vendor's limit, as it was last told on; 0 before.
    vendor_limit: AtomicU32,
    latency: Latency,
}

#[derive(Debug, Default)]
struct Reserved {
    times: VecDeque<Instant>,
    alone_until: Option<Instant>,
}

/// Counts one that waits, also when it gives up.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SharedBudget {
    pub(super) fn new(limits: Arc<dyn RateLimits>, key: String, requests_per_second: u32) -> Self {
        Self {
            limits,
            key,
            requests_per_second,
            alone: LocalBudget::even(requests_per_second),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicU32::default(),
            frozen_until: Mutex::default(),
            vendor_limit: AtomicU32::default(),
            latency: Latency::default(),
        }
    }

    /// How many requests should be under way, so that the limit is used up.
    pub(crate) fn fetches_at_once(&self) -> usize {
        self.latency.fetches_at_once(self.limit())
    }

    fn limit(&self) -> u32 {
        match self.vendor_limit.load(Ordering::Relaxed) {
            0 => self.requests_per_second,
            limit => limit.min(self.requests_per_second),
        }
    }

    fn frozen_until(&self, now: Instant) -> Option<Instant> {
        self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner).filter(|until| *until > now)
    }

    fn hold(&self, until: Instant) {
        let mut frozen = self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner);
        *frozen = (*frozen).max(Some(until));
    }

    /// Tells the shared place, without making anybody wait for it.
    fn tell<F, T>(&self, tell: impl FnOnce(Arc<dyn RateLimits>, String) -> F)
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        // Should it not hear, each worker is told by the vendor as well.
        tokio::spawn(tell(Arc::clone(&self.limits), self.key.clone()));
    }

    /// Reserves the next requests, or says when to ask again.
    async fn reserve(&self, reserved: &mut Reserved) -> Result<(), Instant> {
        // The vendor's own limit each time: the shared place may have forgotten it.
        let limit = self.limit();
        let batch = (limit / BATCHES_PER_SECOND).max(1);
        let count = self.waiting.load(Ordering::Relaxed).clamp(1, batch);
        let granted = self.limits.reserve(&self.key, limit, count).await;
        let now = Instant::now();
        match granted {
            Ok(grant) if grant.count == 0 => Err(now + grant.starts_in.min(rate::LONGEST_PAUSE)),
            Ok(grant) => {
                let first = now + grant.starts_in.min(rate::LONGEST_PAUSE);
                let interval = grant.interval.min(rate::LONGEST_PAUSE);
                reserved.times.extend((0..grant.count.min(count)).map(|nth| first + interval * nth));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(key = self.key, %error, "no shared rate limit to be had, going on with this process's own");
                reserved.alone_until = Some(now + ALONE);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl RateBudget for SharedBudget {
    async fn acquire(&self, patience: Duration) -> Result<(), Duration> {
        let deadline = Instant::now() + patience.min(MOST_PATIENCE);
        let _waiting = Waiting::new(&self.waiting);
        let mut reserved = timeout_at(deadline, self.turn.lock()).await.map_err(|_| patience)?;
        loop {
            let now = Instant::now();
            if let Some(thaw) = self.frozen_until(now) {
                reserved.times.clear();
                if thaw > deadline {
                    return Err(thaw - now);
                }
                sleep_until(thaw).await;
                continue;
            }
            while reserved.times.front().is_some_and(|at| *at + LATE < now) {
                reserved.times.pop_front();
            }
            if let Some(at) = reserved.times.front().copied() {
                if at > deadline {
                    return Err(at - now);
                }
                if at <= now + SOON {
                    reserved.times.pop_front();
                    return Ok(());
                }
                // A freeze may come in the meantime, so everything is looked at again.
                sleep_until(at).await;
                continue;
            }
            if reserved.alone_until.is_some_and(|until| until > now) {
                return self.alone.acquire(deadline - now).await;
            }
            if let Err(again) = self.reserve(&mut reserved).await {
                if again > deadline {
                    return Err(again - now);
                }
                sleep_until(again.checked_sub(rate::RESERVED_AHEAD / 2).unwrap_or(again)).await;
            }
        }
    }

    fn freeze(&self, pause: Duration) {
        let pause = pause.min(rate::LONGEST_PAUSE);
        self.hold(Instant::now() + pause);
        self.alone.freeze(pause);
        self.tell(move |limits, key| async move { limits.freeze(&key, pause).await });
    }

    fn observe(&self, limit: Option<u32>, remaining: Option<u32>) {
        self.alone.observe(limit, remaining);
        // What remains is near zero at this pace anyway. Should somebody else use the token, too, the 429 tells.
        let Some(limit) = limit.map(|limit| limit.max(1)) else { return };
        if self.vendor_limit.swap(limit, Ordering::Relaxed) != limit {
            self.tell(move |limits, key| async move { limits.lower(&key, limit).await });
        }
    }

    fn answered(&self, latency: Duration) {
        self.latency.saw(latency);
    }
}

#[cfg(test)]
mod tests {
    use tidemark_inproc::InprocRateLimits;
    use tidemark_ports::{Grant, Unavailable};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn budget(limits: &InprocRateLimits, per_second: u32) -> Arc<SharedBudget> {
        Arc::new(SharedBudget::new(Arc::new(limits.clone()), "conn".to_owned(), per_second))
    }

    /// When `count` requests of several askers went out, in milliseconds after the start.
    async fn departures(budgets: &[Arc<SharedBudget>], count: usize) -> Vec<u128> {
        let start = Instant::now();
        let mut asking = tokio::task::JoinSet::new();
        for nth in 0..count {
            let budget = Arc::clone(&budgets[nth % budgets.len()]);
            asking.spawn(async move {
                budget.acquire(LONG).await.unwrap();
                start.elapsed().as_millis()
            });
        }
        let mut times = asking.join_all().await;
        times.sort_unstable();
        times
    }

    #[tokio::test(start_paused = true)]
    async fn two_workers_share_one_limit_and_use_it_up() {
        let limits = InprocRateLimits::new();
        let times = departures(&[budget(&limits, 50), budget(&limits, 50)], 500).await;
        for window in times.windows(51) {
            assert!(window[50] - window[0] >= 1_000, "51 requests within {} ms", window[50] - window[0]);
        }
        let whole = times[499] - times[0];
        assert!(whole * 48 <= 499 * 1_000 + 2_000, "at least 48 a second: 500 took {whole} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_of_one_worker_freezes_the_other() {
        let limits = InprocRateLimits::new();
        let (one, other) = (budget(&limits, 50), budget(&limits, 50));
        other.acquire(LONG).await.unwrap();
        one.freeze(Duration::from_secs(3));
        tokio::task::yield_now().await;
        let start = Instant::now();
        other.acquire(LONG).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(2_900), "{:?}", start.elapsed());
        one.freeze(Duration::from_secs(600));
        let rest = one.acquire(Duration::from_secs(30)).await.unwrap_err();
        assert!(rest > Duration::from_secs(590), "who cannot wait is told at once: {rest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_and_no_patience_is_too_long_to_be_counted_with() {
        for pause in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1_796_099_990)] {
            let limits = InprocRateLimits::new();
            let budget = budget(&limits, 50);
            budget.freeze(pause);
            let rest = budget.acquire(Duration::from_secs(30)).await.unwrap_err();
            assert!(rest <= Duration::from_secs(3_601), "{rest:?}");
            let start = Instant::now();
            budget.acquire(Duration::MAX).await.unwrap();
            assert!(start.elapsed() <= Duration::from_secs(3_602), "{:?}", start.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_requests_make_no_burst() {
        let limits = InprocRateLimits::new();
        let budget = budget(&limits, 50);
        let _crowd: Vec<_> = (0..5).map(|_| Waiting::new(&budget.waiting)).collect();
        budget.acquire(LONG).await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        let times = departures(&[Arc::clone(&budget)], 6).await;
        assert!(times[5] >= 100, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendors_lower_limit_counts_for_all() {
        let limits = InprocRateLimits::new();
        let (one, other) = (budget(&limits, 50), budget(&limits, 50));
        one.observe(Some(10), Some(9));
        tokio::task::yield_now().await;
        let times = departures(&[one, other], 21).await;
        assert!(times[20] >= 2_000, "{times:?}");
    }

    /// A shared place that is away.
    #[derive(Debug)]
    struct Away;

    #[async_trait]
    impl RateLimits for Away {
        async fn reserve(&self, _: &str, _: u32, _: u32) -> Result<Grant, Unavailable> {
            Err(Unavailable("it is away".to_owned()))
        }
        async fn freeze(&self, _: &str, _: Duration) -> Result<(), Unavailable> {
            Err(Unavailable("it is away".to_owned()))
        }
        async fn thaw(&self, _: &str) -> Result<(), Unavailable> {
            Err(Unavailable("it is away".to_owned()))
        }
        async fn lower(&self, _: &str, _: u32) -> Result<(), Unavailable> {
            Err(Unavailable("it is away".to_owned()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_shared_place_there_still_is_a_pace() {
        let alone = Arc::new(SharedBudget::new(Arc::new(Away), "conn".to_owned(), 50));
        let times = departures(&[alone], 500).await;
        for window in times.windows(51) {
            assert!(window[50] - window[0] >= 999, "51 requests within {} ms", window[50] - window[0]);
        }
        assert!(times[499] <= 10_800, "neither stuck nor slow: {} ms", times[499]);
    }
}
