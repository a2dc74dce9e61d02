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

/// The right to settle one delivery, for as long as the session that delivered it. An acknowledgement that was not taken
/// ends the session, and what it holds comes again.
pub(crate) struct Ticket {
    acker: Option<Acker>,
    session: CancellationToken,
}

impl Ticket {
    pub(crate) fn new(acker: Acker, session: CancellationToken) -> Self {
        Self { acker: Some(acker), session }
    }
}

#[async_trait]
impl Settle for Ticket {
    async fn settle(mut self: Box<Self>, verdict: Verdict) -> Result<(), AckLost> {
        match self.acker.take() {
            Some(acker) => tell(acker, verdict, self.session.clone()).await,
            None => Err(AckLost),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(acker) = self.acker.take().filter(Acker::usable) else { return };
        if self.session.is_cancelled() {
            return;
        }
        // Without a runtime, everything is going down and the connection with it.
        if let Ok(runtime) = Handle::try_current() {
            let session = self.session.clone();
            runtime.spawn(async move {
                // Lost or not, it comes again.
                let _ = tell(acker, Verdict::Requeue, session).await;
            });
        }
    }
}

async fn tell(acker: Acker, verdict: Verdict, session: CancellationToken) -> Result<(), AckLost> {
    let acknowledgement = async {
        match verdict {
            // This one only: others of the channel are still at work.
            Verdict::Ack => acker.ack(BasicAckOptions { multiple: false }).await,
            // Not back into the queue, so the broker dead-letters it.
            Verdict::DeadLetter => acker.reject(BasicRejectOptions { requeue: false }).await,
            // Back into the queue, as a failure: a reject counts towards the delivery limit on every version.
            Verdict::Requeue => acker.reject(BasicRejectOptions { requeue: true }).await,
            // This one only, and back into the queue: since RabbitMQ 4.3 a nack does not count.
            Verdict::Release => acker.nack(BasicNackOptions { multiple: false, requeue: true }).await,
        }
    };
    let told = tokio::select! {
        biased;
        told = timeout(PATIENCE, acknowledgement) => told.ok(),
        // On a connection that breaks at this moment lapin may never answer.
        () = session.cancelled() => None,
    };
    // `Ok(false)` is a failure that looks like a success: the channel was gone.
    if matches!(told, Some(Ok(true))) {
        return Ok(());
    }
    tidemark_runtime::metrics::bus::ack_lost();
    tracing::warn!(?verdict, outcome = ?told, "acknowledgement lost, the message comes again");
    session.cancel();
    Err(AckLost)
}
