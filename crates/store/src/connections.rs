//! Connections and how they stand.
//!
//! Invariant: a row is written by compare-and-set, so that of two writers that read the same row one is told to look
//! again.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{
    capability::{Capability, Finding},
    connection::{AuthScheme, Reason, Region, Standing, State},
    id::{ConnectionId, OrganizationId},
};
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Row, corrupt, execute, int, page, placeholders, row},
    store::{Store, Tx},
};

const COLUMNS: &str = "id, organization_id, created_at, region, auth_scheme, workspace, anchors, state, reason, lost, \
     warned_days, generation, capabilities, purge, updated_at, revision, next_probe_at, probed_at";
/// How many of them are written by an update: those in between never change or are the detector's.
const FIRST_WRITTEN: usize = 3;
const WRITTEN: usize = 12;

/// One connected workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Stays through every reconnect.
    pub id: ConnectionId,
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// Where the workspace's data lives.
    pub region: Region,
    /// How its API key is sent.
    pub auth_scheme: AuthScheme,
    /// The workspace's domain at the vendor, where it could be found.
    pub workspace: Option<String>,
    /// Ids by which the workspace is recognised when another credential is offered.
    pub anchors: Vec<Uuid>,
    /// Where it stands.
    pub state: State,
    /// Why it is not simply connected.
    pub reason: Option<Reason>,
    /// What it could read once and cannot read now.
    pub lost: BTreeSet<Capability>,
    /// The last warning before its end that was given, in days.
    pub warned_days: Option<u32>,
    /// Counts the credentials it has had; each version of each credential takes the next number.
    pub generation: i64,
    /// What its present credentials can read.
    pub capabilities: Vec<Finding>,
    /// What becomes of its facts after a disconnect.
    pub purge: Option<Purge>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When this row last changed.
    pub updated_at: DateTime<Utc>,
    /// Grows with every write.
    pub revision: i64,
    /// When it is tried next.
    pub next_probe_at: Option<DateTime<Utc>>,
    /// When everything it can read was last asked for.
    pub probed_at: Option<DateTime<Utc>>,
}

/// How far the deletion of a disconnected workspace's facts is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Asked for, not finished.
    Asked,
    /// Everything is deleted.
    Done,
}

impl Purge {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Done => "done",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Asked, Self::Done].into_iter().find(|purge| purge.as_str() == text)
    }
}

impl Connection {
    /// A connection that nobody has consented to yet, and that has no credential.
    pub fn begun(
        id: ConnectionId,
        organization_id: OrganizationId,
        region: Region,
        now: DateTime<Utc>,
    ) -> Self {
        let Standing { state, reason, lost, warned_days } = Standing::awaiting();
        Self {
            id,
            organization_id,
            region,
            auth_scheme: AuthScheme::default(),
            workspace: None,
            anchors: Vec::new(),
            state,
            reason,
            lost,
            warned_days,
            generation: 0,
            capabilities: Vec::new(),
            purge: None,
            created_at: now,
            updated_at: now,
            revision: 0,
            next_probe_at: None,
            probed_at: None,
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let Self { state, reason, warned_days, .. } = *self;
        Standing { state, reason, lost: self.lost.clone(), warned_days }
    }

    /// The same connection, standing otherwise.
    #[must_use]
    pub fn standing_as(self, standing: Standing) -> Self {
        let Standing { state, reason, lost, warned_days } = standing;
        Self { state, reason, lost, warned_days, ..self }
    }

    fn read(row: &Row) -> Result<Self> {
        let reason: Option<String> = row.get("reason")?;
        let purge: Option<String> = row.get("purge")?;
        let warned: Option<i64> = row.get("warned_days")?;
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            region: row.parsed("region", Region::parse)?,
            auth_scheme: row.parsed("auth_scheme", AuthScheme::parse)?,
            workspace: row.get("workspace")?,
            anchors: row.json("anchors")?,
            state: row.parsed("state", State::parse)?,
            reason: reason.map(|code| Reason::parse(&code).ok_or_else(|| corrupt("reason"))).transpose()?,
            lost: row.known("lost")?.into_iter().collect(),
            warned_days: warned.and_then(|days| u32::try_from(days).ok()),
            generation: row.get("generation")?,
            capabilities: row.known("capabilities")?,
            purge: purge.map(|code| Purge::parse(&code).ok_or_else(|| corrupt("purge"))).transpose()?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            revision: row.get("revision")?,
            next_probe_at: row.get("next_probe_at")?,
            probed_at: row.get("probed_at")?,
        })
    }

    /// In the order of [`COLUMNS`].
    fn values(&self) -> Vec<Value> {
        vec![
            self.id.as_str().into(),
            self.organization_id.as_str().into(),
            self.created_at.into(),
            self.region.as_str().into(),
            self.auth_scheme.as_str().into(),
            self.workspace.clone().into(),
            serde_json::json!(self.anchors).to_string().into(),
            self.state.as_str().into(),
            self.reason.map(Reason::as_str).into(),
            serde_json::json!(self.lost).to_string().into(),
            self.warned_days.map(i64::from).into(),
            self.generation.into(),
            serde_json::json!(self.capabilities).to_string().into(),
            self.purge.map(Purge::as_str).into(),
            self.updated_at.into(),
            self.revision.into(),
            self.next_probe_at.into(),
            self.probed_at.into(),
        ]
    }
}

impl Store {
    /// The connection of that id.
    pub async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        let sql = format!("select {COLUMNS} from connections where id = $1");
        let row = row(&self.db, "read a connection", sql, [id.as_str().into()]).await?;
        row.as_ref().map(Connection::read).transpose()
    }

    /// Whose connection that is.
    pub async fn organization_of(&self, id: &ConnectionId) -> Result<Option<OrganizationId>> {
        let sql = "select organization_id from connections where id = $1";
        let row = row(&self.db, "find a connection's organization", sql, [id.as_str().into()]).await?;
        row.map(|row| row.parsed("organization_id", |text| text.parse().ok())).transpose()
    }

    /// A page of an organization's connections, by id.
    pub async fn connections_of(
        &self,
        organization: &OrganizationId,
        after: Option<&ConnectionId>,
        limit: u64,
    ) -> Result<Vec<Connection>> {
        // Every id is greater than the empty text.
        let behind = after.map_or("", ConnectionId::as_str).to_owned();
        let sql = format!(
            "select {COLUMNS} from connections where organization_id = $1 and id > $2 order by id limit $3"
        );
        let values = |behind: &str, limit| vec![organization.as_str().into(), behind.into(), int(limit)];
        let what = ("list connections", "connections");
        page(&self.db, what, &sql, (behind, limit), values, Connection::read).await
    }

    /// Says when a connection is tried next, and, after everything was asked for, when that was.
    pub async fn schedule_probe(
        &self,
        id: &ConnectionId,
        next: DateTime<Utc>,
        probed: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let tx = self.begin().await?;
        tx.schedule_probe(id, next, probed).await?;
        tx.commit().await
    }
}

impl Tx {
    /// Says when a connection is tried next, and, after everything was asked for, when that was.
    pub async fn schedule_probe(
        &self,
        id: &ConnectionId,
        next: DateTime<Utc>,
        probed: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let sql =
            "update connections set next_probe_at = $2, probe_claims = 0, probed_at = coalesce($3, probed_at)
            where id = $1";
        let values = [id.as_str().into(), next.into(), probed.into()];
        execute(&self.tx, "schedule a probe", sql, values).await.map(drop)
    }

    /// Inserts a new connection.
    pub async fn insert_connection(&self, connection: &Connection) -> Result<()> {
        let values = connection.values();
        let sql = format!("insert into connections ({COLUMNS}) values ({})", placeholders(1, values.len()));
        execute(&self.tx, "insert a connection", sql, values).await.map(drop)
    }

    /// Writes the connection if it still is as `old` was read; `false` means that somebody was faster, and nothing was
    /// written. Id, organization, creation and the times of probes stay as they are.
    pub async fn update_connection(&self, connection: &Connection, old: &Connection) -> Result<bool> {
        let columns: Vec<_> = COLUMNS.split(", ").map(str::trim).skip(FIRST_WRITTEN).take(WRITTEN).collect();
        let sets: Vec<_> =
            columns.iter().zip(1..).map(|(column, number)| format!("{column} = ${number}")).collect();
        let sql = format!(
            "update connections set {}, revision = revision + 1
            where id = ${} and organization_id = ${} and state = ${} and generation = ${} and revision = ${}",
            sets.join(", "),
            WRITTEN + 1,
            WRITTEN + 2,
            WRITTEN + 3,
            WRITTEN + 4,
            WRITTEN + 5,
        );
        let mut values = connection.values().split_off(FIRST_WRITTEN);
        values.truncate(WRITTEN);
        values.extend([
            connection.id.as_str().into(),
            connection.organization_id.as_str().into(),
            old.state.as_str().into(),
            old.generation.into(),
            old.revision.into(),
        ]);
        Ok(execute(&self.tx, "update a connection", sql, values).await? == 1)
    }
}
