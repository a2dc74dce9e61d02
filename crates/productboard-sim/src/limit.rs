//! The rate limit of one token: at most `limit` requests in any sliding second. Refused requests do not count.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// What the `X-RateLimit-…` headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
}

/// The admitted requests of the last second.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<Instant>);

impl Recent {
    /// Admits one request, or says how many whole seconds to wait. `limit` must not be 0.
    pub(crate) fn admit(&mut self, limit: u32, now: Instant) -> (Quota, Result<(), u64>) {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let used = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if used >= limit {
            return (Quota { limit, remaining: 0 }, Err(WINDOW.as_secs()));
        }
        self.0.push_back(now);
        (Quota { limit, remaining: limit - used - 1 }, Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_the_limit_and_slides() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut recent = Recent::default();
        assert_eq!(recent.admit(2, at(0)), (Quota { limit: 2, remaining: 1 }, Ok(())));
        assert_eq!(recent.admit(2, at(600)), (Quota { limit: 2, remaining: 0 }, Ok(())));
        assert_eq!(recent.admit(2, at(999)).1, Err(1));
        assert_eq!(recent.admit(2, at(1000)).1, Ok(()), "the first request left the window");
        assert_eq!(recent.admit(2, at(1001)).1, Err(1), "the one at 600 ms did not");
        assert_eq!(recent.admit(2, at(1600)).1, Ok(()));
    }
}
