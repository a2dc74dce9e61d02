//! Recommendations that somebody took on. They end with what is recommended: see [`Tx::put_recommendations`].

use std::borrow::Cow;

use tidemark_domain::{
    id::ConnectionId,
    recommendation::{Acceptance, Action},
};
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Row, Table, execute},
    store::Tx,
};

const ACCEPTANCES: Table<'static> = Table {
    name: "acceptances",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "member_id", "action", "accepted_by", "accepted_at"]),
};

/// From a row of seats; none where nobody accepted what is recommended.
pub(crate) fn read(row: &Row) -> Result<Option<Acceptance>> {
    let by: Option<String> = row.get("accepted_by")?;
    let Some(by) = by else { return Ok(None) };
    Ok(Some(Acceptance {
        member_id: row.get("member_id")?,
        action: row.parsed("action", Action::parse)?,
        by,
        at: row.get("accepted_at")?,
    }))
}

impl Tx {
    /// Writes down who took a recommendation on, in the place of who did before.
    pub async fn accept_recommendation(
        &self,
        connection: &ConnectionId,
        acceptance: &Acceptance,
    ) -> Result<()> {
        let values = vec![
            connection.as_str().into(),
            acceptance.member_id.into(),
            acceptance.action.as_str().into(),
            acceptance.by.as_str().into(),
            acceptance.at.into(),
        ];
        ACCEPTANCES.put(&self.tx, "accept a recommendation", [values]).await.map(drop)
    }

    /// Takes an acceptance back; tells whether there was one.
    pub async fn withdraw_acceptance(&self, connection: &ConnectionId, member: Uuid) -> Result<bool> {
        let sql = "delete from acceptances where connection_id = $1 and member_id = $2";
        let values = [connection.as_str().into(), member.into()];
        Ok(execute(&self.tx, "withdraw an acceptance", sql, values).await? == 1)
    }

    /// Forgets those of whose members something else is recommended by now, or nothing.
    pub(crate) async fn end_acceptances(&self, connection: &ConnectionId) -> Result<()> {
        let sql = "delete from acceptances where connection_id = $1 and not exists (
            select 1 from recommendations r where r.connection_id = acceptances.connection_id
                and r.member_id = acceptances.member_id and r.action = acceptances.action)";
        execute(&self.tx, "end acceptances", sql, [connection.as_str().into()]).await.map(drop)
    }
}
