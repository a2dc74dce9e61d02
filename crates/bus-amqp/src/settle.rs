//! Telling the broker what became of a delivery, and finding out when it was not told.

use std::time::Duration;

use async_trait::async_trait;
use lapin::{
    Acker,
    options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions},
};
use tidemark_ports::{AckLost, Settle, Verdict};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

/// An acknowledgement on a connection that the broker blocks would hang for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The right to settle one delivery.
pub(crate) struct Ticket {
    acker: Option<Acker>,
    /// Ends the consumer's session: what it holds comes again.
    broken: CancellationToken,
}

impl Ticket {
    pub(crate) fn new(acker: Acker, broken: CancellationToken) -> Self {
        Self { acker: Some(acker), broken }
    }
}

#[async_trait]
impl Settle for Ticket {
    async fn settle(mut self: Box<Self>, verdict: Verdict) -> Result<(), AckLost> {
        match self.acker.take() {
            Some(acker) => tell(acker, verdict, self.broken.clone()).await,
            None => Err(AckLost),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(acker) = self.acker.take().filter(Acker::usable) else { return };
        // Without a runtime, everything is going down and the connection with it.
        if let Ok(runtime) = Handle::try_current() {
            let broken = self.broken.clone();
            runtime.spawn(async move {
                // Lost or not, it comes again.
                let _ = tell(acker, Verdict::Requeue, broken).await;
            });
        }
    }
}

async fn tell(acker: Acker, verdict: Verdict, broken: CancellationToken) -> Result<(), AckLost> {
    let told = timeout(PATIENCE, async {
        match verdict {
            // This one only: others of the channel are still at work.
            Verdict::Ack => acker.ack(BasicAckOptions { multiple: false }).await,
            // Not back into the queue, so the broker dead-letters it.
            Verdict::DeadLetter => acker.reject(BasicRejectOptions { requeue: false }).await,
            // This one only, and back into the queue.
            Verdict::Requeue => acker.nack(BasicNackOptions { multiple: false, requeue: true }).await,
        }
    })
    .await;
    // `Ok(false)` is a failure that looks like a success: the channel was gone.
    if matches!(told, Ok(Ok(true))) {
        return Ok(());
    }
    tracing::warn!(?verdict, outcome = ?told, "acknowledgement lost, the message comes again");
    broken.cancel();
    Err(AckLost)
}
