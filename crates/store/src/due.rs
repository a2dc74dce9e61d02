//! What is due for the detector. A claim moves the due time ahead in the same statement, so that of many claimers one
//! gets it, and whoever dies with it loses it after a while.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidemark_domain::id::ConnectionId;

use crate::{
    dialect,
    error::Result,
    statement::{int, readable, rows},
    store::Store,
};

impl Store {
    /// Claims live connections that are due for a probe.
    pub async fn claim_probes(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<ConnectionId>> {
        let sql = format!(
            "with due as materialized (
                select id as due_id from connections
                where state in ('connected', 'degraded', 'expiring')
                    and (next_probe_at is null or next_probe_at <= $1)
                order by next_probe_at limit $2 {})
            update connections set next_probe_at = $3 from due where connections.id = due.due_id returning id",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [now.into(), int(limit), (now + claim_for).into()];
        let rows = rows(&self.db, "claim probes", sql, values).await?;
        readable(&rows, "connections", |row| row.parsed("id", |text| text.parse().ok()))
    }

    /// Claims disconnected workspaces whose facts are to be deleted. Who has deleted some of them makes the rest due with
    /// [`schedule_probe`](Self::schedule_probe): nothing else is due for such a connection.
    pub async fn claim_purges(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<ConnectionId>> {
        let sql = format!(
            "with due as materialized (
                select id as due_id from connections
                where purge = 'asked' and (next_probe_at is null or next_probe_at <= $1)
                order by next_probe_at limit $2 {})
            update connections set next_probe_at = $3 from due where connections.id = due.due_id returning id",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [now.into(), int(limit), (now + claim_for).into()];
        let rows = rows(&self.db, "claim purges", sql, values).await?;
        readable(&rows, "connections", |row| row.parsed("id", |text| text.parse().ok()))
    }

    /// Claims versions of credentials that are due for a renewal, of the kinds that this version can renew.
    pub async fn claim_refreshes(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<(ConnectionId, i64)>> {
        let sql = format!(
            "with due as materialized (
                select connection_id as due_id, generation as due_generation from credentials
                where refresh_due_at <= $1 and rejected is null and kind in ('oauth', 'assertion')
                order by refresh_due_at limit $2 {})
            update credentials set refresh_due_at = $3 from due
            where credentials.connection_id = due.due_id and credentials.generation = due.due_generation
            returning connection_id, generation",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [now.into(), int(limit), (now + claim_for).into()];
        let rows = rows(&self.db, "claim renewals", sql, values).await?;
        readable(&rows, "credentials", |row| {
            Ok((row.parsed("connection_id", |text| text.parse().ok())?, row.get("generation")?))
        })
    }
}
