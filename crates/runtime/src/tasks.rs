//! Tasks that run as long as the process does. One that ends or panics before the shutdown is started again, and reported
//! for a while. Work that comes round again goes on after a round that failed, and work on many items past the one that
//! failed or panicked, which then stops only itself.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    panic::AssertUnwindSafe,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::time::Instant;

use crate::{Shutdown, metrics};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A task that has run this long is well again.
const SETTLED: Duration = Duration::from_secs(120);

/// When each task ended last that should not have.
static ENDED: LazyLock<Mutex<BTreeMap<&'static str, Instant>>> = LazyLock::new(Mutex::default);

/// Runs the task until the shutdown, and starts it again where it ends or panics before.
pub async fn supervise<F: Future<Output = ()>>(
    name: &'static str,
    shutdown: &Shutdown,
    task: impl Fn() -> F,
) {
    let mut pause = FIRST_PAUSE;
    metrics::tasks::supervised(name);
    loop {
        let began = Instant::now();
        let has_panicked = caught(async { task().await }).await.is_none();
        if shutdown.soft().is_cancelled() {
            return;
        }
        ENDED.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Instant::now());
        metrics::tasks::restarted(name);
        tracing::error!(task = name, has_panicked, "a task of this process ended; it is started again");
        if began.elapsed() >= SETTLED {
            pause = FIRST_PAUSE;
        }
        if !shutdown.pause(pause).await {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Works round after round until the shutdown. A round says how long to wait before the next one; after one that failed or
/// panicked the pause doubles, from a second up to a minute.
pub async fn rounds<F, E>(task: &'static str, shutdown: &Shutdown, round: impl Fn() -> F)
where
    F: Future<Output = Result<Duration, E>>,
    E: Error + 'static,
{
    let mut failed = FIRST_PAUSE;
    loop {
        let pause = match attempted(task, Box::pin(round())).await {
            Some(pause) => {
                failed = FIRST_PAUSE;
                pause
            }
            None => {
                let next = (failed * 2).min(LONGEST_PAUSE);
                std::mem::replace(&mut failed, next)
            }
        };
        if !shutdown.pause(pause).await {
            return;
        }
    }
}

/// What a round of a task gives; nothing where it failed or panicked, which is counted and logged.
pub async fn attempted<T, E: Error + 'static>(
    task: &'static str,
    round: impl Future<Output = Result<T, E>>,
) -> Option<T> {
    match caught(round).await {
        Some(Ok(done)) => return Some(done),
        Some(Err(error)) => setback(task, &error),
        None => {
            metrics::tasks::failed(task);
            tracing::error!(task, "a round of work in the background panicked; it is tried again");
        }
    }
    None
}

/// Counts and logs what went wrong in the background.
pub fn setback(task: &'static str, error: &(dyn Error + 'static)) {
    metrics::tasks::failed(task);
    tracing::warn!(task, error, "a round of work in the background failed; it is tried again");
}

/// Does something for one of many; what went wrong, which keeps no other from its turn, is counted and logged. Nothing where
/// it failed or panicked.
pub async fn item<T, E: Error + 'static>(
    task: &'static str,
    id: &impl fmt::Display,
    work: impl Future<Output = Result<T, E>>,
) -> Option<T> {
    match caught(work).await {
        Some(Ok(done)) => return Some(done),
        Some(Err(error)) => {
            let error = &error as &(dyn Error + 'static);
            tracing::warn!(task, %id, error, "failed for one of many; it is tried again later");
        }
        None => tracing::error!(task, %id, "panicked for one of many; it is tried again later"),
    }
    metrics::tasks::failed(task);
    None
}

/// What the work gives; nothing where it panics. The panic hook has printed why.
pub async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// The tasks that ended within the last two minutes although the process goes on: for its health.
pub fn troubled() -> Vec<&'static str> {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended.iter().filter(|(_, at)| at.elapsed() < SETTLED).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_ends_is_started_again_and_reported() {
        let (shutdown, began) = (Shutdown::new(), AtomicU32::new(0));
        supervise("tested", &shutdown, || async {
            match began.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("a test"),
                1 => {}
                _ => {
                    assert!(troubled().contains(&"tested"));
                    shutdown.stop();
                }
            }
        })
        .await;
        assert_eq!(began.load(Ordering::Relaxed), 3);
        tokio::time::advance(SETTLED).await;
        assert!(!troubled().contains(&"tested"), "it has been well for a while");
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_panics_or_fails_is_followed_by_the_next() {
        let (shutdown, done) = (Shutdown::new(), AtomicU32::new(0));
        let began = Instant::now();
        rounds("tested", &shutdown, || async {
            match done.fetch_add(1, Ordering::Relaxed) {
                0 | 2 => panic!("a test"),
                1 | 4 => Err(fmt::Error),
                3 => Ok(Duration::from_secs(5)),
                _ => {
                    shutdown.stop();
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
    async fn an_item_that_fails_or_panics_stops_only_itself() {
        assert_eq!(item("tested", &1, async { Err::<(), _>(fmt::Error) }).await, None);
        assert_eq!(item::<(), fmt::Error>("tested", &2, async { panic!("a test") }).await, None);
        assert_eq!(item("tested", &3, async { Ok::<_, fmt::Error>(7) }).await, Some(7));
    }

    #[tokio::test]
    async fn a_panic_is_caught_and_a_result_is_given() {
        assert_eq!(caught(async { 7 }).await, Some(7));
        assert_eq!(caught(async { panic!("a test") }).await, None::<()>);
    }
}
