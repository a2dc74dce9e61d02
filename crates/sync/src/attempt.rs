//! One delivery of a run: take the workspace, get a token, let the engine work, and write down how it ended.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use tidemark_domain::{command::SyncRun, id::RunId, run::Priority};
use tidemark_runtime::{Shutdown, metrics::sync as metrics, trace};
use tidemark_store::{self as store, Result, Run};
use tracing::{Instrument as _, Span};

use crate::{
    closing,
    context::Context,
    decision::Failure,
    engine::{Ended, Engine},
    hold::Hold,
    regions::Region,
};

/// A run that has waited for its turn this long goes before everybody else.
const AGED: Duration = Duration::from_secs(300);

/// What came of a look for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// There was one, which has had its time.
    Worked,
    /// Nobody waits.
    Nothing,
    /// Nobody waits elsewhere than in regions that hang and have all the slots that they may have.
    Spared,
    /// The database did not say.
    Unknown,
}

/// Takes the run whose turn it is, which need not be the one that a message is about, and works on it. The order is the
/// database's.
///
/// Nothing is left to the broker: the run's `wake_at` brings it back whatever happens here, and a worker with a free slot
/// looks for ready runs without any message.
pub(crate) async fn deliver(cx: &Arc<Context>, least: Priority, shutdown: &Shutdown) -> Delivered {
    let now = cx.now();
    let mut spares = false;
    let (run, at_work) = loop {
        let claim = async |full: Vec<String>| {
            spares = !full.is_empty();
            cx.store.claim_ready(now, now - AGED, cx.rescue_at(), least, &full).await
        };
        match cx.regions.claim(claim).await {
            Ok(Some(claimed)) => break claimed,
            Ok(None) if spares => return Delivered::Spared,
            Ok(None) => return Delivered::Nothing,
            // It was taken out of the line: the next one is another.
            Err(store::Error::Corrupt { .. }) => {}
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::error!(error, "no run can be taken, the next look is soon");
                return Delivered::Unknown;
            }
        }
    };
    let span = tracing::debug_span!("sync", run = %run.id, connection = %run.connection_id);
    follow(cx, &run, &span).await;
    if let Err(error) = attempt(cx, &run, at_work.region(), shutdown).instrument(span).await {
        let error = &error as &dyn Error;
        tracing::error!(run = %run.id, error, "a delivery failed at the database, the sweeper will bring it back");
    }
    Delivered::Worked
}

/// The run that was taken need not be the one of the message: its own command knows its trace.
async fn follow(cx: &Context, run: &Run, span: &Span) {
    if !trace::is_on() {
        return;
    }
    match cx.store.trace_of(&run.connection_id, SyncRun::NAME).await {
        Ok(Some(traceparent)) => trace::follow(span, &traceparent),
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "the trace of a run was not found"),
    }
}

async fn attempt(cx: &Arc<Context>, run: &Run, region: Region, shutdown: &Shutdown) -> Result<()> {
    let Some(mut hold) = Hold::take(cx, &run.connection_id).await? else {
        return postpone(cx, &run.id).await;
    };
    let taken = Instant::now();
    let worked = work(cx, &run.id, region, &hold, shutdown).await;
    if hold.lost().is_cancelled() {
        metrics::lease_lost();
    }
    // The lease goes before the last write: who receives the continuation must find it free. The fence still guards.
    hold.release_lease().await;
    let closed = match worked {
        Ok(ended) => closing::close(cx, run, &hold.fence, ended, taken.elapsed()).await,
        Err(error) => Err(error),
    };
    let released = hold.release(cx).await;
    closed.and(released)
}

/// Another worker has the workspace. Should it fall over, the run is looked for again.
async fn postpone(cx: &Context, run_id: &RunId) -> Result<()> {
    let half = cx.settings.lease_ttl / 2;
    let tx = cx.store.begin().await?;
    let reason = "Another worker has this workspace; the sync continues when it is done.";
    tx.postpone_run(run_id, Some(reason), cx.after(half + cx.jitter(half)), cx.now()).await?;
    tx.commit().await?;
    tracing::debug!(run = %run_id, "another worker has this workspace");
    Ok(())
}

/// Lets the engine work in a task of its own, so that its panic is a failure like any other.
async fn work(
    cx: &Arc<Context>,
    run_id: &RunId,
    region: Region,
    hold: &Hold,
    shutdown: &Shutdown,
) -> Result<std::result::Result<Ended, Failure>> {
    // Read again under the lease: until now it was another worker's to change.
    let Some(run) = cx.store.run(run_id).await?.filter(|run| !run.state.is_final()) else {
        return Ok(Err(Failure::Overtaken));
    };
    let (cx, fence, lost, shutdown) = (Arc::clone(cx), hold.fence.clone(), hold.lost(), shutdown.clone());
    let task = tokio::spawn(
        async move {
            let engine = Engine::new(cx, (run, region), fence, &lost, shutdown).await?;
            Arc::new(engine).work().await
        }
        .in_current_span(),
    );
    Ok(task.await.unwrap_or_else(|error| {
        tracing::error!(run = %run_id, %error, "the sync engine panicked");
        Err(Failure::Panicked)
    }))
}
