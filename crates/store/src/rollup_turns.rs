//! Whose rollup is due, and who computes it. A claim is a compare-and-set, so that of many processes one gets a workspace,
//! and whoever dies with it loses it after a while. Claims save work and keep the back-off; what is right does not hang on
//! them, since [`Tx::write_rollup`] lets no older rollup replace a newer one.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::ConnectionTrait as _;
use tidemark_domain::{id::ConnectionId, rollup::DEFINITION_VERSION};

use crate::{
    dialect,
    error::Result,
    statement::{count, execute, int, readable, row, rows},
    store::{Store, Tx},
};

/// The right to compute a workspace's rollup, until it is settled or its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupClaim {
    /// The workspace.
    pub connection_id: ConnectionId,
    /// Failures since the last success.
    pub failures: u32,
    number: i64,
    /// The changes of facts before the claim.
    revision: u64,
}

/// What becomes of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollupSettlement {
    /// The look ended well on that date, whether or not there was anything to write.
    Looked(NaiveDate),
    /// It failed: nobody tries again before that.
    Failed(DateTime<Utc>),
    /// Given back untouched, for a process that can do it.
    Released,
}

/// What is due, of a connection `c`: `$1` is today, `$2` now, `$3` the version of the definitions.
///
/// With a rollup: the day's turn, or somebody waits. Without one: covered days, and no first sync that is still under way.
const DUE: &str = "from connections c
    left join rollup_heads h on h.connection_id = c.id
    left join rollup_marks m on m.connection_id = c.id
    left join rollup_turns t on t.connection_id = c.id
    where c.state <> 'disconnected' and c.purge is null
        and (t.claimed_until is null or t.claimed_until <= $2) and (t.next_at is null or t.next_at <= $2)
        and (h.connection_id is null or h.definition_version <= $3)
        and ((h.looked_on is null or h.looked_on < $1) and (t.looked_on is null or t.looked_on < $1)
            or m.asked_revision > coalesce(h.revision, -1) and m.asked_revision > coalesce(t.seen_revision, -1))
        and (h.connection_id is not null
            or exists (select 1 from day_coverage d where d.connection_id = c.id)
                and (not exists (select 1 from runs r where r.connection_id = c.id and r.finished_at is null)
                    or exists (select 1 from runs r
                        where r.connection_id = c.id and r.state in ('succeeded', 'partial'))))";

impl Store {
    /// Connections whose rollup somebody waits for, or that have not had their turn today, or that have none although they
    /// have covered days. Those come first whose last turn was longest ago. What another process has, what waits after a
    /// failure, and what was computed by later definitions is left out.
    pub async fn rollups_due(
        &self,
        today: NaiveDate,
        now: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<ConnectionId>> {
        let sql = format!(
            "select c.id {DUE} order by case when t.claimed_at is null then 0 else 1 end, t.claimed_at, c.id limit $4"
        );
        let values = [today.into(), now.into(), int(DEFINITION_VERSION), int(limit)];
        let rows = rows(&self.db, "list due rollups", sql, values).await?;
        readable(&rows, "connections", |row| row.parsed("id", |text| text.parse().ok()))
    }

    /// Whether that connection is among them.
    pub async fn is_rollup_due(
        &self,
        connection: &ConnectionId,
        today: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = format!("select c.id {DUE} and c.id = $4");
        let values = [today.into(), now.into(), int(DEFINITION_VERSION), connection.as_str().into()];
        Ok(row(&self.db, "look for a due rollup", sql, values).await?.is_some())
    }

    /// Takes the workspace for a while; none where somebody has it, where it waits after a failure, or where it is
    /// disconnected or was never there.
    pub async fn claim_rollup(
        &self,
        connection: &ConnectionId,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<RollupClaim>> {
        // Before the claim: what is added after it makes the workspace due again.
        let revision = self.rollup_mark(connection).await?.revision;
        let sql = "insert into rollup_turns (connection_id, claim, claimed_at, claimed_until, failures)
            select id, 1, $2, $3, 0 from connections where id = $1 and state <> 'disconnected' and purge is null
            on conflict (connection_id) do update set claim = rollup_turns.claim + 1,
                claimed_at = excluded.claimed_at, claimed_until = excluded.claimed_until
            where (rollup_turns.claimed_until is null or rollup_turns.claimed_until <= $2)
                and (rollup_turns.next_at is null or rollup_turns.next_at <= $2)
            returning claim, failures";
        let values = [connection.as_str().into(), now.into(), until.into()];
        let Some(row) = row(&self.db, "claim a rollup", sql, values).await? else { return Ok(None) };
        let (number, failures) = (row.get("claim")?, row.count("failures")?);
        Ok(Some(RollupClaim { connection_id: connection.clone(), failures, number, revision }))
    }

    /// The claimer is alive. A claim that somebody else has by now stays theirs.
    pub async fn keep_rollup(&self, claim: &RollupClaim, until: DateTime<Utc>) -> Result<()> {
        let sql = "update rollup_turns set claimed_until = $3 where connection_id = $1 and claim = $2";
        let values = [claim.connection_id.as_str().into(), claim.number.into(), until.into()];
        execute(&self.db, "keep a claim", sql, values).await.map(drop)
    }

    /// The claimer is done with it. A claim that somebody else has by now stays as it is.
    pub async fn settle_rollup(&self, claim: &RollupClaim, settlement: RollupSettlement) -> Result<()> {
        let mut values = vec![claim.connection_id.as_str().into(), claim.number.into()];
        let set = match settlement {
            RollupSettlement::Looked(today) => {
                values.extend([today.into(), int(claim.revision)]);
                ", failures = 0, next_at = null, looked_on = $3, seen_revision = $4"
            }
            RollupSettlement::Failed(next_at) => {
                values.push(next_at.into());
                ", failures = failures + 1, next_at = $3"
            }
            RollupSettlement::Released => "",
        };
        let sql = format!(
            "update rollup_turns set claimed_until = null{set} where connection_id = $1 and claim = $2"
        );
        execute(&self.db, "settle a claim", sql, values).await.map(drop)
    }

    /// Whether facts have changed that nobody has looked at: numbers, or the reason why there are none, are to come.
    pub async fn is_rollup_pending(&self, connection: &ConnectionId) -> Result<bool> {
        let sql = "select count(*) as count from connections c
            left join rollup_heads h on h.connection_id = c.id
            left join rollup_marks m on m.connection_id = c.id
            left join rollup_turns t on t.connection_id = c.id
            where c.id = $1 and coalesce(m.revision, 0) > coalesce(h.revision, -1)
                and coalesce(m.revision, 0) > coalesce(t.seen_revision, -1)";
        Ok(count(&self.db, "look for changed facts", sql, [connection.as_str().into()]).await? > 0)
    }

    /// Makes the connection due, without any changed facts, where it is there.
    pub async fn ask_for_rollup(&self, connection: &ConnectionId) -> Result<()> {
        let tx = self.begin().await?;
        if !tx.may_have_rollup(connection).await? {
            return Ok(());
        }
        tx.ask_for_rollup(connection).await?;
        tx.commit().await
    }
}

impl Tx {
    /// Whether the connection is there and may have numbers; until the end of the transaction nobody disconnects it. To be
    /// asked late, before the first event: whoever changes the connection waits for this transaction.
    pub async fn may_have_rollup(&self, connection: &ConnectionId) -> Result<bool> {
        let share = dialect::share(self.tx.get_database_backend());
        let sql = format!(
            "select id from connections where id = $1 and state <> 'disconnected' and purge is null {share}"
        );
        Ok(row(&self.tx, "look at a connection", sql, [connection.as_str().into()]).await?.is_some())
    }
}

#[cfg(test)]
mod tests;
