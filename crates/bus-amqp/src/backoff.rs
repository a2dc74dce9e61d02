//! Waiting before the next attempt, longer each time and never in step with other processes.

use std::{hash::BuildHasher, hash::RandomState, time::Duration};

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    random: RandomState,
    attempts: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { ceiling: SHORTEST * 2, random: RandomState::new(), attempts: 0 }
    }

    /// Something worked: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.ceiling = SHORTEST * 2;
    }

    /// Between the shortest wait and a ceiling that doubles.
    pub(crate) fn next_wait(&mut self) -> Duration {
        self.attempts += 1;
        // A hash under random keys is random enough to keep processes apart.
        let share = self.random.hash_one(self.attempts) % 1_000;
        let span = self.ceiling.saturating_sub(SHORTEST);
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        SHORTEST + span.mul_f64(share as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, LONGEST, SHORTEST};

    #[test]
    fn waits_grow_within_their_bounds_and_start_again() {
        let mut backoff = Backoff::new();
        assert!(backoff.next_wait() <= SHORTEST * 2);
        for _ in 0..100 {
            let wait = backoff.next_wait();
            assert!((SHORTEST..=LONGEST).contains(&wait), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= SHORTEST * 2);
    }
}
