//! Which days of a connection are to be computed again. Whoever changes facts marks their days in the same transaction,
//! so that no change is ever missed; a rollup takes the mark away only if nothing was added since it looked.

use std::{borrow::Cow, collections::BTreeSet};

use chrono::NaiveDate;
use tidemark_domain::id::ConnectionId;
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Table, execute, int, row, rows},
    store::{Store, Tx},
};

const TEAM_MARKS: Table<'static> = Table {
    name: "rollup_team_marks",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "team_id", "revision"]),
};

/// Before all days.
pub(crate) const BEGINNING: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
/// After all days.
pub(crate) const END: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).expect("a date");

/// What changed since the newest rollup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollupMark {
    /// The first and the last day whose facts changed; may lie far outside of what is known.
    pub dirty: Option<(NaiveDate, NaiveDate)>,
    /// Teams with other members than before.
    pub teams: BTreeSet<Uuid>,
    /// Grows with every change.
    pub revision: u64,
}

impl Store {
    /// What changed. To be read before the facts.
    pub async fn rollup_mark(&self, connection: &ConnectionId) -> Result<RollupMark> {
        let sql = "select dirty_from, dirty_to, revision from rollup_marks where connection_id = $1";
        let found = row(&self.db, "read a mark", sql, [connection.as_str().into()]).await?;
        let Some(row) = found else { return Ok(RollupMark::default()) };
        let (from, to): (Option<NaiveDate>, Option<NaiveDate>) =
            (row.get("dirty_from")?, row.get("dirty_to")?);
        let sql = "select team_id from rollup_team_marks where connection_id = $1";
        let teams = rows(&self.db, "read marked teams", sql, [connection.as_str().into()]).await?;
        Ok(RollupMark {
            dirty: from.zip(to),
            teams: teams.iter().map(|row| row.get("team_id")).collect::<Result<_>>()?,
            revision: row.count("revision")?,
        })
    }
}

impl Tx {
    /// Marks everything from the first to the last of these days.
    pub(crate) async fn mark(
        &self,
        connection: &ConnectionId,
        days: impl IntoIterator<Item = NaiveDate> + Send,
    ) -> Result<()> {
        let span = days.into_iter().fold(None, |span, day| match span {
            None => Some((day, day)),
            Some((from, to)) => Some((day.min(from), day.max(to))),
        });
        let Some((from, to)) = span else { return Ok(()) };
        let sql = "insert into rollup_marks (connection_id, dirty_from, dirty_to, revision, asked_revision)
            values ($1, $2, $3, 1, 0)
            on conflict (connection_id) do update set
                dirty_from = case when rollup_marks.dirty_from < excluded.dirty_from
                    then rollup_marks.dirty_from else excluded.dirty_from end,
                dirty_to = case when rollup_marks.dirty_to > excluded.dirty_to
                    then rollup_marks.dirty_to else excluded.dirty_to end,
                revision = rollup_marks.revision + 1";
        execute(&self.tx, "mark days", sql, [connection.as_str().into(), from.into(), to.into()])
            .await
            .map(drop)
    }

    /// Marks all days of these teams.
    pub(crate) async fn mark_teams(&self, connection: &ConnectionId, teams: &BTreeSet<Uuid>) -> Result<()> {
        if teams.is_empty() {
            return Ok(());
        }
        let sql = "insert into rollup_marks (connection_id, revision, asked_revision) values ($1, 1, 0)
            on conflict (connection_id) do update set revision = rollup_marks.revision + 1
            returning revision";
        let id = || connection.as_str().into();
        let marked = row(&self.tx, "mark a connection", sql, [id()]).await?;
        let revision: i64 = marked.map_or(Ok(1), |row| row.get("revision"))?;
        let rows = teams.iter().map(|team| vec![id(), (*team).into(), revision.into()]);
        TEAM_MARKS.put(&self.tx, "mark teams", rows).await.map(drop)
    }

    /// Asks for a new look at the connection, without any changed facts.
    pub(crate) async fn ask_for_rollup(&self, connection: &ConnectionId) -> Result<()> {
        let sql = "insert into rollup_marks (connection_id, revision, asked_revision) values ($1, 1, 1)
            on conflict (connection_id) do update set
                revision = rollup_marks.revision + 1, asked_revision = rollup_marks.revision + 1";
        execute(&self.tx, "ask for a rollup", sql, [connection.as_str().into()]).await.map(drop)
    }

    /// Takes the mark away, if it is still the one that was seen, and those of teams that were.
    pub(crate) async fn unmark(&self, connection: &ConnectionId, revision: u64) -> Result<()> {
        let sql = "update rollup_marks set dirty_from = null, dirty_to = null
            where connection_id = $1 and revision = $2";
        let seen = || [connection.as_str().into(), int(revision)];
        execute(&self.tx, "take a mark away", sql, seen()).await?;
        let sql = "delete from rollup_team_marks where connection_id = $1 and revision <= $2";
        execute(&self.tx, "take marks of teams away", sql, seen()).await.map(drop)
    }
}
