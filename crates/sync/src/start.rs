//! The transactions that begin a run, wake one up, or end one whoever has it: the run's row and its command or event, or
//! neither.

use chrono::{DateTime, Utc};
use tidemark_domain::{
    event::{Data, Event, SyncFailed},
    id::{ConnectionId, RunId},
    run::{self, Priority},
};
use tidemark_store::{Result, Run, Tx};

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
            tx.commit().await?;
            let priority = run.priority.min(priority);
            return Ok(Started { run: Run { priority, ..run }, coalesced: true });
        }
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

/// Does what an event about a connection asks for, once.
pub(crate) async fn on_event(cx: &Context, event: &Event) -> Result<()> {
    let connection = &event.connection_id;
    if !matches!(
        event.data,
        Data::Connected(_) | Data::Reconnected(_) | Data::ReconnectRequired(_) | Data::Disconnected(_)
    ) {
        return Ok(());
    }
    let open = cx.store.open_run(connection).await?;
    let tx = cx.store.begin().await?;
    if !tx.first_time(CONSUMER, event.id.as_str(), cx.now()).await? {
        return Ok(());
    }
    let queued = match (&event.data, open) {
        (Data::Connected(_) | Data::Reconnected(_), None) => {
            if let Some(every) = cx.settings.sync_every {
                tx.set_next_sync(connection, cx.now() + scheduler::spread(cx, every)).await?;
            }
            insert(cx, &tx, connection, Priority::Person).await?
        }
        // A run that waits for a reconnect goes on.
        (Data::Reconnected(_), Some(run)) if run.state == run::State::ReconnectRequired => {
            resume(cx, &tx, run).await?
        }
        // It works, or is about to, and takes the new credential with its next token.
        (Data::Connected(_) | Data::Reconnected(_), Some(_)) => None,
        (Data::ReconnectRequired(data), Some(run)) if run.state != run::State::ReconnectRequired => {
            suspend(cx, &tx, run, data.reason.sentence()).await?;
            None
        }
        (Data::Disconnected(_), Some(run)) => {
            let reason = "The workspace was disconnected.";
            end(cx, &tx, &run, run::State::Failed, reason).await?;
            None
        }
        _ => None,
    };
    tx.commit().await?;
    if let Some(run) = queued {
        announce(&run);
    }
    Ok(())
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
    cx.send_off(tx, &run).await?;
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
    cx.send_off(tx, &run).await?;
    Ok(Some(run))
}

/// The run waits for a new credential; a worker that has it stops within a second or two. Should the event be an old
/// one, the first look for a credential finds that there is one.
async fn suspend(cx: &Context, tx: &Tx, run: Run, sentence: &str) -> Result<()> {
    let from = run.state;
    let run = Run {
        state: run::State::ReconnectRequired,
        reason: Some(sentence.to_owned()),
        attempts: 0,
        wake_at: Some(cx.now() + FIRST_RECONNECT_LOOK),
        updated_at: cx.now(),
        ..run
    };
    if tx.update_run(&run, from).await? {
        tracing::warn!(run = %run.id, connection = %run.connection_id, "sync waits until the workspace is reconnected");
    }
    Ok(())
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
