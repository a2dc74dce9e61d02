//! How long the vendor takes for an answer, and so how many requests have to be under way to use up the rate limit:
//! requests per second times seconds per request (Little's law), and some more, since both vary.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A slow vendor must not become a pile of open requests.
const MOST: usize = 32;
/// As long as nothing was measured.
const AT_FIRST: usize = 4;
const SLACK: f64 = 1.4;
/// What one answer counts against those before.
const WEIGHT: u64 = 8;

/// A moving average, in microseconds; 0 is none.
#[derive(Debug, Default)]
pub(super) struct Latency(AtomicU64);

impl Latency {
    pub(super) fn saw(&self, latency: Duration) {
        let new = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).clamp(1, 60_000_000);
        let blend = |old| Some(if old == 0 { new } else { (old * (WEIGHT - 1) + new) / WEIGHT });
        // The closure never says no.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, blend);
    }

    pub(super) fn fetches_at_once(&self, requests_per_second: u32) -> usize {
        let micros = self.0.load(Ordering::Relaxed);
        if micros == 0 {
            return AT_FIRST;
        }
        let under_way = f64::from(requests_per_second) * Duration::from_micros(micros).as_secs_f64() * SLACK;
        // Bounded on both sides, so the cast is exact enough.
        (under_way.ceil().min(MOST as f64) as usize + 1).clamp(2, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_fill_the_limit_and_a_few_more() {
        let at_once = |per_second, ms| {
            let latency = Latency::default();
            latency.saw(Duration::from_millis(ms));
            latency.fetches_at_once(per_second)
        };
        assert_eq!(Latency::default().fetches_at_once(50), 4);
        let sizes = [(50, 1), (50, 50), (50, 100), (50, 400), (50, 30_000), (1, 100)];
        assert_eq!(sizes.map(|(per_second, ms)| at_once(per_second, ms)), [2, 5, 8, 29, 32, 2]);
    }

    #[test]
    fn one_slow_answer_changes_little_and_many_do() {
        let latency = Latency::default();
        (0..50).for_each(|_| latency.saw(Duration::from_millis(100)));
        latency.saw(Duration::from_millis(500));
        assert!(latency.fetches_at_once(50) <= 12, "{latency:?}");
        (0..50).for_each(|_| latency.saw(Duration::from_millis(300)));
        assert!(latency.fetches_at_once(50) >= 20, "{latency:?}");
    }
}
