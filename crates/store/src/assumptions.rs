//! What is assumed of the vendor, held against the workspace of a connection. An assumption that does not hold is a data
//! flag of the connection, and stands nowhere else.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use tidemark_domain::id::ConnectionId;

use crate::{
    error::Result,
    quarantine::bounded,
    statement::{Row, execute, rows},
    store::{Store, Tx},
};

const LONGEST_DETAIL: usize = 1_000;

/// One assumption, held against a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorFinding {
    /// Its name, such as `date_to_inclusive`.
    pub assumption: Cow<'static, str>,
    /// Whether it holds; nothing where the workspace showed neither.
    pub holds: Option<bool>,
    /// What was seen; where it does not hold, a sentence for a person.
    pub detail: String,
}

impl Store {
    /// What was found of the connection's workspace, by assumption. Nothing where it was never checked.
    pub async fn vendor_findings(&self, connection: &ConnectionId) -> Result<Vec<VendorFinding>> {
        let sql = "select assumption, holds, detail from vendor_findings where connection_id = $1
            order by assumption";
        let rows = rows(&self.db, "read vendor findings", sql, [connection.as_str().into()]).await?;
        let read = |row: &Row| {
            let assumption: String = row.get("assumption")?;
            Ok(VendorFinding {
                assumption: assumption.into(),
                holds: row.get("holds")?,
                detail: row.get("detail")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Writes down what was found. What could not be seen now stands as it was seen before.
    pub async fn put_vendor_findings(
        &self,
        connection: &ConnectionId,
        findings: &[VendorFinding],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "insert into vendor_findings (connection_id, assumption, holds, detail, since, checked_at)
            values ($1, $2, $3, $4, $5, $5)
            on conflict (connection_id, assumption) do update set
                since = case when vendor_findings.holds = excluded.holds then vendor_findings.since
                    else excluded.since end,
                holds = excluded.holds, detail = excluded.detail, checked_at = excluded.checked_at
            where excluded.holds is not null or vendor_findings.holds is null";
        for finding in findings {
            let values = [
                connection.as_str().into(),
                finding.assumption.as_ref().into(),
                finding.holds.into(),
                bounded(&finding.detail, LONGEST_DETAIL).into(),
                now.into(),
            ];
            execute(&self.tx, "write a vendor finding", sql, values).await?;
        }
        Ok(())
    }
}
