//! What becomes of a stream that failed: tried again at its own time, or settled without the rest, while the others go
//! on. What concerns the whole run is given back.

use tidemark_domain::stream::{self, Stream};
use tidemark_store::StreamProgress;

use super::Engine;
use crate::{
    credentials,
    decision::{Decision, Failure, backoff, decide_stream},
};

impl Engine {
    pub(super) async fn stumble(&self, stream: Stream, failure: Failure) -> Result<(), Failure> {
        if failure.is_forbidden() {
            self.report_forbidden(stream).await?;
        }
        let progress = self.writer.committed(stream).await;
        let attempt = progress.attempts.saturating_add(1);
        let decision = decide_stream(&failure, attempt, self.writer.has_complete_stream().await);
        let pause = match decision {
            Decision::StreamUnavailable(detail) => {
                return self.settle(progress, stream::State::Unavailable, Some(detail)).await;
            }
            Decision::StreamSuspect(detail) => {
                return self.settle(progress, stream::State::Suspect, Some(detail)).await;
            }
            Decision::StreamFailed(detail) => {
                return self.settle(progress, stream::State::Failed, Some(detail)).await;
            }
            Decision::Retry => backoff(attempt) / 2 + self.cx.jitter(backoff(attempt) / 2),
            Decision::RetryAfter(pause) => pause.saturating_add(self.cx.jitter(backoff(1))),
            _ => return Err(failure),
        };
        tracing::warn!(
            run = %self.run,
            connection = %self.connection,
            stream = stream.as_str(),
            attempt,
            pause_ms = pause.as_millis(),
            error = &failure as &dyn std::error::Error,
            "a stream failed, it will be tried again"
        );
        let detail = Some(failure.reason_to_wait(pause));
        let retry_at = Some(self.cx.after(pause));
        self.postpone(&StreamProgress { attempts: attempt, retry_at, detail, ..progress }).await
    }

    /// Tells the credential service what its credential may not read. Should it not hear, it finds out by itself.
    async fn report_forbidden(&self, stream: Stream) -> Result<(), Failure> {
        let (run, connection) = (&self.run, &self.connection);
        let generation = self.meters.generation(stream);
        let report = credentials::report_forbidden(&self.cx, connection, generation, stream.needs());
        if let Err(error) = self.fetch(report).await? {
            let (stream, error) = (stream.as_str(), &error as &dyn std::error::Error);
            tracing::warn!(%run, %connection, stream, error, "a lost capability was not reported");
        }
        Ok(())
    }
}
