//! How long one answer takes: drawn from the seed and the number of the request, so that a run can be repeated.

use std::time::Duration;

use super::Faults;

impl Faults {
    /// `latency`, plus up to `latency_jitter`; for one request in a hundred `latency_p99` instead.
    pub(crate) fn latency_of(&self, number: u64) -> Duration {
        if self.latency_jitter.is_zero() && self.latency_p99.is_zero() {
            return self.latency;
        }
        let draw = splitmix(self.latency_seed.wrapping_add(number));
        if !self.latency_p99.is_zero() && draw.is_multiple_of(100) {
            return self.latency_p99;
        }
        let jitter_us = u64::try_from(self.latency_jitter.as_micros()).unwrap_or(u64::MAX);
        self.latency + Duration::from_micros((draw >> 8) % jitter_us.saturating_add(1))
    }
}

/// The finalizer of SplitMix64: neighbours become strangers.
fn splitmix(seed: u64) -> u64 {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_straggles_and_the_rest_jitters() {
        let ms = Duration::from_millis;
        let faults =
            Faults { latency: ms(20), latency_jitter: ms(10), latency_p99: ms(900), ..Faults::default() };
        let drawn: Vec<_> = (1..=10_000).map(|number| faults.latency_of(number)).collect();
        let stragglers = drawn.iter().filter(|latency| **latency == ms(900)).count();
        assert!((70..130).contains(&stragglers), "{stragglers}");
        assert!(drawn.iter().all(|latency| *latency == ms(900) || (ms(20)..=ms(30)).contains(latency)));
        assert!(
            drawn.iter().any(|latency| *latency < ms(22)) && drawn.iter().any(|latency| *latency > ms(28))
        );
        assert_eq!(faults.latency_of(7), faults.latency_of(7));
        let other = Faults { latency_seed: 1, ..faults.clone() };
        assert!((1..10).any(|number| other.latency_of(number + 40) != faults.latency_of(number)));
    }
}
