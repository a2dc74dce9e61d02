//! Time and randomness as parameters. The real ones live in `runtime`, the steerable ones in `testkit`.

use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, Utc};

/// Tells the time. Code that needs "now" takes one of these, so that a test can move it.
pub trait Clock: Debug + Send + Sync {
    /// The current instant.
    fn now(&self) -> DateTime<Utc>;

    /// The current UTC date.
    fn today(&self) -> NaiveDate {
        self.now().date_naive()
    }
}

/// A source of random bytes, seedable in tests.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}
