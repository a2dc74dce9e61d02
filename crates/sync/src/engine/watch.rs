//! Looks up, while the streams work, whether somebody else has ended or stopped the run, and whether others wait.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tidemark_domain::run;
use tokio_util::task::AbortOnDropHandle;

use super::Engine;
use crate::regions::SILENCE;

const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl Engine {
    /// Looks until it is dropped.
    pub(super) fn watch(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let engine = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut kept = Instant::now();
            while engine.halt.run_until_cancelled(tokio::time::sleep(BETWEEN_LOOKS)).await.is_some() {
                engine.look().await;
                if kept.elapsed() >= engine.cx.settings.lease_ttl / 2 {
                    kept = Instant::now();
                    engine.keep().await;
                }
            }
        }))
    }

    /// Long fetches write nothing: the sweeper must not take the worker for dead.
    async fn keep(&self) {
        if let Err(error) = self.cx.store.keep_run(&self.run, self.cx.rescue_at()).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(run = %self.run, error, "the sweeper may look after this run");
        }
    }

    async fn look(&self) {
        // Should the database be away, the streams will notice.
        let Ok(Some(look)) = self.cx.store.look(&self.run).await else { return };
        self.is_crowded.store(look.others_wait, Ordering::Relaxed);
        let silence = self.meters.silence();
        let allowed = if self.region.has_too_many() { SILENCE } else { self.allowed_silence };
        if look.others_wait && silence >= allowed {
            self.silent_ms.store(u64::try_from(silence.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            // What is under way is given up, and the slot with it.
            self.patience.cancel();
        }
        if look.state != run::State::Running {
            let (run, state) = (&self.run, look.state.as_str());
            tracing::info!(%run, state, "the run was stopped by somebody else");
            self.halt.cancel();
        }
    }
}
