//! When the next request may go out. A token's limit is shared by all who hold the token, so the budget is a port:
//! [`LocalBudget`] serves one process, a shared one can serve many.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::headers::LONGEST_PAUSE;

/// Hands out requests at the pace of one token's rate limit.
#[async_trait]
pub trait RateBudget: Debug + Send + Sync {
    /// Waits until one more request may go out. If that would take longer than `patience`, gives at once the time that
    /// it would take.
    async fn acquire(&self, patience: Duration) -> Result<(), Duration>;

    /// The vendor answered 429: nothing goes out for this long, which is an hour at most.
    fn freeze(&self, pause: Duration);

    /// What the rate-limit headers of an answer said.
    fn observe(&self, limit: Option<u32>, remaining: Option<u32>);

    /// How long the vendor took for a whole answer.
    fn answered(&self, _latency: Duration) {}
}

/// Nobody waits longer for a turn.
const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How many requests may go out at once after a quiet time, for large limits.
const BURST: u32 = 3;
/// By how much the way to the vendor may squeeze a second's requests together before they are too many.
const JITTER: Duration = Duration::from_millis(40);

/// A budget within one process: an even pace after a small burst, and never more than the limit in any one second.
///
/// It slows down when the vendor's limit turns out to be lower than its own. It does not look at what remains: pacing
/// alone keeps that above zero, unless somebody else uses the token, and then the 429 tells.
#[derive(Debug)]
pub struct LocalBudget {
    requests_per_second: u32,
    burst: u32,
    pace: Mutex<Pace>,
    /// Held while waiting, so that requests go out in the order in which they asked.
    turn: tokio::sync::Mutex<()>,
}

/// The generic cell rate algorithm: `full` is when the burst would be whole again.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    slack: Duration,
    full: Instant,
}

impl Pace {
    fn of(requests_per_second: u32, burst: u32, full: Instant) -> Self {
        // A second holds the burst and what the pace adds: `burst + (limit - burst + 1) - 1`.
        let burst = burst.min(requests_per_second.div_ceil(10));
        let interval = (Duration::from_secs(1) + JITTER) / (requests_per_second - burst + 1);
        Self { interval, slack: interval * (burst - 1), full }
    }

    /// Takes one request, or says when to ask again.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if self.full > now + self.slack {
            return Err(self.full - self.slack);
        }
        self.full = self.full.max(now) + self.interval;
        Ok(())
    }
}

impl LocalBudget {
    /// A budget of so many requests in any one second; 0 counts as 1.
    pub fn new(requests_per_second: u32) -> Self {
        Self::with_burst(requests_per_second, BURST)
    }

    /// A budget without a burst, for those who always have something to ask: room for a burst costs pace.
    pub fn even(requests_per_second: u32) -> Self {
        Self::with_burst(requests_per_second, 1)
    }

    fn with_burst(requests_per_second: u32, burst: u32) -> Self {
        let requests_per_second = requests_per_second.max(1);
        let pace = Mutex::new(Pace::of(requests_per_second, burst, Instant::now()));
        Self { requests_per_second, burst, pace, turn: tokio::sync::Mutex::new(()) }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // A pace is whole after every statement that changes it, so a panic elsewhere cannot break it.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RateBudget for LocalBudget {
    async fn acquire(&self, patience: Duration) -> Result<(), Duration> {
        let deadline = Instant::now() + patience.min(LONGEST_PATIENCE);
        let _turn = timeout_at(deadline, self.turn.lock()).await.map_err(|_| patience)?;
        loop {
            let now = Instant::now();
            let taken = self.pace().take(now);
            match taken {
                Ok(()) => return Ok(()),
                Err(later) if later > deadline => return Err(later - now),
                // A freeze may come in the meantime, so the pace is asked again.
                Err(later) => sleep_until(later).await,
            }
        }
    }

    fn freeze(&self, pause: Duration) {
        let mut pace = self.pace();
        // With the slack on top there is no burst after the thaw.
        let thaw = Instant::now() + pause.min(LONGEST_PAUSE) + pace.slack;
        pace.full = pace.full.max(thaw);
    }

    fn observe(&self, limit: Option<u32>, _remaining: Option<u32>) {
        let Some(limit) = limit else { return };
        let mut pace = self.pace();
        *pace = Pace::of(limit.clamp(1, self.requests_per_second), self.burst, pace.full);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// When `count` requests went out, in milliseconds after the start.
    async fn departures(budget: &LocalBudget, count: usize) -> Vec<u128> {
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..count {
            budget.acquire(LONG).await.unwrap();
            times.push(start.elapsed().as_millis());
        }
        times
    }

    proptest! {
        /// No limit, pause or patience of others overflows, and none stops the budget for longer than an hour.
        #[test]
        fn no_number_panics(limit: u32, said: Option<u32>, left: Option<u32>, pause: Duration, patience: Duration) {
            paused().block_on(async {
                let budget = LocalBudget::new(limit);
                budget.freeze(pause);
                budget.observe(said, left);
                budget.answered(pause);
                let _ = budget.acquire(patience).await;
                budget.acquire(LONG + LONG).await.unwrap();
            });
        }
    }

    fn paused() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_burst_then_an_even_pace_and_no_second_holds_more_than_the_limit() {
        for limit in [1, 2, 7, 10, 11, 50] {
            let times = departures(&LocalBudget::new(limit), 200).await;
            for window in times.windows(limit as usize + 1) {
                let span = window[limit as usize] - window[0];
                assert!(span >= 999, "{limit} per second: one more within {span} ms");
            }
            // Room for the burst costs the pace a tenth at most.
            let at_nine_tenths = 200 * 10_000 / (9 * u128::from(limit)) + 1000;
            let whole = times[199] - times[0];
            assert!(whole <= at_nine_tenths, "{limit} per second: slow, {whole} ms");
        }
        let times = departures(&LocalBudget::new(50), 7).await;
        assert!(times[2] <= 1 && times[3] >= 20, "a burst of three: {times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_freeze_holds_everybody_back_and_no_burst_follows() {
        let budget = LocalBudget::new(50);
        budget.freeze(Duration::from_secs(3));
        let times = departures(&budget, 3).await;
        assert!(times[0] >= 3000 && times[0] < 3010, "{times:?}");
        assert!(times[1] - times[0] >= 20, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_freeze_and_no_patience_is_beyond_reason() {
        let budget = LocalBudget::new(50);
        budget.freeze(Duration::MAX);
        budget.freeze(Duration::from_secs(u64::MAX));
        let rest = budget.acquire(Duration::from_secs(1)).await.unwrap_err();
        assert!(rest <= LONGEST_PAUSE + Duration::from_secs(1), "{rest:?}");
        budget.acquire(Duration::MAX).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_freeze_reaches_those_who_wait_already() {
        let budget = Arc::new(LocalBudget::new(1));
        budget.acquire(LONG).await.unwrap();
        let start = Instant::now();
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.acquire(LONG).await }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        budget.freeze(Duration::from_secs(10));
        waiting.await.unwrap().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(10_500), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendors_lower_limit_counts_and_a_higher_one_does_not() {
        let budget = LocalBudget::new(10);
        budget.observe(Some(1000), Some(999));
        assert!(departures(&budget, 30).await[29] >= 2000);
        budget.observe(Some(1), None);
        assert!(departures(&budget, 4).await[3] >= 3000);
        budget.observe(Some(0), Some(0));
        budget.observe(None, None);
        budget.acquire(LONG).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_is_told_at_once_how_long_it_would_be() {
        let budget = LocalBudget::new(50);
        budget.freeze(Duration::from_secs(600));
        let start = Instant::now();
        let rest = budget.acquire(Duration::from_secs(30)).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_millis(1), "{:?}", start.elapsed());
        assert!(rest >= Duration::from_secs(600) && rest < Duration::from_secs(601), "{rest:?}");
        tokio::time::advance(Duration::from_secs(599)).await;
        budget.acquire(Duration::from_secs(30)).await.unwrap();
    }
}
