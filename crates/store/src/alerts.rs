//! Alerts that hold, and the last time of those that have ended. Written under the lock of the rollup's head, so that of
//! two aggregators one tells.

use std::{borrow::Cow, collections::BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::Value;
use serde::{Deserialize, Serialize};
use tidemark_domain::{
    alert::{Alert, KINDS, Told, Turn},
    id::{ConnectionId, OrganizationId},
    rollup::DEFINITION_VERSION,
};

use crate::{
    error::Result,
    statement::{Row, Table, execute, int, placeholders, row, rows},
    store::{Store, Tx},
};

/// Alerts that one statement ends.
const ENDED_AT_ONCE: usize = 10_000;

const ALERTS: Table<'static> = Table {
    name: "alerts",
    key: 3,
    columns: Cow::Borrowed(&[
        "connection_id",
        "kind",
        "subject",
        "told_at",
        "detail",
        "member_id",
        "ended_at",
    ]),
};

/// An alert that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldAlert {
    /// Of which connection.
    pub connection_id: ConnectionId,
    /// What was told.
    pub alert: Alert,
    /// By which definitions its numbers were computed.
    pub definition_version: u32,
    /// The member's name, where it is about one who has a name.
    pub member_name: Option<String>,
    /// When it was told.
    pub told_at: DateTime<Utc>,
    /// Since when it does not hold any more.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The column `detail`.
#[derive(Serialize, Deserialize)]
struct Detail<A> {
    #[serde(flatten)]
    alert: A,
    /// Alerts were kept without it under the first definitions.
    #[serde(default = "first")]
    definition_version: u32,
}

fn first() -> u32 {
    1
}

/// Where a page of alerts begins: behind that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPlace {
    /// When it was told.
    pub told_at: DateTime<Utc>,
    /// Of which connection.
    pub connection_id: ConnectionId,
    /// Its kind.
    pub kind: String,
    /// What tells it from others of its kind.
    pub subject: String,
}

/// Which alerts are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Of one connection only.
    pub connection: Option<ConnectionId>,
    /// Of these kinds only; any, where there is none.
    pub kinds: BTreeSet<String>,
    /// Only what holds.
    pub open_only: bool,
}

impl ToldAlert {
    /// The place of the page behind it.
    pub fn place(&self) -> AlertPlace {
        AlertPlace {
            told_at: self.told_at,
            connection_id: self.connection_id.clone(),
            kind: self.alert.kind().to_owned(),
            subject: self.alert.subject(),
        }
    }

    fn read(row: &Row) -> Result<Self> {
        let Detail { alert, definition_version } = row.json("detail")?;
        Ok(Self {
            connection_id: row.parsed("connection_id", |text| text.parse().ok())?,
            alert,
            definition_version,
            member_name: row.get("name")?,
            told_at: row.get("told_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

impl AlertFilter {
    /// What stands behind `where`, with its values. Alerts of disconnected workspaces are of no use to anybody.
    fn condition(&self, organization: &OrganizationId) -> (String, Vec<Value>) {
        let mut sql =
            "c.organization_id = $1 and c.state <> 'disconnected' and a.detail is not null".to_owned();
        let mut values: Vec<Value> = vec![organization.as_str().into()];
        if let Some(connection) = &self.connection {
            values.push(connection.as_str().into());
            sql.push_str(" and c.id = $2");
        }
        // Those of other kinds were written by a later version, which can read them.
        let kinds: Vec<_> = match self.kinds.len() {
            0 => KINDS.to_vec(),
            _ => self.kinds.iter().map(String::as_str).collect(),
        };
        let names = placeholders(values.len() + 1, kinds.len());
        sql.push_str(&format!(" and a.kind in ({names})"));
        values.extend(kinds.into_iter().map(Value::from));
        if self.open_only {
            sql.push_str(" and a.ended_at is null");
        }
        (sql, values)
    }
}

impl Store {
    /// A page of what was told of an organization's connections, newest first.
    pub async fn alerts_of(
        &self,
        organization: &OrganizationId,
        filter: &AlertFilter,
        after: Option<&AlertPlace>,
        limit: u64,
    ) -> Result<Vec<ToldAlert>> {
        let (condition, mut values) = filter.condition(organization);
        let next = values.len() + 1;
        let start = if after.is_some() {
            let place = placeholders(next + 1, 4);
            format!("and (a.told_at, a.connection_id, a.kind, a.subject) < ({place})")
        } else {
            String::new()
        };
        values.push(int(limit));
        values.extend(after.into_iter().flat_map(|place| -> [Value; 4] {
            [
                place.told_at.into(),
                place.connection_id.as_str().into(),
                place.kind.as_str().into(),
                place.subject.as_str().into(),
            ]
        }));
        let sql = format!(
            "select a.connection_id, a.detail, a.told_at, a.ended_at, m.name
            from alerts a join connections c on c.id = a.connection_id
            left join members m on m.connection_id = a.connection_id and m.member_id = a.member_id
            where {condition} {start}
            order by a.told_at desc, a.connection_id desc, a.kind desc, a.subject desc limit ${next}"
        );
        rows(&self.db, "list alerts", sql, values).await?.iter().map(ToldAlert::read).collect()
    }

    /// How many of them hold.
    pub async fn open_alerts(&self, organization: &OrganizationId, filter: &AlertFilter) -> Result<u64> {
        let (condition, values) = filter.condition(organization);
        let sql = format!(
            "select count(*) as count from alerts a join connections c on c.id = a.connection_id
            where {condition} and a.ended_at is null"
        );
        row(&self.db, "count alerts", sql, values).await?.map_or(Ok(0), |row| row.count("count"))
    }
}

impl Tx {
    /// What was told and has not ended.
    pub async fn told_alerts(&self, connection: &ConnectionId) -> Result<BTreeSet<Told>> {
        let sql = "select kind, subject from alerts where connection_id = $1 and ended_at is null";
        let rows = rows(&self.tx, "read alerts", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| Ok((row.get("kind")?, row.get("subject")?))).collect()
    }

    /// Remembers what is told now and what is not told although it holds, and when something ended.
    pub async fn turn_alerts(
        &self,
        connection: &ConnectionId,
        turn: &Turn,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let row = |kind: &str, subject: &str, alert: Option<&Alert>| -> Vec<Value> {
            let detail = alert.map(|alert| Detail { alert, definition_version: DEFINITION_VERSION });
            vec![
                connection.as_str().into(),
                kind.into(),
                subject.into(),
                now.into(),
                detail.map(|detail| serde_json::json!(detail).to_string()).into(),
                alert.and_then(Alert::member_id).into(),
                None::<DateTime<Utc>>.into(),
            ]
        };
        let begun = turn.begun.iter().map(|alert| row(alert.kind(), &alert.subject(), Some(alert)));
        let silent = turn.silent.iter().map(|(kind, subject)| row(kind, subject, None));
        ALERTS.put(&self.tx, "write alerts", begun.chain(silent)).await?;
        let ended: Vec<_> = turn.ended.iter().collect();
        for some in ended.chunks(ENDED_AT_ONCE) {
            let pairs: Vec<_> =
                (0..some.len()).map(|at| format!("({})", placeholders(3 + at * 2, 2))).collect();
            let sql = format!(
                "update alerts set ended_at = $2
                where connection_id = $1 and (kind, subject) in (values {})",
                pairs.join(", ")
            );
            let of = [connection.as_str().into(), now.into()];
            let pairs =
                some.iter().flat_map(|(kind, subject)| [Value::from(&**kind), Value::from(&**subject)]);
            execute(&self.tx, "end alerts", sql, of.into_iter().chain(pairs).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}
