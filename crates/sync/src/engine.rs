//! The streams of a run, all at work at the same time. What they share is read-only or behind the [`writer`]: every write
//! is a transaction that begins with the fence and ends with the stream's progress, so that a run resumes exactly behind
//! the last write.
//!
//! A stream that fails waits for its own next attempt and holds up nobody. What concerns the whole run (the workspace
//! was lost, the database is away, the connection needs a person) stops them all.
//!
//! Only fetching is interrupted; a transaction that has begun runs to its end, since a cut one harms the pool.

mod activities;
mod assumptions;
mod configurations;
mod judge;
mod members;
mod meter;
mod pages;
mod quarantine;
mod resources;
mod staged;
mod stumble;
mod teams;
mod watch;
mod writer;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tidemark_domain::{
    id::{ConnectionId, RunId},
    stream,
    stream::Stream,
};
use tidemark_productboard::{Client, Error, Options};
use tidemark_runtime::Shutdown;
use tidemark_store::{Fence, Mark, Run, StreamProgress};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument as _;

use self::{judge::Judge, meter::Meters, pages::collect, writer::Writer};
use crate::{
    context::Context,
    credentials::{self, Access},
    decision::{Decision, Failure, decide},
    regions::{Region, SILENCE},
};

/// How many tokens one delivery tries: they are superseded one at a time, by people.
const MOST_TOKENS: u32 = 3;

/// Where others wait, a delivery makes room after this part of its time.
const CROWDED_SHARE: u32 = 6;

/// So long a stop waits for what is under way at the vendor: time is left to write down how far the run came.
const PATIENCE: Duration = Duration::from_secs(10);

/// A vendor that answers nothing gives its slot to others after a while; one that is merely slow gets more time each time.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

fn allowed_silence(attempts: u32) -> Duration {
    SILENCE.saturating_mul(attempts.saturating_add(1)).min(LONGEST_SILENCE)
}

/// How a delivery ended that met no failure of the whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every stream of the run is settled.
    Settled,
    /// The time is used up, or the process stops: the rest is for the next delivery.
    Paused,
    /// What is left was tried and waits for its next attempt.
    Waiting { until: DateTime<Utc>, reason: String },
}

/// How far a stream came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Settled,
    Paused,
}

/// The work of one delivery, shared by its streams.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) cx: Arc<Context>,
    pub(crate) run: RunId,
    pub(crate) connection: ConnectionId,
    writer: Writer,
    meters: Meters,
    region: Region,
    judge: Judge,
    /// Fires when the workspace may be lost.
    lost: CancellationToken,
    /// Fires when nothing more is to be fetched: the workspace may be lost, or the run cannot go on.
    halt: CancellationToken,
    /// Fires some time after the soft stop: nothing from outside is waited for any more.
    patience: CancellationToken,
    shutdown: Shutdown,
    started: Instant,
    /// How long the vendor may answer nothing at all while others wait for a worker.
    allowed_silence: Duration,
    /// How long it did, where this delivery is given up for it; 0 before.
    silent_ms: AtomicU64,
    /// Whether others wait for a worker.
    is_crowded: AtomicBool,
}

impl Engine {
    pub(crate) async fn new(
        cx: Arc<Context>,
        (run, region): (Run, Region),
        fence: Fence,
        lost: &CancellationToken,
        shutdown: Shutdown,
    ) -> Result<Self, Failure> {
        let streams = cx.store.streams(&run.id).await?;
        Ok(Self {
            allowed_silence: allowed_silence(run.attempts),
            silent_ms: AtomicU64::new(0),
            run: run.id.clone(),
            connection: run.connection_id.clone(),
            meters: Meters::new(&cx, &run.connection_id, &region),
            region,
            writer: Writer::new(Arc::clone(&cx), run, streams, fence),
            judge: Judge::default(),
            lost: lost.clone(),
            halt: lost.child_token(),
            patience: CancellationToken::new(),
            shutdown,
            started: Instant::now(),
            is_crowded: AtomicBool::new(false),
            cx,
        })
    }

    /// Works on the streams that are not settled and whose time has come, until each has come as far as it can.
    pub(crate) async fn work(self: &Arc<Self>) -> Result<Ended, Failure> {
        let _patience = self.lose_patience();
        self.look_for_credential().await?;
        self.writer.enter(&self.halt).await?;
        let _watch = self.watch();
        let mut failure = self.work_on(self.writer.due(self.cx.now()).await).await;
        if failure.is_none()
            && let Some(roster) = self.writer.judgeable_roster().await
        {
            failure = self.work_on(vec![roster]).await;
        }
        match failure {
            Some(Failure::Interrupted) if self.silent_ms.load(Ordering::Relaxed) > 0 => {
                let silence = Duration::from_millis(self.silent_ms.load(Ordering::Relaxed));
                Err(Failure::Silent(silence))
            }
            // The process stops and the vendor is slow: the rest is for another worker.
            Some(Failure::Interrupted) if self.is_out_of_patience() => Ok(Ended::Paused),
            Some(failure) => Err(failure),
            None => Ok(self.writer.ended(self.cx.now()).await),
        }
    }

    /// Works on these streams at the same time; gives what went wrong with the whole run.
    async fn work_on(self: &Arc<Self>, due: Vec<StreamProgress>) -> Option<Failure> {
        let mut streams = JoinSet::new();
        let mut names = HashMap::new();
        for progress in due {
            let stream = progress.stream;
            let engine = Arc::clone(self);
            let work = async move { engine.stream(progress).await };
            let span = tracing::debug_span!("stream", stream = stream.as_str());
            names.insert(streams.spawn(work.instrument(span)).id(), stream);
        }
        let mut failure = None;
        while let Some(ended) = streams.join_next_with_id().await {
            let result = match ended {
                Ok((_, result)) => result,
                Err(error) => {
                    let stream = names[&error.id()];
                    tracing::error!(run = %self.run, stream = stream.as_str(), %error, "a stream panicked");
                    self.stumble(stream, Failure::Panicked).await
                }
            };
            if let Err(error) = result {
                // The first one counts: the others are interrupted by it.
                failure.get_or_insert(error);
                self.halt.cancel();
            }
        }
        failure
    }

    /// A run that waits for a reconnect goes on waiting, while this looks whether there is a credential again.
    async fn look_for_credential(&self) -> Result<(), Failure> {
        let Some(stream) = self.writer.waiting_for_reconnect().await else { return Ok(()) };
        match self.fetch(credentials::access(&self.cx, &self.connection, stream.needs())).await? {
            Err(failure) if !matches!(decide(&failure, 1), Decision::StreamUnavailable(_)) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Waits for the soft stop, and then for a while for what is under way.
    fn lose_patience(&self) -> AbortOnDropHandle<()> {
        let (soft, patience) = (self.shutdown.soft().clone(), self.patience.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            soft.cancelled().await;
            tokio::time::sleep(PATIENCE).await;
            patience.cancel();
        }))
    }

    fn is_out_of_patience(&self) -> bool {
        self.patience.is_cancelled() && !self.lost.is_cancelled() && !self.shutdown.hard().is_cancelled()
    }

    /// Works on one stream. Its failures are dealt with here, those of the whole run are given back.
    async fn stream(&self, progress: StreamProgress) -> Result<(), Failure> {
        let stream = progress.stream;
        match self.with_tokens(progress).await {
            Ok(Step::Settled | Step::Paused) => Ok(()),
            Err(failure) => self.stumble(stream, failure).await,
        }
    }

    /// Works with the present token, and with the next one where it was replaced meanwhile.
    async fn with_tokens(&self, mut progress: StreamProgress) -> Result<Step, Failure> {
        for _ in 0..MOST_TOKENS {
            let access = credentials::access(&self.cx, &self.connection, progress.stream.needs());
            let access = self.fetch(access).await??;
            let generation = access.generation;
            self.meters.used(progress.stream, generation);
            if progress.stream == Stream::MemberActivities {
                assumptions::check(self, &access, &progress).await?;
            }
            let failure = match self.sync(&self.client(access, progress.stream)?, &mut progress).await {
                Ok(step) => return Ok(step),
                Err(failure) => failure,
            };
            if !matches!(failure, Failure::Vendor(Error::Rejected { .. })) {
                return Err(failure);
            }
            if !self.judge.is_superseded(self, generation).await? {
                break;
            }
            progress = self.writer.committed(progress.stream).await;
        }
        Err(Failure::RejectionUnconfirmed)
    }

    async fn sync(&self, client: &Client, progress: &mut StreamProgress) -> Result<Step, Failure> {
        match progress.stream {
            Stream::Members => members::sync(self, client, progress).await,
            Stream::Teams => teams::sync(self, client, progress).await,
            Stream::MemberActivities => activities::sync(self, client, progress).await,
            Stream::Entities | Stream::Notes => resources::sync(self, client, progress).await,
            Stream::Configurations => configurations::sync(self, client, progress).await,
        }
    }

    fn client(&self, access: Access, stream: Stream) -> Result<Client, Failure> {
        let options = self.options(&access, stream)?;
        Ok(Client::new(&access.base_url, access.token, options)?)
    }

    fn options(&self, access: &Access, stream: Stream) -> Result<Options, Failure> {
        let options =
            Options { budget: self.meters.of(stream), auth_scheme: access.scheme, ..Options::default() };
        let transport = Some(self.cx.transports.to(&access.base_url, options.request_timeout)?);
        Ok(Options { transport, ..options }.trust(&access.base_url))
    }

    /// Settles a stream without data.
    async fn settle(
        &self,
        progress: StreamProgress,
        state: stream::State,
        detail: Option<String>,
    ) -> Result<(), Failure> {
        if let Some(detail) = &detail {
            let (run, connection) = (&self.run, &self.connection);
            let (stream, state) = (progress.stream.as_str(), state.as_str());
            tracing::warn!(%run, %connection, stream, state, detail, "stream not synced");
        }
        let write = self.begin().await?;
        self.commit(write, &StreamProgress { state, detail, ..progress }).await
    }

    /// Settles a stream whose lists were read and are not believed, with what is known of it all the same. The next run
    /// begins its lists anew.
    async fn settle_suspect(
        &self,
        progress: &StreamProgress,
        detail: String,
        mark: Option<&Mark>,
    ) -> Result<(), Failure> {
        let (run, connection, stream) = (&self.run, &self.connection, progress.stream);
        tracing::warn!(%run, %connection, stream = stream.as_str(), detail, "stream not believed");
        let write = self.begin().await?;
        write.end_listings(connection, stream).await?;
        if let Some(mark) = mark {
            write.put_mark(connection, stream, mark).await?;
        }
        let (state, detail) = (stream::State::Suspect, Some(detail));
        self.commit(write, &StreamProgress { state, detail, ..progress.clone() }).await
    }

    /// How many fetches of one stream should be under way, so that the rate budget is used up.
    fn fetches_at_once(&self) -> usize {
        self.meters.fetches_at_once()
    }

    /// Whether to leave the rest to the next delivery: each one comes some way, however short its time.
    fn should_pause(&self) -> bool {
        let whole = self.cx.settings.delivery_budget;
        let share = if self.is_crowded.load(Ordering::Relaxed) { whole / CROWDED_SHARE } else { whole };
        let is_time = self.started.elapsed() >= share;
        self.writer.has_progress() && (is_time || self.is_stopping())
    }

    /// Whether the process stops: then nothing that is under way is waited for.
    fn is_stopping(&self) -> bool {
        self.shutdown.soft().is_cancelled()
    }

    /// Waits for something from outside, unless the workspace is lost or the process has to stop.
    pub(crate) async fn fetch<T>(&self, outside: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.halt.cancelled() => Err(Failure::Interrupted),
            () = self.shutdown.hard().cancelled() => Err(Failure::Interrupted),
            () = self.patience.cancelled() => Err(Failure::Interrupted),
            answer = outside => Ok(answer),
        }
    }
}
