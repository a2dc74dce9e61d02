//! Seats that are kept although idle. A change asks for a new look at the connection.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use tidemark_domain::{exemption::Exemption, id::ConnectionId};
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Row, Table, execute, row, rows},
    store::{Store, Tx},
};

const EXEMPTIONS: Table<'static> = Table {
    name: "exemptions",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "member_id", "reason", "until_day", "set_at", "ended_at"]),
};

pub(crate) fn read(row: &Row) -> Result<Exemption> {
    Ok(Exemption {
        member_id: row.get("member_id")?,
        reason: row.get("reason")?,
        until: row.get("until_day")?,
        set_at: row.get("set_at")?,
        ended_at: row.get("ended_at")?,
    })
}

impl Store {
    /// All exemptions of a connection, by member; also those that have ended.
    pub async fn exemptions(&self, connection: &ConnectionId) -> Result<Vec<Exemption>> {
        let sql = "select member_id, reason, until_day, set_at, ended_at from exemptions
            where connection_id = $1 order by member_id";
        let rows = rows(&self.db, "list exemptions", sql, [connection.as_str().into()]).await?;
        rows.iter().map(read).collect()
    }

    /// Whether that member was ever on the connection's list.
    pub async fn is_member(&self, connection: &ConnectionId, member: Uuid) -> Result<bool> {
        let sql = "select 1 as found from members where connection_id = $1 and member_id = $2";
        Ok(row(&self.db, "find a member", sql, [connection.as_str().into(), member.into()]).await?.is_some())
    }
}

impl Tx {
    /// Sets an exemption, in the place of the member's one before.
    pub async fn set_exemption(&self, connection: &ConnectionId, exemption: &Exemption) -> Result<()> {
        let values = vec![
            connection.as_str().into(),
            exemption.member_id.into(),
            exemption.reason.as_str().into(),
            exemption.until.into(),
            exemption.set_at.into(),
            exemption.ended_at.into(),
        ];
        EXEMPTIONS.put(&self.tx, "write an exemption", [values]).await?;
        self.ask_for_rollup(connection).await
    }

    /// Ends a member's exemption; tells whether there was one that held.
    pub async fn end_exemption(
        &self,
        connection: &ConnectionId,
        member: Uuid,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = "update exemptions set ended_at = $3
            where connection_id = $1 and member_id = $2 and ended_at is null";
        let values = [connection.as_str().into(), member.into(), now.into()];
        let ended = execute(&self.tx, "end an exemption", sql, values).await? == 1;
        if ended {
            self.ask_for_rollup(connection).await?;
        }
        Ok(ended)
    }
}
