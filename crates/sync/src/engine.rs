//! The streams of a run, in order. Every write is a transaction that begins with the fence and ends with the progress,
//! so that a run resumes exactly behind the last write.
//!
//! Only fetching is interrupted; a transaction that has begun runs to its end, since a cut one harms the pool.

mod activities;
mod members;
mod teams;

use std::{sync::Arc, time::Instant};

use futures::TryStreamExt;
use tidemark_domain::{run, stream, stream::Stream};
use tidemark_productboard::{Client, Options, Pages};
use tidemark_runtime::Shutdown;
use tidemark_store::{Fence, Run, StreamProgress, Tx};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    credentials,
    decision::{Decision, Failure, decide},
};

/// How many fetches of one workspace are under way at a time.
const FETCHES_AT_ONCE: usize = 4;

/// How a delivery ended that met no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every stream of the run is settled.
    Settled,
    /// The time is used up, or the process stops: the rest is for the next delivery.
    Paused,
}

/// How far a stream came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Settled,
    Paused,
}

/// The work of one delivery.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) cx: Arc<Context>,
    pub(crate) run: Run,
    fence: Fence,
    lost: CancellationToken,
    shutdown: Shutdown,
    started: Instant,
    /// Whether this delivery has come any further: each one does, however short its time.
    has_progress: bool,
    /// Which credential was called with last.
    pub(crate) generation: i64,
}

impl Engine {
    pub(crate) fn new(
        cx: Arc<Context>,
        run: Run,
        fence: Fence,
        lost: CancellationToken,
        shutdown: Shutdown,
    ) -> Self {
        Self { cx, run, fence, lost, shutdown, started: Instant::now(), has_progress: false, generation: 0 }
    }

    /// Works through the streams that are not settled.
    pub(crate) async fn work(&mut self) -> Result<Ended, Failure> {
        self.enter().await?;
        for mut progress in self.cx.store.streams(&self.run.id).await? {
            if progress.state.is_settled() {
                continue;
            }
            if self.should_pause() {
                return Ok(Ended::Paused);
            }
            match self.stream(&mut progress).await {
                Ok(Step::Settled) => {}
                Ok(Step::Paused) => return Ok(Ended::Paused),
                Err(failure) => self.settle_failed(progress, failure).await?,
            }
        }
        Ok(Ended::Settled)
    }

    async fn stream(&mut self, progress: &mut StreamProgress) -> Result<Step, Failure> {
        let client = self.client(progress.stream).await?;
        match progress.stream {
            Stream::Members => members::sync(self, &client, progress).await,
            Stream::Teams => teams::sync(self, &client, progress).await,
            Stream::MemberActivities => activities::sync(self, &client, progress).await,
        }
    }

    /// A client with the credential that can read the stream.
    async fn client(&mut self, stream: Stream) -> Result<Client, Failure> {
        let access = credentials::access(&self.cx, &self.run.connection_id, stream.needs());
        let access = self.fetch(access).await??;
        self.generation = access.generation;
        let budget = self.cx.budgets.of(&self.run.connection_id);
        let options = Options { budget, auth_scheme: access.scheme, ..Options::default() };
        Ok(Client::new(&access.base_url, access.token, options.trust(&access.base_url))?)
    }

    /// The run is at work from now on.
    async fn enter(&mut self) -> Result<(), Failure> {
        if self.run.state == run::State::Running {
            return Ok(());
        }
        let from = self.run.state;
        let now = self.cx.now();
        let run = Run {
            state: run::State::Running,
            reason: None,
            started_at: self.run.started_at.or(Some(now)),
            ..self.run.clone()
        };
        let tx = self.begin().await?;
        self.put_run(tx, run, from).await?;
        let (run, connection) = (&self.run.id, &self.run.connection_id);
        match from {
            run::State::Queued if self.run.started_at == Some(now) => {
                tracing::info!(%run, %connection, "sync started");
            }
            _ => tracing::info!(%run, %connection, "sync goes on with the new credential"),
        }
        Ok(())
    }

    /// A stream that cannot be read or used is settled as such, the others go on; anything else ends the delivery.
    async fn settle_failed(&mut self, progress: StreamProgress, failure: Failure) -> Result<(), Failure> {
        if failure.is_forbidden() {
            self.report_forbidden(progress.stream).await?;
        }
        let (state, detail) = match decide(&failure, self.run.attempts + 1) {
            Decision::StreamUnavailable(detail) => (stream::State::Unavailable, detail),
            Decision::StreamSuspect(detail) => (stream::State::Suspect, detail),
            _ => return Err(failure),
        };
        self.settle(progress, state, Some(detail)).await
    }

    /// Tells the credential service what its credential may not read. Should it not hear, it finds out by itself.
    async fn report_forbidden(&self, stream: Stream) -> Result<(), Failure> {
        let (run, connection) = (&self.run.id, &self.run.connection_id);
        let report = credentials::report_forbidden(&self.cx, connection, self.generation, stream.needs());
        if let Err(error) = self.fetch(report).await? {
            let (stream, error) = (stream.as_str(), &error as &dyn std::error::Error);
            tracing::warn!(%run, %connection, stream, error, "a lost capability was not reported");
        }
        Ok(())
    }

    /// Settles a stream without data.
    async fn settle(
        &mut self,
        progress: StreamProgress,
        state: stream::State,
        detail: Option<String>,
    ) -> Result<(), Failure> {
        if let Some(detail) = &detail {
            let (run, connection) = (&self.run.id, &self.run.connection_id);
            let (stream, state) = (progress.stream.as_str(), state.as_str());
            tracing::warn!(%run, %connection, stream, state, detail, "stream not synced");
        }
        let tx = self.begin().await?;
        self.commit(tx, &StreamProgress { state, detail, ..progress }).await
    }

    /// Opens a transaction that only the present holder of the workspace gets.
    async fn begin(&self) -> Result<Tx, Failure> {
        if self.lost.is_cancelled() || self.shutdown.hard().is_cancelled() {
            return Err(Failure::Interrupted);
        }
        let tx = self.cx.store.begin().await?;
        tx.guard(&self.fence, self.cx.now(), self.cx.settings.lease_ttl).await?;
        Ok(tx)
    }

    /// Commits with the stream's progress, which is also the run's: failures before it do not count any more.
    async fn commit(&mut self, tx: Tx, progress: &StreamProgress) -> Result<(), Failure> {
        tx.put_stream(&self.run.id, progress).await?;
        let run = Run { attempts: 0, reason: None, ..self.run.clone() };
        self.put_run(tx, run, run::State::Running).await?;
        self.has_progress = true;
        Ok(())
    }

    async fn put_run(&mut self, tx: Tx, run: Run, from: run::State) -> Result<(), Failure> {
        let run = Run { wake_at: Some(self.cx.rescue_at()), updated_at: self.cx.now(), ..run };
        if !tx.update_run(&run, from).await? {
            return Err(Failure::Overtaken);
        }
        tx.commit().await?;
        self.run = run;
        Ok(())
    }

    /// Whether to leave the rest to the next delivery.
    fn should_pause(&self) -> bool {
        let is_time = self.started.elapsed() >= self.cx.settings.delivery_budget;
        self.has_progress && (is_time || self.shutdown.soft().is_cancelled())
    }

    /// Waits for something from outside, unless the workspace is lost or the process must stop.
    pub(crate) async fn fetch<T>(&self, outside: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.lost.cancelled() => Err(Failure::Interrupted),
            () = self.shutdown.hard().cancelled() => Err(Failure::Interrupted),
            answer = outside => Ok(answer),
        }
    }
}

/// A whole list.
struct Listing<T> {
    rows: Vec<T>,
    pages: u64,
}

/// All pages of a list, or none of them.
async fn collect<T>(mut pages: Pages<T>) -> Result<Listing<T>, tidemark_productboard::Error> {
    let mut listing = Listing { rows: Vec::new(), pages: 0 };
    while let Some(page) = pages.try_next().await? {
        listing.rows.extend(page.items);
        listing.pages += 1;
    }
    Ok(listing)
}
