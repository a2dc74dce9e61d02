//! The real clock and the operating system's randomness: the only places that read them.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use tidemark_domain::{Clock, Entropy};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the one clock that the others stand for")]
        SystemTime::now().into()
    }
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "this is the one source that the others stand for")]
        getrandom::fill(buffer).expect("a system without randomness cannot run this service");
    }
}
