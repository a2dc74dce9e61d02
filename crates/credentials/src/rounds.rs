//! Work in the background, round after round until the shutdown, and item after item: what fails or panics is counted and
//! told, and keeps nothing else from being done.

use std::{error::Error as StdError, fmt, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use tidemark_runtime::{
    Shutdown,
    metrics::{credentials as metrics, record},
};
use tidemark_store as store;

use crate::refusal::Fault;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs until the shutdown. A round says how long to wait before the next one.
pub(crate) async fn rounds<F>(work: &'static str, shutdown: &Shutdown, round: impl Fn() -> F)
where
    F: Future<Output = store::Result<Duration>>,
{
    let mut failed = FIRST_PAUSE;
    loop {
        let pause = match caught(work, round()).await {
            Some(Ok(pause)) => {
                failed = FIRST_PAUSE;
                pause
            }
            outcome => {
                if let Some(Err(error)) = outcome {
                    setback(work, &error);
                }
                let pause = failed;
                failed = (failed * 2).min(LONGEST_PAUSE);
                pause
            }
        };
        if !shutdown.pause(pause).await {
            return;
        }
    }
}

/// Does something for one item. What goes wrong is that item's: it comes again when its claim has run out.
pub(crate) async fn item(
    work: &'static str,
    id: &impl fmt::Display,
    attempt: impl Future<Output = Result<(), Fault>>,
) {
    match caught(work, attempt).await {
        Some(Ok(())) => {}
        Some(Err(Fault::Store(store::Error::Corrupt { what }))) => {
            // Another version's, as far as anybody here can tell.
            record::unreadable(work);
            tracing::warn!(work, %id, what, "a row holds what this version does not know; it is left alone");
        }
        Some(Err(fault)) => {
            metrics::setback(work);
            let _status = fault.into_status(work);
            tracing::warn!(work, %id, "failed for one of many; it comes again when its claim has run out");
        }
        None => {
            tracing::error!(work, %id, "crashed for one of many; it comes again when its claim has run out");
        }
    }
}

/// What it gives; nothing where it panics.
pub(crate) async fn caught<T>(work: &'static str, attempt: impl Future<Output = T>) -> Option<T> {
    let outcome = AssertUnwindSafe(attempt).catch_unwind().await;
    if outcome.is_err() {
        metrics::setback(work);
        tracing::error!(work, "crashed in the background; the next round begins all the same");
    }
    outcome.ok()
}

/// A round failed.
pub(crate) fn setback(work: &'static str, error: &store::Error) {
    metrics::setback(work);
    let error: &(dyn StdError + 'static) = error;
    tracing::warn!(work, error, "a round of work in the background failed, trying again");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_that_panics_or_fails_is_followed_by_the_next() {
        let (shutdown, done) = (Shutdown::new(), AtomicU32::new(0));
        let stop = shutdown.clone();
        let began = tokio::time::Instant::now();
        rounds("feed", &shutdown, || async {
            match done.fetch_add(1, Ordering::Relaxed) {
                0 | 2 => panic!("a test"),
                1 => Err(store::Error::FenceLost),
                3 => Ok(Duration::from_secs(5)),
                4 => Err(store::Error::FenceLost),
                _ => {
                    stop.stop();
                    Ok(Duration::ZERO)
                }
            }
        })
        .await;
        assert_eq!(done.load(Ordering::Relaxed), 6);
        // One, two and four seconds, the pause that was asked for, and one again.
        assert_eq!(began.elapsed().as_secs(), 1 + 2 + 4 + 5 + 1);
    }

    #[tokio::test]
    async fn an_item_that_panics_stops_only_itself() {
        item("probes", &"one", async { panic!("a test") }).await;
        item("probes", &"another", async { Err(Fault::Overtaken) }).await;
        let mut done = false;
        item("probes", &"a third", async {
            done = true;
            Ok(())
        })
        .await;
        assert!(done);
    }
}
