//! Whose turn it is among the runs that could go on. A message on the bus only says that there is work; which work is
//! decided here, so that the order holds however the messages come.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{id::RunId, run};

use crate::{
    dialect,
    error::{Error, Result},
    runs::{COLUMNS, KNOWN, Run},
    statement::{execute, int, placeholders, row},
    store::{Store, Tx},
};

/// What a worker wants to know of the run it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How the run stands.
    pub state: run::State,
    /// Whether other runs wait for a worker.
    pub others_wait: bool,
}

impl Store {
    /// Takes the run whose turn it is. First by priority, and what has waited since `aged` comes right behind the people
    /// who wait; then whose organization has the fewest workers; then what has had the least of their time. Nothing comes
    /// that waits for less than `least`, or whose workspace lies in a `spared` region. Gives its region with it.
    ///
    /// [`Error::Corrupt`] for a run that this version cannot read: it is out of the line then, and the next is another.
    pub async fn claim_ready(
        &self,
        now: DateTime<Utc>,
        aged: DateTime<Utc>,
        wake_at: DateTime<Utc>,
        least: run::Priority,
        spared: &[String],
    ) -> Result<Option<(Run, String)>> {
        let elsewhere = if spared.is_empty() {
            String::new()
        } else {
            format!(
                "and (select region from connections where connections.id = r.connection_id) not in ({})",
                placeholders(5, spared.len())
            )
        };
        let sql = format!(
            "with busy as (
                select c.organization_id as busy_organization, count(*) as workers
                from runs b join connections c on c.id = b.connection_id
                where b.claimed_at is not null and b.finished_at is null and b.wake_at > $1 group by c.organization_id),
            best as materialized (
                select r.id as best_id from runs r
                where r.ready_at is not null and r.finished_at is null and {KNOWN} and r.priority <= $4 {elsewhere}
                order by case when r.priority = 0 then 0 when r.ready_at <= $2 then 1 else r.priority + 1 end,
                    coalesce((select workers from busy where busy_organization =
                        (select organization_id from connections where connections.id = r.connection_id)), 0),
                    r.served_ms, r.ready_at, r.id
                limit 1 {})
            update runs set ready_at = null, claimed_at = $1, wake_at = $3, updated_at = $1 from best
            where runs.id = best.best_id and runs.ready_at is not null
            returning {COLUMNS},
                (select region from connections where connections.id = runs.connection_id) as region",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [now.into(), aged.into(), wake_at.into(), int(least.rank())].into_iter();
        let values = values.chain(spared.iter().map(|region| Value::from(region.as_str())));
        let row = row(&self.db, "take the next run", sql, values).await?;
        let Some(row) = row else { return Ok(None) };
        let run = Run::read(&row);
        if let Err(Error::Corrupt { what }) = &run {
            row.is_passed_by("runs", what);
        }
        Ok(Some((run?, row.get("region")?)))
    }

    /// The worker that has the run is alive: nobody looks after it before `wake_at`.
    pub async fn keep_run(&self, id: &RunId, wake_at: DateTime<Utc>) -> Result<()> {
        let sql = "update runs set wake_at = $2 where id = $1 and state = 'running' and wake_at < $2";
        execute(&self.db, "keep a run", sql, [id.as_str().into(), wake_at.into()]).await.map(drop)
    }

    /// How the run stands, and whether others wait.
    pub async fn look(&self, id: &RunId) -> Result<Option<Look>> {
        let sql = "select state, (select count(*) from (
                select 1 from runs where ready_at is not null and finished_at is null and id <> $1 limit 1) as others)
                as waiting
            from runs where id = $1";
        let Some(row) = row(&self.db, "look at a run", sql, [id.as_str().into()]).await? else {
            return Ok(None);
        };
        let others_wait = row.count::<u64>("waiting")? > 0;
        Ok(Some(Look { state: row.parsed("state", run::State::parse)?, others_wait }))
    }
}

impl Tx {
    /// Lets a worker take the run. One that is ready already keeps its place.
    pub async fn make_ready(&self, id: &RunId, now: DateTime<Utc>) -> Result<()> {
        let sql = "update runs set ready_at = coalesce(ready_at, $2), claimed_at = null
            where id = $1 and finished_at is null";
        execute(&self.tx, "make a run ready", sql, [id.as_str().into(), now.into()]).await.map(drop)
    }

    /// The worker is done with the run for now and had it for so long. It comes no sooner than `priority`.
    pub async fn leave_run(&self, id: &RunId, served_ms: u64, priority: run::Priority) -> Result<()> {
        let sql = "update runs set claimed_at = null, served_ms = served_ms + $2,
                priority = case when priority < $3 then $3 else priority end
            where id = $1";
        let values = [id.as_str().into(), int(served_ms), int(priority.rank())];
        execute(&self.tx, "leave a run", sql, values).await.map(drop)
    }

    /// The credential is another one, or somebody asks again: streams that could not be read are to be read after all,
    /// and nothing that is left waits for its next attempt.
    pub async fn retry_streams(&self, id: &RunId) -> Result<()> {
        let sql = "update run_streams set attempts = 0, retry_at = null, detail = null,
                state = case when state in ('unavailable', 'failed') then 'pending' else state end
            where run_id = $1 and state in ('pending', 'running', 'unavailable', 'failed')";
        execute(&self.tx, "retry a run's streams", sql, [id.as_str().into()]).await.map(drop)
    }

    /// A worker that took the run when it was written last is done with it and wrote nothing.
    pub async fn release_claim(&self, run: &Run) -> Result<()> {
        let sql = "update runs set claimed_at = null where id = $1 and claimed_at = $2";
        let values = [run.id.as_str().into(), run.updated_at.into()];
        execute(&self.tx, "release a claim", sql, values).await.map(drop)
    }

    /// Lets a worker take a run that waits: for its next attempt, for a reconnect, or for a worker whose message or life
    /// was lost. `false` where a worker has it.
    pub async fn hurry_run(&self, id: &RunId, now: DateTime<Utc>) -> Result<bool> {
        let sql = "update runs set ready_at = coalesce(ready_at, $2), attempts = 0
            where id = $1 and (claimed_at is null or wake_at <= $2) and finished_at is null";
        Ok(execute(&self.tx, "hurry a run", sql, [id.as_str().into(), now.into()]).await? == 1)
    }

    /// Somebody asks for the open run again: it comes as soon as `priority` at least.
    pub async fn raise_run(&self, id: &RunId, priority: run::Priority) -> Result<()> {
        let sql = "update runs set priority = $2 where id = $1 and priority > $2 and finished_at is null";
        execute(&self.tx, "raise a run", sql, [id.as_str().into(), int(priority.rank())]).await.map(drop)
    }
}
