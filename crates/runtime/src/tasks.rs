//! Tasks that run as long as the process does. One that ends or panics before the shutdown is started again, and reported
//! for a while. Work on many items catches the panic of one, which then stops only itself.

use std::{
    collections::BTreeMap,
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

    #[tokio::test]
    async fn a_panic_is_caught_and_a_result_is_given() {
        assert_eq!(caught(async { 7 }).await, Some(7));
        assert_eq!(caught(async { panic!("a test") }).await, None::<()>);
    }
}
