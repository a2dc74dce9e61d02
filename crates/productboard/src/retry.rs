//! When to ask again: jittered pauses, an end to one call's patience, and a budget that keeps a crowd of clients from
//! hammering a vendor that is down.

use std::fmt;
use std::time::Duration;

use tower::retry::budget::{Budget as _, TpsBudget};
use uuid::Uuid;

const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Over this long, retries are held against answers.
const WINDOW: Duration = Duration::from_secs(10);
/// Retries a second that are always allowed: a client that just started has no answers to show.
const ALWAYS: u32 = 2;
/// And this share of the answers.
const SHARE: f32 = 0.1;

/// What a client and its clones may still spend on asking again.
pub(crate) struct RetryBudget(TpsBudget);

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self(TpsBudget::new(WINDOW, ALWAYS, SHARE))
    }

    pub(crate) fn earn(&self) {
        self.0.deposit();
    }

    /// Takes one retry, if there is one left.
    pub(crate) fn spend(&self) -> bool {
        self.0.withdraw()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").finish_non_exhaustive()
    }
}

/// Half to all of a pause that doubles, so that clients that failed together do not come back together.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(10);
    let whole = (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF);
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let share = u32::try_from(random % 1000).unwrap_or_default();
    whole / 2 + whole * share / 2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_five_seconds() {
        for (attempt, whole_ms) in
            [(1, 200), (2, 400), (3, 800), (4, 1600), (5, 3200), (6, 5000), (900, 5000)]
        {
            let whole = Duration::from_millis(whole_ms);
            for _ in 0..50 {
                let pause = backoff(attempt);
                assert!(pause >= whole / 2 && pause <= whole, "{attempt}: {pause:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_the_answers_and_a_few_more() {
        let budget = RetryBudget::new();
        let spent = |most: u32| (0..most).take_while(|_| budget.spend()).count();
        assert_eq!(spent(100), 20, "two a second over ten seconds");
        for _ in 0..1000 {
            budget.earn();
        }
        assert_eq!(spent(1000), 100, "a tenth of the answers");
    }
}
