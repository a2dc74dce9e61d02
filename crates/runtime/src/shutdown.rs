//! Shutdown in two steps: soft (finish what is in hand, take nothing new), then hard (stop now). After SIGTERM a process
//! may go on for a while before the first: it says that it is unready, and load balancers turn to others.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long the soft step may take.
const GRACE: Duration = Duration::from_secs(25);

/// Tells tasks to stop. Clones belong together.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    leaving: CancellationToken,
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// One that nothing has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGINT and SIGTERM ask for: the first softly, the second, or 25 s, hard. SIGTERM stops softly only after
    /// `lame_duck`, or a second signal.
    pub fn on_signals(lame_duck: Duration) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = Self::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            let is_terminated =
                tokio::select! { _ = interrupt.recv() => false, _ = terminate.recv() => true };
            told.leaving.cancel();
            if is_terminated && !lame_duck.is_zero() {
                tracing::info!(?lame_duck, "asked to stop: unready from now on, and still serving");
                tokio::select! {
                    _ = interrupt.recv() => {},
                    _ = terminate.recv() => {},
                    () = tokio::time::sleep(lame_duck) => {},
                }
            }
            tracing::info!("stopping: work in hand is finished, nothing new is taken");
            told.soft.cancel();
            tokio::select! {
                _ = interrupt.recv() => {},
                _ = terminate.recv() => {},
                () = tokio::time::sleep(GRACE) => {},
            }
            tracing::warn!("stopping now; what is unfinished resumes at its checkpoint");
            told.hard.cancel();
        });
        Ok(shutdown)
    }

    /// Asks everybody to stop softly.
    pub fn stop(&self) {
        self.leaving.cancel();
        self.soft.cancel();
    }

    /// Fires when a signal asked for the stop, at the latest when work should wind down.
    pub fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// Fires when work should wind down.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Fires when even unfinished work must stop.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Waits, and says whether to go on: false as soon as the shutdown was asked for.
    pub async fn pause(&self, duration: Duration) -> bool {
        self.soft.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
    }
}
