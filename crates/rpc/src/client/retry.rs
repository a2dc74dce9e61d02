//! Which calls are repeated, when, and how many: a service in trouble must not be called more because of it.

use std::{fmt, time::Duration};

use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tower::{
    retry::budget::{Budget as _, TpsBudget},
    util::rng::{HasherRng, Rng as _},
};

use super::DEADLINE;
use crate::{call::Call, status};

const ATTEMPTS: i32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Of all calls of the last seconds, this part may be repeated; and one per second, so that few calls can be at all.
const PART: f32 = 0.1;
const SECONDS: Duration = Duration::from_secs(10);
const PER_SECOND: u32 = 1;

/// What may be repeated is counted over all calls of a caller.
pub(super) struct Retries(TpsBudget);

impl Default for Retries {
    fn default() -> Self {
        Self(TpsBudget::new(SECONDS, PER_SECOND, PART))
    }
}

impl Retries {
    pub(super) async fn run<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = Call::present().map_or_else(|| Instant::now() + DEADLINE, |call| call.deadline);
        self.0.deposit();
        let mut attempt = 1;
        loop {
            let status = match call().await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let pause = pause(&status, attempt);
            let repeatable =
                matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Aborted);
            let in_time = Instant::now() + pause < deadline;
            if !repeatable || !in_time || attempt == ATTEMPTS || !self.0.withdraw() {
                return Err(status);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }
}

/// As long as the service says; and longer with each attempt, never all callers at once.
fn pause(status: &Status, attempt: i32) -> Duration {
    let jitter = 0.5 + HasherRng::default().next_f64();
    let own = FIRST_PAUSE.mul_f64(3_f64.powi(attempt - 1) * jitter);
    status::retry_after(status).map_or(own, |asked| own.max(asked.mul_f64(0.5 + jitter)))
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::status::Refusal;

    async fn attempts(retries: &Retries, status: Status) -> u32 {
        let made = AtomicU32::new(0);
        let call = || {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<(), _>(status.clone()))
        };
        retries.run(call).await.unwrap_err();
        made.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_is_repeated() {
        let retries = Retries::default();
        assert_eq!(attempts(&retries, Status::unavailable("")).await, 4);
        assert_eq!(attempts(&retries, Status::aborted("")).await, 4);
        for once in [Status::internal(""), Status::not_found(""), Status::deadline_exceeded("")] {
            assert_eq!(attempts(&retries, once).await, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_thousand_failing_calls_a_tenth_is_repeated() {
        let retries = Retries::default();
        let mut made = 0;
        for _ in 0..1000 {
            let call = || std::future::ready(Err::<(), _>(Status::unavailable("")));
            // All at the same instant: no time passes that would refill the reserve.
            let outcome = tokio::time::timeout(Duration::ZERO, retries.run(call)).await;
            made += u32::from(outcome.is_err());
        }
        assert!((90..=120).contains(&made), "{made} pauses before a repetition were begun");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_repeated_past_the_deadline() {
        let retries = Retries::default();
        let refusal = Refusal::Unavailable { what: "it".into(), retry_after: Duration::from_secs(60) };
        assert_eq!(attempts(&retries, refusal.into()).await, 1);
        let started = Instant::now();
        let refusal =
            Refusal::Exhausted { sentence: "too many calls".to_owned(), retry_after: Duration::from_secs(2) };
        assert_eq!(attempts(&retries, refusal.into()).await, 4);
        assert!(started.elapsed() >= Duration::from_secs(6), "as long as the service said");
    }
}
