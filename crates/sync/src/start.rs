//! The transactions that begin a run, wake one up, or end one whoever has it: the run's row and its command or event, or
//! neither.

use chrono::{DateTime, Utc};
use tidemark_domain::{
    event::{Data, Event, SyncFailed},
    id::{ConnectionId, RunId},
    run::{self, Priority},
};
use tidemark_store::{Result, Run, Schedule, Tx};

use crate::{
    closing::{FIRST_RECONNECT_LOOK, tell_end},
    context::Context,
    scheduler,
};

/// Names this consumer in the inbox.
const CONSUMER: &str = "sync.connections";

/// What became of a request for a sync.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) run: Run,
    /// Whether the run was open already.
    pub(crate) coalesced: bool,
}

/// Begins a run, or finds the one that is open, which then comes as soon as this one would.
pub(crate) async fn start(cx: &Context, connection: &ConnectionId, priority: Priority) -> Result<Started> {
    if priority == Priority::Person {
        thaw(cx, connection).await;
    }
    // The open run may end between the two looks: then there is room for a new one.
    loop {
        let tx = cx.store.begin().await?;
        if let Some(run) = insert(cx, &tx, connection, priority).await? {
            tx.commit().await?;
            announce(&run);
            return Ok(Started { run, coalesced: false });
        }
        drop(tx);
        if let Some(run) = cx.store.open_run(connection).await? {
            let tx = cx.store.begin().await?;
            tx.raise_run(&run.id, priority).await?;
            // Nor does a person wait for its next attempt. A worker that has the run looks at its end whether that was said.
            if priority == Priority::Person {
                tx.retry_streams(&run.id).await?;
                if tx.hurry_run(&run.id, cx.now()).await? {
                    cx.send_off(&tx, &run.id, &run.connection_id).await?;
                }
            }
            tx.commit().await?;
            let priority = run.priority.min(priority);
            return Ok(Started { run: Run { priority, ..run }, coalesced: true });
        }
    }
}

/// Whoever asks, or reconnects, does not wait for what the vendor said before. Should it not be heard, the freeze ends
/// within an hour.
async fn thaw(cx: &Context, connection: &ConnectionId) {
    if let Err(error) = cx.budgets.thaw(connection).await {
        tracing::warn!(%connection, %error, "a pause of this workspace was not ended where all workers look");
    }
}

/// Begins a run whose time has come, unless one is open, and sets the next time.
pub(crate) async fn scheduled(cx: &Context, connection: &ConnectionId, next_at: DateTime<Utc>) -> Result<()> {
    let tx = cx.store.begin().await?;
    tx.set_next_sync(connection, next_at).await?;
    let run = insert(cx, &tx, connection, Priority::Schedule).await?;
    tx.commit().await?;
    if let Some(run) = run {
        announce(&run);
    }
    Ok(())
}

/// What an event about a connection led to.
enum Led {
    Nowhere,
    /// To a run that goes on, or begins.
    To(Run),
    /// Somebody else moved the run on between the look and the write.
    Overtaken,
}

impl Led {
    fn of(is_written: bool) -> Self {
        if is_written { Self::Nowhere } else { Self::Overtaken }
    }
}

/// Does what an event about a connection asks for, once.
pub(crate) async fn on_event(cx: &Context, event: &Event) -> Result<()> {
    if !matches!(
        event.data,
        Data::Connected(_) | Data::Reconnected(_) | Data::ReconnectRequired(_) | Data::Disconnected(_)
    ) {
        return Ok(());
    }
    if matches!(event.data, Data::Connected(_) | Data::Reconnected(_)) {
        thaw(cx, &event.connection_id).await;
    }
    loop {
        let open = cx.store.open_run(&event.connection_id).await?;
        let schedule = cx.store.schedule(&event.connection_id).await?;
        let tx = cx.store.begin().await?;
        if !tx.first_time(CONSUMER, event.id.as_str(), cx.now()).await? {
            return Ok(());
        }
        let led = follow(cx, &tx, event, open, schedule).await?;
        if matches!(led, Led::Overtaken) {
            continue;
        }
        tx.commit().await?;
        if let Led::To(run) = led {
            announce(&run);
        }
        return Ok(());
    }
}

async fn follow(cx: &Context, tx: &Tx, event: &Event, open: Option<Run>, schedule: Schedule) -> Result<Led> {
    let connection = &event.connection_id;
    match (&event.data, open) {
        (Data::Connected(_) | Data::Reconnected(_), None) => {
            if let Some(every) = scheduler::cadence(cx, schedule) {
                tx.set_next_sync(connection, cx.after(scheduler::spread(cx, every))).await?;
            }
            let begun = insert(cx, tx, connection, Priority::Person).await?;
            Ok(begun.map_or(Led::Overtaken, Led::To))
        }
        // What could not be read with the old credential is read with the new one.
        (Data::Reconnected(_), Some(run)) => {
            tx.retry_streams(&run.id).await?;
            if run.state == run::State::ReconnectRequired {
                return Ok(resume(cx, tx, run).await?.map_or(Led::Overtaken, Led::To));
            }
            if tx.hurry_run(&run.id, cx.now()).await? {
                cx.send_off(tx, &run.id, &run.connection_id).await?;
            }
            Ok(Led::Nowhere)
        }
        (Data::ReconnectRequired(data), Some(run)) if run.state != run::State::ReconnectRequired => {
            suspend(cx, tx, run, data.reason.sentence()).await.map(Led::of)
        }
        (Data::Disconnected(_), Some(run)) => {
            let reason = "The workspace was disconnected.";
            end(cx, tx, &run, run::State::Failed, reason).await.map(Led::of)
        }
        _ => Ok(Led::Nowhere),
    }
}

/// Ends a run at a person's wish; gives how it stands then.
pub(crate) async fn cancel(cx: &Context, id: &RunId) -> Result<Option<Run>> {
    // A worker may move it on between look and write.
    loop {
        let Some(run) = cx.store.run(id).await? else { return Ok(None) };
        if run.state.is_final() {
            return Ok(Some(run));
        }
        let tx = cx.store.begin().await?;
        if end(cx, &tx, &run, run::State::Cancelled, "Somebody cancelled the sync.").await? {
            tx.commit().await?;
            tracing::info!(run = %run.id, connection = %run.connection_id, "sync cancelled");
        }
    }
}

/// A new run with its command; nothing where one is open.
async fn insert(cx: &Context, tx: &Tx, connection: &ConnectionId, priority: Priority) -> Result<Option<Run>> {
    let id = RunId::generate(&*cx.clock, &*cx.entropy);
    let run = Run::queued(id, connection.clone(), priority, cx.now(), cx.rescue_at());
    if !tx.insert_run(&run).await? {
        return Ok(None);
    }
    cx.send_off(tx, &run.id, &run.connection_id).await?;
    Ok(Some(run))
}

/// The run goes on with its command; nothing where somebody else has moved it on already.
async fn resume(cx: &Context, tx: &Tx, run: Run) -> Result<Option<Run>> {
    let run = Run {
        state: run::State::Queued,
        reason: None,
        attempts: 0,
        wake_at: Some(cx.rescue_at()),
        updated_at: cx.now(),
        ..run
    };
    if !tx.update_run(&run, run::State::ReconnectRequired).await? {
        return Ok(None);
    }
    cx.send_off(tx, &run.id, &run.connection_id).await?;
    Ok(Some(run))
}

/// The run waits for a new credential; `false` where somebody else has moved it on. A worker that has it stops within a second or two. Should the event be an old
/// one, the first look for a credential finds that there is one.
async fn suspend(cx: &Context, tx: &Tx, run: Run, sentence: &str) -> Result<bool> {
    let from = run.state;
    let run = Run {
        state: run::State::ReconnectRequired,
        reason: Some(sentence.to_owned()),
        attempts: 0,
        wake_at: Some(cx.after(FIRST_RECONNECT_LOOK)),
        updated_at: cx.now(),
        ..run
    };
    let is_written = tx.update_run(&run, from).await?;
    if is_written {
        tracing::warn!(run = %run.id, connection = %run.connection_id, "sync waits until the workspace is reconnected");
    }
    Ok(is_written)
}

/// Ends a run, whoever has it; `false` where somebody else was faster. Its worker finds out with its next write, or by
/// looking.
async fn end(cx: &Context, tx: &Tx, run: &Run, state: run::State, reason: &str) -> Result<bool> {
    let now = cx.now();
    let ended = Run {
        state,
        reason: Some(reason.to_owned()),
        wake_at: None,
        finished_at: Some(now),
        updated_at: now,
        ..run.clone()
    };
    if !tx.update_run(&ended, run.state).await? {
        return Ok(false);
    }
    let data = Data::SyncFailed(SyncFailed { run_id: run.id.clone(), reason: reason.to_owned() });
    tx.emit(&Event::new(&*cx.clock, &*cx.entropy, run.connection_id.clone(), data)).await?;
    tell_end(&ended, now);
    Ok(true)
}

fn announce(run: &Run) {
    tracing::info!(run = %run.id, connection = %run.connection_id, "sync queued");
}
