//! Runs and the progress of their streams.
//!
//! Invariant: a connection has at most one unfinished run; a partial unique index holds it against every race.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{
    id::{ConnectionId, RunId},
    run,
    stream::{self, Stream},
};

use crate::{
    error::Result,
    statement::{Row, Table, corrupt, count, execute, int, page, readable, row, rows},
    store::{Store, Tx},
};

pub(crate) const COLUMNS: &str =
    "id, connection_id, state, reason, attempts, priority, ready_at, served_ms, wake_at, created_at, started_at,
    finished_at, updated_at";

/// Runs of which this version knows what they wait for; the others are left to one that does.
pub(crate) const KNOWN: &str =
    "state in ('queued', 'running', 'reconnect_required') and priority between 0 and 2";

const STREAMS: Table<'static> = Table {
    name: "run_streams",
    key: 2,
    columns: std::borrow::Cow::Borrowed(&[
        "run_id",
        "stream",
        "state",
        "row_count",
        "page_count",
        "done",
        "total",
        "detail",
        "request_count",
        "waited_ms",
        "attempts",
        "retry_at",
        "written_count",
        "unchanged_count",
        "removed_count",
        "late_count",
    ]),
};

/// One sync of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Sortable by creation.
    pub id: RunId,
    /// The workspace.
    pub connection_id: ConnectionId,
    /// How it stands.
    pub state: run::State,
    /// Why it stands so, for a person and without secrets.
    pub reason: Option<String>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Whether it goes before others.
    pub priority: run::Priority,
    /// Since when a worker may take it; never, while one has it and while it waits for its time.
    pub ready_at: Option<DateTime<Utc>>,
    /// How long workers have had it so far, in milliseconds.
    pub served_ms: u64,
    /// When the sweeper looks after it next; never, where there is none.
    pub wake_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; set exactly when the state is final.
    pub finished_at: Option<DateTime<Utc>>,
    /// When this row last changed.
    pub updated_at: DateTime<Utc>,
}

/// How far one stream of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamProgress {
    /// Which stream.
    pub stream: Stream,
    /// How it stands.
    pub state: stream::State,
    /// Rows read.
    pub rows: u64,
    /// Pages read.
    pub pages: u64,
    /// Steps done; the worker says what a step is.
    pub done: u64,
    /// Steps there are, as far as known.
    pub total: u64,
    /// What a person should know, without secrets.
    pub detail: Option<String>,
    /// Requests sent, retries included.
    pub requests: u64,
    /// How long its requests waited for the rate budget, in milliseconds; those that waited at once each count.
    pub waited_ms: u64,
    /// Failures in a row.
    pub attempts: u32,
    /// When it is tried again, after a failure.
    pub retry_at: Option<DateTime<Utc>>,
    /// What became of the rows.
    pub effect: Effect,
}

/// What became of the rows that were received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// New, or other than before.
    pub written: u64,
    /// The same as before, and not written.
    pub unchanged: u64,
    /// Known before and gone.
    pub removed: u64,
    /// Written or removed on a day that was covered before.
    pub late: u64,
}

impl std::ops::AddAssign for Effect {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.late += other.late;
    }
}

impl StreamProgress {
    /// A stream that was not begun.
    pub fn pending(stream: Stream) -> Self {
        Self {
            stream,
            state: stream::State::Pending,
            rows: 0,
            pages: 0,
            done: 0,
            total: 0,
            detail: None,
            requests: 0,
            waited_ms: 0,
            attempts: 0,
            retry_at: None,
            effect: Effect::default(),
        }
    }
}

impl StreamProgress {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            stream: row.parsed("stream", Stream::parse)?,
            state: row.parsed("state", stream::State::parse)?,
            rows: row.count("row_count")?,
            pages: row.count("page_count")?,
            done: row.count("done")?,
            total: row.count("total")?,
            detail: row.get("detail")?,
            requests: row.count("request_count")?,
            waited_ms: row.count("waited_ms")?,
            attempts: row.count("attempts")?,
            retry_at: row.get("retry_at")?,
            effect: Effect {
                written: row.count("written_count")?,
                unchanged: row.count("unchanged_count")?,
                removed: row.count("removed_count")?,
                late: row.count("late_count")?,
            },
        })
    }

    fn values(&self, run: &RunId) -> Vec<Value> {
        vec![
            run.as_str().into(),
            self.stream.as_str().into(),
            self.state.as_str().into(),
            int(self.rows),
            int(self.pages),
            int(self.done),
            int(self.total),
            self.detail.clone().into(),
            int(self.requests),
            int(self.waited_ms),
            int(self.attempts),
            self.retry_at.into(),
            int(self.effect.written),
            int(self.effect.unchanged),
            int(self.effect.removed),
            int(self.effect.late),
        ]
    }
}

impl Run {
    /// A new run.
    pub fn queued(
        id: RunId,
        connection_id: ConnectionId,
        priority: run::Priority,
        now: DateTime<Utc>,
        wake_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            connection_id,
            state: run::State::Queued,
            reason: None,
            attempts: 0,
            priority,
            ready_at: None,
            served_ms: 0,
            wake_at: Some(wake_at),
            created_at: now,
            started_at: None,
            finished_at: None,
            updated_at: now,
        }
    }

    pub(crate) fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            connection_id: row.parsed("connection_id", |text| text.parse().ok())?,
            state: row.parsed("state", run::State::parse)?,
            reason: row.get("reason")?,
            attempts: row.count("attempts")?,
            priority: run::Priority::of_rank(row.count("priority")?).ok_or_else(|| corrupt("priority"))?,
            ready_at: row.get("ready_at")?,
            served_ms: row.count("served_ms")?,
            wake_at: row.get("wake_at")?,
            created_at: row.get("created_at")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl Store {
    /// The run of that id.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>> {
        let sql = format!("select {COLUMNS} from runs where id = $1");
        let row = row(&self.db, "read a run", sql, [id.as_str().into()]).await?;
        row.as_ref().map(Run::read).transpose()
    }

    /// How far the run's streams are, in the order of [`Stream::ALL`]. Those that only another version knows are left out.
    pub async fn streams(&self, id: &RunId) -> Result<Vec<StreamProgress>> {
        let sql =
            "select stream, state, row_count, page_count, done, total, detail, request_count, waited_ms,
                attempts, retry_at, written_count, unchanged_count, removed_count, late_count
            from run_streams where run_id = $1";
        let rows = rows(&self.db, "read a run's streams", sql, [id.as_str().into()]).await?;
        let mut streams = readable(&rows, "run_streams", StreamProgress::read)?;
        streams.sort_by_key(|progress| progress.stream);
        Ok(streams)
    }

    /// A page of a connection's runs, newest first.
    pub async fn runs_of(
        &self,
        connection: &ConnectionId,
        before: Option<&RunId>,
        limit: u64,
    ) -> Result<Vec<Run>> {
        // Ids end in lower-case letters and digits: every id is less than `~`.
        let before = before.map_or("~", RunId::as_str);
        let sql = format!(
            "select {COLUMNS} from runs where connection_id = $1 and id < $2 order by id desc limit $3"
        );
        let values = |before: &str, limit: u64| vec![connection.as_str().into(), before.into(), int(limit)];
        page(&self.db, ("list runs", "runs"), &sql, (before.to_owned(), limit), values, Run::read).await
    }

    /// The connection's unfinished run.
    pub async fn open_run(&self, connection: &ConnectionId) -> Result<Option<Run>> {
        let sql = format!("select {COLUMNS} from runs where connection_id = $1 and finished_at is null");
        let row = row(&self.db, "find the open run", sql, [connection.as_str().into()]).await?;
        row.as_ref().map(Run::read).transpose()
    }

    /// Unfinished runs that somebody should look after, with their connections, the longest waiting first. What another
    /// version made of a run is left to that one.
    pub async fn due_runs(&self, now: DateTime<Utc>, limit: u64) -> Result<Vec<(RunId, ConnectionId)>> {
        let sql = format!(
            "select id, connection_id from runs where wake_at <= $1 and finished_at is null and {KNOWN}
            order by wake_at, id limit $2"
        );
        let rows = rows(&self.db, "find due runs", sql, [now.into(), int(limit)]).await?;
        readable(&rows, "runs", |row| {
            let id = row.parsed("id", |text| text.parse().ok())?;
            Ok((id, row.parsed("connection_id", |text| text.parse().ok())?))
        })
    }

    /// How many streams the run has, those that only another version knows included.
    pub async fn stream_count(&self, id: &RunId) -> Result<u64> {
        let sql = "select count(*) as count from run_streams where run_id = $1";
        count(&self.db, "count a run's streams", sql, [id.as_str().into()]).await
    }
}

impl Tx {
    /// Inserts a run with the streams that are on; `false`, and nothing written, when the connection has an unfinished one.
    pub async fn insert_run(&self, run: &Run) -> Result<bool> {
        let sql = format!(
            "insert into runs ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            on conflict (connection_id) where finished_at is null do nothing"
        );
        let values: [Value; 13] = [
            run.id.as_str().into(),
            run.connection_id.as_str().into(),
            run.state.as_str().into(),
            run.reason.clone().into(),
            int(run.attempts),
            int(run.priority.rank()),
            run.ready_at.into(),
            int(run.served_ms),
            run.wake_at.into(),
            run.created_at.into(),
            run.started_at.into(),
            run.finished_at.into(),
            run.updated_at.into(),
        ];
        if execute(&self.tx, "insert a run", sql, values).await? == 0 {
            return Ok(false);
        }
        let options = self.sync_options(&run.connection_id).await?;
        let pending = options.streams().map(|stream| StreamProgress::pending(stream).values(&run.id));
        STREAMS.put(&self.tx, "insert a run's streams", pending).await?;
        Ok(true)
    }

    /// Writes the run if it still stands in that state; `false` means that somebody was faster, and nothing was
    /// written. Id, connection and creation never change; whose turn it is has statements of its own.
    pub async fn update_run(&self, run: &Run, from: run::State) -> Result<bool> {
        let sql = "update runs set state = $2, reason = $3, attempts = $4, wake_at = $5, started_at = $6,
                finished_at = $7, updated_at = $8
            where id = $1 and state = $9";
        let values: [Value; 9] = [
            run.id.as_str().into(),
            run.state.as_str().into(),
            run.reason.clone().into(),
            int(run.attempts),
            run.wake_at.into(),
            run.started_at.into(),
            run.finished_at.into(),
            run.updated_at.into(),
            from.as_str().into(),
        ];
        Ok(execute(&self.tx, "update a run", sql, values).await? == 1)
    }

    /// Sets when the sweeper looks after an unfinished run, which no worker has until then, and why where there is a
    /// reason.
    pub async fn postpone_run(
        &self,
        id: &RunId,
        reason: Option<&str>,
        wake_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql =
            "update runs set wake_at = $2, updated_at = $3, claimed_at = null, reason = coalesce($4, reason)
            where id = $1 and finished_at is null";
        let values = [id.as_str().into(), wake_at.into(), now.into(), reason.map(str::to_owned).into()];
        Ok(execute(&self.tx, "postpone a run", sql, values).await? == 1)
    }

    /// Of several sweepers that found the run due, one gets `true`. One that is ready already waits for a free worker
    /// only: it is looked for again at `ready_wake_at`, should all messages have been lost.
    pub async fn claim_due_run(
        &self,
        id: &RunId,
        now: DateTime<Utc>,
        next_wake_at: DateTime<Utc>,
        ready_wake_at: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = "update runs set wake_at = case when ready_at is null then $2 else $4 end, updated_at = $3
            where id = $1 and wake_at <= $3 and finished_at is null";
        let values = [id.as_str().into(), next_wake_at.into(), now.into(), ready_wake_at.into()];
        Ok(execute(&self.tx, "claim a due run", sql, values).await? == 1)
    }

    /// Writes how far a stream is.
    pub async fn put_stream(&self, id: &RunId, progress: &StreamProgress) -> Result<()> {
        STREAMS.put(&self.tx, "write a stream's progress", [progress.values(id)]).await.map(drop)
    }
}
