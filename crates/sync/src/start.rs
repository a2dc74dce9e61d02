//! The transactions that begin a run or wake one up: the run's row and its command, or neither.

use tidemark_domain::{
    event::{Data, Event},
    id::{ConnectionId, RunId},
    run,
};
use tidemark_store::{Result, Run, Tx};

use crate::context::Context;

/// Names this consumer in the inbox.
const CONSUMER: &str = "sync.connections";

/// What became of a request for a sync.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) run: Run,
    /// Whether the run was open already.
    pub(crate) coalesced: bool,
}

/// Begins a run, or finds the one that is open.
pub(crate) async fn start(cx: &Context, connection: &ConnectionId) -> Result<Started> {
    // The open run may end between the two looks: then there is room for a new one.
    loop {
        let tx = cx.store.begin().await?;
        if let Some(run) = insert(cx, &tx, connection).await? {
            tx.commit().await?;
            announce(&run);
            return Ok(Started { run, coalesced: false });
        }
        drop(tx);
        if let Some(run) = cx.store.open_run(connection).await? {
            return Ok(Started { run, coalesced: true });
        }
    }
}

/// Does what an event about a connection asks for, once.
pub(crate) async fn on_event(cx: &Context, event: &Event) -> Result<()> {
    let connection = &event.connection_id;
    let waiting = match event.data {
        Data::Connected(_) => None,
        // A run that waits for a reconnect wakes up: to go on, or to hear that there will be none.
        Data::Reconnected(_) | Data::Disconnected(_) => match cx.store.open_run(connection).await? {
            Some(run) => Some(run),
            None if matches!(event.data, Data::Disconnected(_)) => return Ok(()),
            None => None,
        },
        _ => return Ok(()),
    };
    let tx = cx.store.begin().await?;
    if !tx.first_time(CONSUMER, event.id.as_str(), cx.now()).await? {
        return Ok(());
    }
    let run = match waiting {
        None => insert(cx, &tx, connection).await?,
        Some(run) if run.state == run::State::ReconnectRequired => resume(cx, &tx, run).await?,
        // It works, or is about to, and takes the new credential with its next token.
        Some(_) => None,
    };
    tx.commit().await?;
    if let Some(run) = run {
        announce(&run);
    }
    Ok(())
}

/// A new run with its command; nothing where one is open.
async fn insert(cx: &Context, tx: &Tx, connection: &ConnectionId) -> Result<Option<Run>> {
    let now = cx.now();
    let id = RunId::generate(&*cx.clock, &*cx.entropy);
    let run = Run::queued(id, connection.clone(), run::Priority::Person, now, cx.rescue_at());
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

fn announce(run: &Run) {
    tracing::info!(run = %run.id, connection = %run.connection_id, "sync queued");
}
