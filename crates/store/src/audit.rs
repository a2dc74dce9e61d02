//! The audit log: chains of entries, one per organization. This module keeps them; hashing and checking them is the
//! work of whoever holds the key.
//!
//! Invariant: who appends holds the row of the chain's head until the end of the transaction, so that no two writers
//! can take the same sequence number.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait as _;

use crate::{
    dialect,
    error::Result,
    statement::{Row, Table, delete_some, execute, int, row, rows},
    store::{Store, Tx},
};

const COLUMNS: [&str; 10] = [
    "organization",
    "sequence",
    "at",
    "actor",
    "action",
    "subject",
    "outcome",
    "details",
    "previous",
    "hash",
];

const ENTRIES: Table<'static> =
    Table { name: "audit", key: 2, columns: std::borrow::Cow::Borrowed(&COLUMNS) };

const HEADS: Table<'static> = Table {
    name: "audit_heads",
    key: 1,
    columns: std::borrow::Cow::Borrowed(&["organization", "sequence", "hash"]),
};

/// One entry of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The chain: an organization's id, or the platform's.
    pub chain: String,
    /// From 1, without gaps.
    pub sequence: i64,
    /// When it happened, to the microsecond.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it ended.
    pub outcome: String,
    /// A JSON object without secrets.
    pub details: String,
    /// The hash of the entry before; zeros for the first.
    pub previous: Vec<u8>,
    /// Of this entry and the one before.
    pub hash: Vec<u8>,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The chain.
    pub chain: String,
    /// Of its last entry; 0 where there is none.
    pub sequence: i64,
    /// Of its last entry.
    pub hash: Vec<u8>,
}

impl AuditEntry {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            chain: row.get("organization")?,
            sequence: row.get("sequence")?,
            at: row.get("at")?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            subject: row.get("subject")?,
            outcome: row.get("outcome")?,
            details: row.get("details")?,
            previous: row.get("previous")?,
            hash: row.get("hash")?,
        })
    }
}

impl AuditHead {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self { chain: row.get("organization")?, sequence: row.get("sequence")?, hash: row.get("hash")? })
    }
}

impl Tx {
    /// The heads of these chains, locked until the end of the transaction. A chain without an entry gets the hash
    /// `first`. In the order of the names, two writers cannot deadlock.
    pub async fn lock_audit_heads(&self, chains: &BTreeSet<&str>, first: &[u8]) -> Result<Vec<AuditHead>> {
        let backend = self.tx.get_database_backend();
        let tuples: Vec<_> = (0..chains.len()).map(|at| dialect::tuple(backend, at * 3 + 1, 3)).collect();
        // The update changes nothing and takes the lock.
        let sql = format!(
            "insert into audit_heads (organization, sequence, hash) values {}
            on conflict (organization) do update set sequence = audit_heads.sequence
            returning organization, sequence, hash",
            tuples.join(", ")
        );
        let values = chains.iter().flat_map(|chain| [(*chain).into(), int(0_u32), first.into()]);
        let rows = rows(&self.tx, "lock the heads of the audit log", sql, values).await?;
        rows.iter().map(AuditHead::read).collect()
    }

    /// Appends entries, whose chains' heads are locked, and moves the heads.
    pub async fn append_audit(&self, entries: &[AuditEntry], heads: &[AuditHead]) -> Result<()> {
        let row = |entry: &AuditEntry| {
            vec![
                entry.chain.as_str().into(),
                entry.sequence.into(),
                entry.at.into(),
                entry.actor.as_str().into(),
                entry.action.as_str().into(),
                entry.subject.as_str().into(),
                entry.outcome.as_str().into(),
                entry.details.as_str().into(),
                entry.previous.as_slice().into(),
                entry.hash.as_slice().into(),
            ]
        };
        ENTRIES.insert(&self.tx, "append to the audit log", entries.iter().map(row).collect()).await?;
        let moved = heads
            .iter()
            .map(|head| vec![head.chain.as_str().into(), head.sequence.into(), head.hash.as_slice().into()]);
        HEADS.put(&self.tx, "move the heads of the audit log", moved).await.map(drop)
    }

    /// Deletes an entry, which every later check of the chain will show. For the tests of those checks.
    pub async fn delete_audit(&self, chain: &str, sequence: i64) -> Result<()> {
        let sql = "delete from audit where organization = $1 and sequence = $2";
        execute(&self.tx, "delete from the audit log", sql, [chain.into(), sequence.into()]).await.map(drop)
    }
}

impl Store {
    /// The first entry of a chain that was written at that instant or later, where there is one.
    pub async fn first_audit_since(&self, chain: &str, since: DateTime<Utc>) -> Result<Option<i64>> {
        let sql = "select min(sequence) as first from audit where organization = $1 and at >= $2";
        let found = row(&self.db, "read the audit log", sql, [chain.into(), since.into()]).await?;
        found.map_or(Ok(None), |row| row.get("first"))
    }

    /// Deletes at most `limit` entries of a chain that stand before another; gives how many. The next check of the chain
    /// shows it, unless the chain itself says that it was done (`audit prune`).
    pub async fn prune_audit(&self, chain: &str, before: i64, limit: u64) -> Result<u64> {
        let old = ("audit", "organization = $1 and sequence < $2");
        delete_some(&self.db, "prune the audit log", old, [chain.into(), before.into()], limit).await
    }

    /// The heads of all chains, by name.
    pub async fn audit_heads(&self) -> Result<Vec<AuditHead>> {
        let sql = "select organization, sequence, hash from audit_heads order by organization";
        let rows = rows(&self.db, "read the heads of the audit log", sql, []).await?;
        rows.iter().map(AuditHead::read).collect()
    }

    /// The names of all chains that have an entry, whether or not their head is still there.
    pub async fn audit_chains(&self) -> Result<Vec<String>> {
        let sql = "select distinct organization from audit order by organization";
        let rows = rows(&self.db, "list the chains of the audit log", sql, []).await?;
        rows.iter().map(|row| row.get("organization")).collect()
    }

    /// A page of a chain, oldest first.
    pub async fn audit_entries(&self, chain: &str, after: i64, limit: u64) -> Result<Vec<AuditEntry>> {
        let columns = COLUMNS.join(", ");
        let sql = format!(
            "select {columns} from audit where organization = $1 and sequence > $2 order by sequence limit $3"
        );
        let rows =
            rows(&self.db, "read the audit log", sql, [chain.into(), after.into(), int(limit)]).await?;
        rows.iter().map(AuditEntry::read).collect()
    }

    /// The newest entries of a chain, newest first.
    pub async fn newest_audit_entries(&self, chain: &str, limit: u64) -> Result<Vec<AuditEntry>> {
        let columns = COLUMNS.join(", ");
        let sql =
            format!("select {columns} from audit where organization = $1 order by sequence desc limit $2");
        let rows = rows(&self.db, "read the audit log", sql, [chain.into(), int(limit)]).await?;
        rows.iter().map(AuditEntry::read).collect()
    }
}
