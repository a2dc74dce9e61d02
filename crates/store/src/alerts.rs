//! Alerts that were told and have not ended. Read and written under the lock of the rollup's head, so that of two
//! aggregators one tells.

use std::{borrow::Cow, collections::BTreeSet};

use chrono::{DateTime, Utc};
use tidemark_domain::{alert::Told, id::ConnectionId};

use crate::{
    error::Result,
    statement::{Table, execute, rows},
    store::Tx,
};

const ALERTS: Table<'static> = Table {
    name: "alerts",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "kind", "subject", "told_at"]),
};

impl Tx {
    /// What was told and has not ended.
    pub async fn told_alerts(&self, connection: &ConnectionId) -> Result<BTreeSet<Told>> {
        let sql = "select kind, subject from alerts where connection_id = $1";
        let rows = rows(&self.tx, "read alerts", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| Ok((row.get("kind")?, row.get("subject")?))).collect()
    }

    /// Remembers what is told now, and forgets what has ended.
    pub async fn turn_alerts(
        &self,
        connection: &ConnectionId,
        told: &[Told],
        ended: &[Told],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let rows = told.iter().map(|(kind, subject)| {
            vec![connection.as_str().into(), kind.as_str().into(), subject.as_str().into(), now.into()]
        });
        ALERTS.put(&self.tx, "write alerts", rows).await?;
        for (kind, subject) in ended {
            let sql = "delete from alerts where connection_id = $1 and kind = $2 and subject = $3";
            let values = [connection.as_str().into(), kind.as_str().into(), subject.as_str().into()];
            execute(&self.tx, "forget an alert", sql, values).await?;
        }
        Ok(())
    }
}
