//! Entities and notes, with tombstones for what is gone at the vendor.
//!
//! Invariant: a tombstone is set only against a whole list (`listings`), and goes when its row is received again.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Value};
use tidemark_domain::{
    id::{ConnectionId, RunId},
    stream::Stream,
};
use uuid::Uuid;

use crate::{
    error::Result,
    quarantine::QuarantinedRow,
    refused,
    runs::Effect,
    statement::{Row, Table, count, execute, int, placeholders, rows},
    store::{Store, Tx},
};

const RESOURCES: Table<'static> = Table {
    name: "resources",
    key: 3,
    columns: Cow::Borrowed(&[
        "connection_id",
        "stream",
        "resource_id",
        "kind",
        "status",
        "archived",
        "processed",
        "owner_id",
        "creator_id",
        "parent_id",
        "created_at",
        "updated_at",
        "deleted_at",
        "document",
    ]),
};

/// Known ids that are compared with a list at once, and ids per statement.
const COMPARED_AT_ONCE: u64 = 2_000;
const BURIED_AT_ONCE: u64 = 1_000;

/// An entity or a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The vendor's id.
    pub id: Uuid,
    /// The vendor's word for its type.
    pub kind: String,
    /// The name of its status.
    pub status: Option<String>,
    /// Whether it is put away.
    pub archived: Option<bool>,
    /// Whether it is dealt with.
    pub processed: Option<bool>,
    /// The member who answers for it.
    pub owner_id: Option<Uuid>,
    /// The member who made it.
    pub creator_id: Option<Uuid>,
    /// The entity above.
    pub parent_id: Option<Uuid>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// When it was found to be gone.
    pub deleted_at: Option<DateTime<Utc>>,
    /// The vendor's JSON, where it is kept.
    pub document: Option<String>,
}

/// What of one type a whole list does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The type.
    pub kind: String,
    /// Rows that are not known to be gone.
    pub known: u64,
    /// Of those, rows that the list does not have.
    pub missing: u64,
}

impl Resource {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("resource_id")?,
            kind: row.get("kind")?,
            status: row.get("status")?,
            archived: row.get("archived")?,
            processed: row.get("processed")?,
            owner_id: row.get("owner_id")?,
            creator_id: row.get("creator_id")?,
            parent_id: row.get("parent_id")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            deleted_at: row.get("deleted_at")?,
            document: row.get("document")?,
        })
    }

    fn values(&self, connection: &ConnectionId, stream: Stream) -> Vec<Value> {
        vec![
            connection.as_str().into(),
            stream.as_str().into(),
            self.id.into(),
            self.kind.clone().into(),
            self.status.clone().into(),
            self.archived.into(),
            self.processed.into(),
            self.owner_id.into(),
            self.creator_id.into(),
            self.parent_id.into(),
            self.created_at.into(),
            self.updated_at.into(),
            self.deleted_at.into(),
            self.document.clone().into(),
        ]
    }
}

impl Store {
    /// A page of the stream's rows by id, tombstones included.
    pub async fn resources(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Resource>> {
        let start = if after.is_some() { "and resource_id > $4" } else { "" };
        let sql = format!(
            "select {} from resources where connection_id = $1 and stream = $2 {start}
            order by resource_id limit $3",
            RESOURCES.columns[2..].join(", ")
        );
        let values = [connection.as_str().into(), stream.as_str().into(), int(limit)];
        let values = values.into_iter().chain(after.map(Value::from));
        rows(&self.db, "read resources", sql, values).await?.iter().map(Resource::read).collect()
    }

    /// How many rows the stream has, tombstones left out.
    pub async fn resource_count(&self, connection: &ConnectionId, stream: Stream) -> Result<u64> {
        let sql = "select count(*) as count from resources
            where connection_id = $1 and stream = $2 and deleted_at is null";
        count(&self.db, "count resources", sql, [connection.as_str().into(), stream.as_str().into()]).await
    }

    /// How many rows, of types other than this one, last changed at that instant or later, tombstones left out.
    pub async fn resources_since(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        from: DateTime<Utc>,
        other_than: &str,
    ) -> Result<u64> {
        let sql = "select count(*) as count from resources where connection_id = $1 and stream = $2
            and updated_at >= $3 and kind <> $4 and deleted_at is null";
        let values = [connection.as_str().into(), stream.as_str().into(), from.into(), other_than.into()];
        count(&self.db, "count resources", sql, values).await
    }

    /// What the list that was read does not have, by type.
    pub async fn missing(&self, connection: &ConnectionId, stream: Stream) -> Result<Vec<Missing>> {
        // No join: of tables without statistics PostgreSQL expects one row of a connection's stream, and compares each
        // row with each. A union is read once, whatever is expected.
        let sql = "select kind, count(*) as known, count(case when listed = 0 then 1 end) as missing from (
                select max(kind) as kind, max(known) as known, max(listed) as listed from (
                    select resource_id, kind, 1 as known, 0 as listed from resources
                        where connection_id = $1 and stream = $2 and deleted_at is null
                    union all
                    select resource_id, cast(null as text), 0, 1 from listed
                        where connection_id = $1 and stream = $2) as either_row
                group by resource_id) as either
            where known = 1 group by kind order by kind";
        let values = [connection.as_str().into(), stream.as_str().into()];
        let rows = rows(&self.db, "compare a list", sql, values).await?;
        let read = |row: &Row| {
            let (known, missing) = (row.count("known")?, row.count("missing")?);
            Ok(Missing { kind: row.get("kind")?, known, missing })
        };
        rows.iter().map(read).collect()
    }

    /// A page of what the list that was read does not have, by id, with its type.
    pub async fn missing_ids(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<(Uuid, String)>> {
        missing_after(&self.db, connection, stream, after, limit).await
    }
}

/// A page of what a list does not have: known ids and listed ids are both read in the order of their keys, and compared
/// here. As one statement it would be a join, which without statistics may compare each with each.
async fn missing_after(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    stream: Stream,
    mut after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<(Uuid, String)>> {
    let (mut missing, mut size) = (Vec::new(), limit.min(COMPARED_AT_ONCE));
    while (missing.len() as u64) < limit {
        let known = known_after(db, connection, stream, after, size).await?;
        let (Some((first, _)), Some((last, _))) = (known.first(), known.last()) else { break };
        let listed = listed_between(db, connection, stream, (*first, *last)).await?;
        after = Some(*last);
        missing.extend(known.into_iter().filter(|(id, _)| !listed.contains(id)));
        size = (size * 2).min(COMPARED_AT_ONCE);
    }
    missing.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(missing)
}

async fn known_after(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    stream: Stream,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<(Uuid, String)>> {
    let beyond = if after.is_some() { ">" } else { ">=" };
    let sql = format!(
        "select resource_id, kind from resources
        where connection_id = $1 and stream = $2 and resource_id {beyond} $3 and deleted_at is null
        order by resource_id limit $4"
    );
    let after = after.unwrap_or(Uuid::nil());
    let values = [connection.as_str().into(), stream.as_str().into(), after.into(), int(limit)];
    let rows = rows(db, "compare a list", sql, values).await?;
    rows.iter().map(|row| Ok((row.get("resource_id")?, row.get("kind")?))).collect()
}

async fn listed_between(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    stream: Stream,
    (first, last): (Uuid, Uuid),
) -> Result<HashSet<Uuid>> {
    let sql = "select resource_id from listed
        where connection_id = $1 and stream = $2 and resource_id between $3 and $4";
    let values = [connection.as_str().into(), stream.as_str().into(), first.into(), last.into()];
    rows(db, "compare a list", sql, values).await?.iter().map(|row| row.get("resource_id")).collect()
}

impl Tx {
    /// Writes rows over what is there, tombstones included. Of several of one id, the last counts. A row that the database
    /// refuses goes into quarantine.
    pub async fn upsert_resources(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        resources: &[Resource],
        run: &RunId,
        now: DateTime<Utc>,
    ) -> Result<Effect> {
        let resources: BTreeMap<_, _> = resources.iter().map(|it| (it.id, it)).collect();
        let (count, ids) = (resources.len() as u64, resources.keys().copied().collect::<Vec<_>>());
        let rows = resources.into_values().map(|it| it.values(connection, stream)).collect();
        let written = self.put_most(&RESOURCES, "write resources", "resource_id", rows).await?;
        let (written, refused): (Vec<Uuid>, _) = written;
        if !refused.is_empty() {
            let (problem, raw) = (refused::PROBLEM.to_owned(), String::new());
            let row = |place| QuarantinedRow {
                id: Some(ids[place]),
                days: None,
                problem: problem.clone(),
                raw: raw.clone(),
            };
            let refused: Vec<_> = refused.into_iter().map(row).collect();
            self.quarantine(connection, stream, &refused, run, now).await?;
        }
        let written = written.len() as u64;
        Ok(Effect { written, unchanged: count - written, ..Effect::default() })
    }

    /// Sets a tombstone on every row that the list that was read does not have; tells how many. Whether the list is
    /// whole and believed is for the caller to say.
    pub async fn bury_missing(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let (mut buried, mut after) = (0, None);
        loop {
            let missing = missing_after(&self.tx, connection, stream, after, BURIED_AT_ONCE).await?;
            let (Some((first, _)), Some((last, _))) = (missing.first(), missing.last()) else {
                return Ok(buried);
            };
            // The range keeps the statement to these rows of the key, whichever index is taken for the rest.
            let sql = format!(
                "update resources set deleted_at = $3 where connection_id = $1 and stream = $2
                    and resource_id between $4 and $5 and resource_id in ({}) and deleted_at is null",
                placeholders(6, missing.len())
            );
            let key = [connection.as_str().into(), stream.as_str().into(), now.into()];
            let values = key.into_iter().chain([Value::from(*first), Value::from(*last)]);
            let values = values.chain(missing.iter().map(|(id, _)| Value::from(*id)));
            buried += execute(&self.tx, "set tombstones", sql, values.collect::<Vec<_>>()).await?;
            after = Some(*last);
        }
    }
}
