//! Shutdown in two steps: soft (finish what is in hand, take nothing new), then hard (stop now).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long the soft step may take.
const GRACE: Duration = Duration::from_secs(25);

/// Tells tasks to stop. Clones belong together.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// One that nothing has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGINT and SIGTERM ask for: the first softly, the second, or 25 s, hard.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = Self::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
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
        self.soft.cancel();
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
