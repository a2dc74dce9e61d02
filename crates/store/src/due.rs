//! What is due for the detector. A claim moves the due time ahead in the same statement, so that of many claimers one
//! gets it, and a claimer that dies with it loses it after a while: five minutes the first time, and twice as long each time
//! that nothing comes of it, up to hours. What comes of it sets the next time, and so does an event that changes what is due.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::id::ConnectionId;

use crate::{
    dialect,
    error::Result,
    statement::{Row, int, readable, rows},
    store::Store,
};

/// Claims without success, after which no claim is longer than the one before.
const DOUBLINGS: u32 = 6;
const LONGEST_CLAIM: Duration = Duration::from_secs(4 * 3_600);

/// One kind of what is due.
struct Due {
    attempted: &'static str,
    table: &'static str,
    key: &'static [&'static str],
    /// When it is due, and how often that time was moved by a claim since it was set.
    time: &'static str,
    claims: &'static str,
    /// `$1` is now.
    condition: &'static str,
}

const PROBES: Due = Due {
    attempted: "claim probes",
    table: "connections",
    key: &["id"],
    time: "next_probe_at",
    claims: "probe_claims",
    condition: "state in ('connected', 'degraded', 'expiring') and (next_probe_at is null or next_probe_at <= $1)",
};

const PURGES: Due = Due {
    attempted: "claim purges",
    condition: "purge = 'asked' and (next_probe_at is null or next_probe_at <= $1)",
    ..PROBES
};

const REFRESHES: Due = Due {
    attempted: "claim renewals",
    table: "credentials",
    key: &["connection_id", "generation"],
    time: "refresh_due_at",
    claims: "refresh_claims",
    condition: "refresh_due_at <= $1 and rejected is null and kind in ('oauth', 'assertion')",
};

impl Store {
    /// Claims live connections that are due for a probe, for `claim_for` the first time.
    pub async fn claim_probes(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<ConnectionId>> {
        let rows = self.claim(&PROBES, now, limit, claim_for).await?;
        readable(&rows, PROBES.table, |row| row.parsed("id", |text| text.parse().ok()))
    }

    /// Claims disconnected workspaces whose facts are to be deleted. Who has deleted some of them makes the rest due with
    /// [`schedule_probe`](Self::schedule_probe): nothing else is due for such a connection.
    pub async fn claim_purges(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<ConnectionId>> {
        let rows = self.claim(&PURGES, now, limit, claim_for).await?;
        readable(&rows, PURGES.table, |row| row.parsed("id", |text| text.parse().ok()))
    }

    /// Claims versions of credentials that are due for a renewal, of the kinds that this version can renew.
    pub async fn claim_refreshes(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<(ConnectionId, i64)>> {
        let rows = self.claim(&REFRESHES, now, limit, claim_for).await?;
        readable(&rows, REFRESHES.table, |row| {
            Ok((row.parsed("connection_id", |text| text.parse().ok())?, row.get("generation")?))
        })
    }

    async fn claim(
        &self,
        due: &Due,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<Row>> {
        let Due { attempted, table, key, time, claims, condition } = due;
        let each = |one: &dyn Fn(&str) -> String, between: &str| {
            key.iter().map(|column| one(column)).collect::<Vec<_>>().join(between)
        };
        let until: Vec<_> =
            (0..=DOUBLINGS).map(|claims| format!("when {claims} then ${}", claims + 3)).collect();
        let sql = format!(
            "with due as materialized (
                select {} from {table} where {condition} order by {time} limit $2 {})
            update {table} set {claims} = {claims} + 1, {time} = case {claims} {} else ${} end from due
            where {} returning {}",
            each(&|column| format!("{column} as due_{column}"), ", "),
            dialect::skip_locked(self.db.get_database_backend()),
            until.join(" "),
            DOUBLINGS + 3,
            each(&|column| format!("{table}.{column} = due.due_{column}"), " and "),
            key.join(", "),
        );
        let longest = LONGEST_CLAIM.max(claim_for);
        let claim = |doublings: u32| claim_for.saturating_mul(1 << doublings).min(longest);
        let untils = (0..=DOUBLINGS).map(|doublings| Value::from(now + claim(doublings)));
        let values = [now.into(), int(limit)].into_iter().chain(untils);
        rows(&self.db, attempted, sql, values).await
    }
}
