//! How much is let in: a token bucket per caller, a tighter one per caller and organization for secrets, and a number
//! of calls at once for the whole process. What is over is refused at once, with the time when it is worth trying again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidemark_domain::id::OrganizationId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::status::Refusal;

/// Buckets that are full again say nothing; with this many, they are cleared away.
const MOST_BUCKETS: usize = 10_000;
/// Whoever comes while all places are taken.
const FULL: Duration = Duration::from_millis(100);

/// A pace that a caller may keep, and how far it may run ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second in the long run; 0 for no limit.
    pub per_second: u32,
    /// Calls at once after a pause.
    pub burst: u32,
}

/// The limits of a process.
#[derive(Debug)]
pub struct Limits {
    calls: Buckets,
    releases: Buckets,
    places: Arc<Semaphore>,
}

impl Limits {
    /// Limits of that many calls at once, `calls` per caller, and `releases` of secrets per caller and organization.
    pub fn new(at_once: u32, calls: Rate, releases: Rate) -> Self {
        Self {
            calls: Buckets::new(calls),
            releases: Buckets::new(releases),
            places: Arc::new(Semaphore::new(at_once as usize)),
        }
    }

    /// A place for one call, given back when dropped.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| exhausted("calls at once to this process", FULL))
    }

    pub(crate) fn call(&self, actor: &str) -> Result<(), Refusal> {
        let taken = self.calls.take(actor, Instant::now());
        taken.map_err(|retry_after| exhausted("calls of this caller", retry_after))
    }

    pub(crate) fn release(&self, actor: &str, organization: &OrganizationId) -> Result<(), Refusal> {
        let taken = self.releases.take(&format!("{actor} {organization}"), Instant::now());
        let what = "secrets of one organization released to this caller";
        taken.map_err(|retry_after| exhausted(what, retry_after))
    }
}

fn exhausted(what: &str, retry_after: Duration) -> Refusal {
    Refusal::Exhausted { sentence: format!("too many {what}; slow down, and try again"), retry_after }
}

#[derive(Debug)]
struct Buckets {
    rate: Rate,
    levels: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Buckets {
    fn new(rate: Rate) -> Self {
        Self { rate, levels: Mutex::default() }
    }

    /// Takes one; otherwise tells when there is one again.
    fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        if self.rate.per_second == 0 {
            return Ok(());
        }
        let (pace, burst) = (f64::from(self.rate.per_second), f64::from(self.rate.burst.max(1)));
        let refilled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.level + passed * pace).min(burst)
        };
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST_BUCKETS && !levels.contains_key(key) {
            levels.retain(|_, bucket| refilled(bucket) < burst);
        }
        let level = levels.get(key).map_or(burst, refilled);
        let (level, outcome) = if level >= 1.0 {
            (level - 1.0, Ok(()))
        } else {
            (level, Err(Duration::from_secs_f64((1.0 - level) / pace)))
        };
        let bucket = Bucket { level, at: now };
        match levels.get_mut(key) {
            Some(known) => *known = bucket,
            None => drop(levels.insert(key.to_owned(), bucket)),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_pass_and_then_the_pace() {
        let buckets = Buckets::new(Rate { per_second: 10, burst: 3 });
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", at(0)), Ok(()));
        }
        let wait = buckets.take("a", at(0)).unwrap_err();
        assert!(wait > Duration::from_millis(99) && wait <= Duration::from_millis(101), "{wait:?}");
        assert_eq!(buckets.take("b", at(0)), Ok(()), "others have a bucket of their own");
        assert_eq!(buckets.take("a", at(101)), Ok(()));
        assert!(buckets.take("a", at(101)).is_err());
        let after_a_pause = (0..10).filter(|_| buckets.take("a", at(10_000)).is_ok()).count();
        assert_eq!(after_a_pause, 3, "never more than the burst");
    }

    #[test]
    fn buckets_stay_bounded_and_nothing_is_forgotten_that_matters() {
        let buckets = Buckets::new(Rate { per_second: 1, burst: 2 });
        let start = Instant::now();
        for number in 0..MOST_BUCKETS {
            buckets.take(&number.to_string(), start).unwrap();
        }
        let later = start + Duration::from_secs(5);
        buckets.take("0", later).unwrap();
        buckets.take("0", later).unwrap();
        buckets.take("new", later).unwrap();
        assert_eq!(buckets.levels.lock().unwrap().len(), 2);
        assert!(buckets.take("0", later).is_err(), "its bucket is empty, not forgotten");
    }

    #[test]
    fn a_place_is_free_again_when_its_call_has_ended() {
        let rate = Rate { per_second: 0, burst: 0 };
        let limits = Limits::new(1, rate, rate);
        let place = limits.place().unwrap();
        assert!(matches!(limits.place(), Err(Refusal::Exhausted { .. })));
        drop(place);
        drop(limits.place().unwrap());
    }
}
