//! The one way into the database for all streams of a run: one transaction at a time, guarded by the fence, with the
//! stream's progress and the run's.
//!
//! Who waits for the writer holds nothing else; who has it asks nobody outside of the database. So a slow vendor never
//! keeps a lock, and SQLite's one connection is enough.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};
use tidemark_domain::{quality, run, stream::Stream};
use tidemark_runtime::metrics::sync as metrics;
use tidemark_store::{Fence, Run, StreamProgress, Tx};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::{Ended, Engine};
use crate::{context::Context, decision::Failure};

#[derive(Debug)]
pub(super) struct Writer {
    cx: Arc<Context>,
    fence: Fence,
    written: Mutex<Written>,
    /// Whether this delivery has come any further.
    has_progress: AtomicBool,
}

/// How the run and its streams stand in the database.
#[derive(Debug)]
struct Written {
    run: Run,
    streams: BTreeMap<Stream, StreamProgress>,
}

impl Written {
    /// The streams that are not settled and wait for no other one.
    fn open(&self) -> impl Iterator<Item = &StreamProgress> {
        let awaits_activity = |progress: &StreamProgress| {
            has_roster_read(progress) && !self.is_settled(Stream::MemberActivities)
        };
        let open = self.streams.values().filter(|progress| !progress.state.is_settled());
        open.filter(move |progress| !awaits_activity(progress))
    }

    fn is_settled(&self, stream: Stream) -> bool {
        self.streams.get(&stream).is_none_or(|progress| progress.state.is_settled())
    }
}

/// Whether that is a list of members which was read and is not judged.
fn has_roster_read(progress: &StreamProgress) -> bool {
    progress.stream == Stream::Members && progress.done > 0 && !progress.state.is_settled()
}

/// A transaction that only the present holder of the workspace gets. Dropped without [`Engine::commit`], it never
/// happened.
#[derive(Debug)]
pub(super) struct Write<'a> {
    // First, so that the transaction is gone before the next writer's turn.
    tx: Tx,
    written: MutexGuard<'a, Written>,
}

impl Deref for Write<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl Engine {
    /// Opens a transaction, when it is this stream's turn.
    pub(super) async fn begin(&self) -> Result<Write<'_>, Failure> {
        self.writer.begin(&self.halt, self.shutdown.hard()).await
    }

    /// Commits with the stream's progress, which is also the run's: failures before it do not count any more.
    pub(super) async fn commit(&self, write: Write<'_>, progress: &StreamProgress) -> Result<(), Failure> {
        let progress = StreamProgress { attempts: 0, retry_at: None, ..self.metered(&write, progress) };
        let run = Run { attempts: 0, reason: None, ..write.written.run.clone() };
        self.writer.put(write, Some(progress), run, run::State::Running).await?;
        self.writer.has_progress.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes down that a stream has to be tried again. That is no progress.
    pub(super) async fn postpone(&self, progress: &StreamProgress) -> Result<(), Failure> {
        let write = self.begin().await?;
        self.commit_standstill(write, progress).await
    }

    /// Says in the stream's progress that it has had an empty page and goes on, or that it has had another one since.
    pub(super) async fn say_if_empty(
        &self,
        progress: &mut StreamProgress,
        is_empty: bool,
    ) -> Result<(), Failure> {
        let was_empty = progress.detail.is_some();
        progress.detail = is_empty.then(|| quality::empty_pages(progress.stream));
        if !is_empty || was_empty {
            return Ok(());
        }
        // Rows that are read and not written are not in it.
        let committed = self.writer.committed(progress.stream).await;
        self.postpone(&StreamProgress { detail: progress.detail.clone(), ..committed }).await
    }

    /// Commits what brings the stream no further.
    pub(super) async fn commit_standstill(
        &self,
        write: Write<'_>,
        progress: &StreamProgress,
    ) -> Result<(), Failure> {
        let progress = self.metered(&write, progress);
        let run = write.written.run.clone();
        self.writer.put(write, Some(progress), run, run::State::Running).await
    }

    /// With what was sent since the stream's last write.
    fn metered(&self, write: &Write<'_>, progress: &StreamProgress) -> StreamProgress {
        let before = &write.written.streams[&progress.stream];
        let (requests, waited_ms) = self.meters.take(progress.stream);
        StreamProgress {
            requests: before.requests + requests,
            waited_ms: before.waited_ms + waited_ms,
            ..progress.clone()
        }
    }
}

impl Writer {
    pub(super) fn new(cx: Arc<Context>, run: Run, streams: Vec<StreamProgress>, fence: Fence) -> Self {
        let streams = streams.into_iter().map(|progress| (progress.stream, progress)).collect();
        let written = Mutex::new(Written { run, streams });
        Self { cx, fence, written, has_progress: AtomicBool::new(false) }
    }

    pub(super) fn has_progress(&self) -> bool {
        self.has_progress.load(Ordering::Relaxed)
    }

    /// The streams that have something to do now.
    pub(super) async fn due(&self, now: DateTime<Utc>) -> Vec<StreamProgress> {
        let written = self.written.lock().await;
        let open = written.open();
        open.filter(|progress| progress.retry_at.is_none_or(|at| at <= now)).cloned().collect()
    }

    /// The roster that waited for the activity of the run, once that is settled.
    pub(super) async fn judgeable_roster(&self) -> Option<StreamProgress> {
        let written = self.written.lock().await;
        let read = |progress: &&StreamProgress| has_roster_read(progress) && progress.retry_at.is_none();
        written.open().find(read).cloned()
    }

    /// Whether the run has nothing more to do for a stream.
    pub(super) async fn is_settled(&self, stream: Stream) -> bool {
        self.written.lock().await.is_settled(stream)
    }

    /// The first stream that is not settled, where the run waits for a reconnect.
    pub(super) async fn waiting_for_reconnect(&self) -> Option<Stream> {
        let written = self.written.lock().await;
        let is_waiting = written.run.state == run::State::ReconnectRequired;
        let open = written.streams.values().find(|progress| !progress.state.is_settled());
        open.filter(|_| is_waiting).map(|progress| progress.stream)
    }

    /// When the run began its work.
    pub(super) async fn begun_at(&self) -> DateTime<Utc> {
        self.written.lock().await.run.started_at.unwrap_or_else(|| self.cx.now())
    }

    /// How the stream stands in the database.
    pub(super) async fn committed(&self, stream: Stream) -> StreamProgress {
        self.written.lock().await.streams[&stream].clone()
    }

    /// Whether some stream of the run is all in: then it is not the vendor as a whole that is in trouble.
    pub(super) async fn has_complete_stream(&self) -> bool {
        use tidemark_domain::stream::State;
        let written = self.written.lock().await;
        written.streams.values().any(|progress| progress.state == State::Complete)
    }

    /// How a delivery ended in which nothing stopped the whole run.
    pub(super) async fn ended(&self, now: DateTime<Utc>) -> Ended {
        let written = self.written.lock().await;
        let open: Vec<_> = written.open().collect();
        if open.is_empty() {
            return Ended::Settled;
        }
        let waiting = open.iter().map(|progress| progress.retry_at.filter(|at| *at > now));
        let Some(until) = waiting.collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().min())
        else {
            return Ended::Paused;
        };
        let first = open.iter().find(|progress| progress.retry_at == Some(until));
        let reason = first.and_then(|progress| progress.detail.clone()).unwrap_or_default();
        Ended::Waiting { until, reason }
    }

    /// The run is at work from now on.
    pub(super) async fn enter(&self, halt: &CancellationToken) -> Result<(), Failure> {
        let write = self.begin(halt, halt).await?;
        let from = write.written.run.state;
        if from == run::State::Running {
            return Ok(());
        }
        let now = self.cx.now();
        let is_first = write.written.run.started_at.is_none();
        let run = Run {
            state: run::State::Running,
            reason: None,
            // Looks for a credential are no failed attempts.
            attempts: if from == run::State::ReconnectRequired { 0 } else { write.written.run.attempts },
            started_at: write.written.run.started_at.or(Some(now)),
            ..write.written.run.clone()
        };
        let (id, connection) = (run.id.clone(), run.connection_id.clone());
        self.put(write, None, run, from).await?;
        if is_first {
            tracing::info!(run = %id, %connection, "sync started");
        } else {
            tracing::info!(run = %id, %connection, "sync goes on with the new credential");
        }
        Ok(())
    }

    async fn begin(&self, halt: &CancellationToken, stop: &CancellationToken) -> Result<Write<'_>, Failure> {
        let written = self.written.lock().await;
        if halt.is_cancelled() || stop.is_cancelled() {
            return Err(Failure::Interrupted);
        }
        let tx = self.cx.store.begin().await?;
        tx.guard(&self.fence, self.cx.now(), self.cx.settings.lease_ttl).await?;
        Ok(Write { tx, written })
    }

    async fn put(
        &self,
        write: Write<'_>,
        progress: Option<StreamProgress>,
        run: Run,
        from: run::State,
    ) -> Result<(), Failure> {
        let Write { tx, mut written } = write;
        let run = Run { wake_at: Some(self.cx.rescue_at()), updated_at: self.cx.now(), ..run };
        if let Some(progress) = &progress {
            tx.put_stream(&run.id, progress).await?;
        }
        if !tx.update_run(&run, from).await? {
            return Err(Failure::Overtaken);
        }
        tx.commit().await?;
        written.run = run;
        if let Some(progress) = progress {
            let before = &written.streams[&progress.stream];
            let (rows, requests) = (progress.rows - before.rows, progress.requests - before.requests);
            metrics::committed(progress.stream.as_str(), rows, requests);
            written.streams.insert(progress.stream, progress);
        }
        Ok(())
    }
}
