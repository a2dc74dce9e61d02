//! Connections and their sealed credentials. The store keeps what the vault sealed and cannot open it.

use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{
    capability::Finding,
    connection::{Reason, Region, State},
    id::{ConnectionId, OrganizationId},
};
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Row, corrupt, execute, int, row, rows},
    store::{Store, Tx},
};

const COLUMNS: &str = "id, organization_id, region, workspace, anchors, state, reason, generation, capabilities, \
     created_at, updated_at";

/// One connected workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Stays through every reconnect.
    pub id: ConnectionId,
    /// Whose connection it is.
    pub organization_id: OrganizationId,
    /// Where the workspace's data lives.
    pub region: Region,
    /// The workspace's domain at the vendor, where it could be found.
    pub workspace: Option<String>,
    /// Ids by which the workspace is recognised when another credential is offered.
    pub anchors: Vec<Uuid>,
    /// Where it stands.
    pub state: State,
    /// Why it needs a person, if it does.
    pub reason: Option<Reason>,
    /// Which credential is the present one; each reconnect takes the next number.
    pub generation: i64,
    /// What the present credential can read.
    pub capabilities: Vec<Finding>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When this row last changed.
    pub updated_at: DateTime<Utc>,
}

/// A secret as the vault sealed it. The store cannot open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// How it is sealed.
    pub algorithm: String,
    /// Which key-encryption key wraps the data key.
    pub key_id: String,
    /// The data key, wrapped.
    pub wrapped_key: Vec<u8>,
    /// The secret, sealed.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A sealed credential with the place it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// The connection it belongs to.
    pub connection_id: ConnectionId,
    /// Which of the connection's credentials it is.
    pub generation: i64,
    /// The credential.
    pub sealed: Sealed,
    /// When it was sealed.
    pub created_at: DateTime<Utc>,
}

impl Connection {
    fn read(row: &Row) -> Result<Self> {
        let reason: Option<String> = row.get("reason")?;
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            region: row.parsed("region", Region::parse)?,
            workspace: row.get("workspace")?,
            anchors: row.json("anchors")?,
            state: row.parsed("state", State::parse)?,
            reason: reason.map(|code| Reason::parse(&code).ok_or_else(|| corrupt("reason"))).transpose()?,
            generation: row.get("generation")?,
            capabilities: row.json("capabilities")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }

    /// In the order of [`COLUMNS`].
    fn values(&self) -> [Value; 11] {
        [
            self.id.as_str().into(),
            self.organization_id.as_str().into(),
            self.region.as_str().into(),
            self.workspace.clone().into(),
            serde_json::json!(self.anchors).to_string().into(),
            self.state.as_str().into(),
            self.reason.map(Reason::as_str).into(),
            self.generation.into(),
            serde_json::json!(self.capabilities).to_string().into(),
            self.created_at.into(),
            self.updated_at.into(),
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
        let after = after.map_or("", ConnectionId::as_str);
        let sql = format!(
            "select {COLUMNS} from connections where organization_id = $1 and id > $2 order by id limit $3"
        );
        let values = [organization.as_str().into(), after.into(), int(limit)];
        let rows = rows(&self.db, "list connections", sql, values).await?;
        rows.iter().map(Connection::read).collect()
    }

    /// The sealed credential of that generation.
    pub async fn credential(&self, id: &ConnectionId, generation: i64) -> Result<Option<SealedCredential>> {
        let sql = "select algorithm, key_id, wrapped_key, ciphertext, created_at from credentials
            where connection_id = $1 and generation = $2";
        let values = [id.as_str().into(), generation.into()];
        let Some(row) = row(&self.db, "read a credential", sql, values).await? else { return Ok(None) };
        Ok(Some(SealedCredential {
            connection_id: id.clone(),
            generation,
            sealed: Sealed {
                algorithm: row.get("algorithm")?,
                key_id: row.get("key_id")?,
                wrapped_key: row.get("wrapped_key")?,
                ciphertext: row.get("ciphertext")?,
            },
            created_at: row.get("created_at")?,
        }))
    }
}

impl Tx {
    /// Inserts a new connection.
    pub async fn insert_connection(&self, connection: &Connection) -> Result<()> {
        let sql = format!(
            "insert into connections ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        );
        execute(&self.tx, "insert a connection", sql, connection.values()).await.map(drop)
    }

    /// Writes the connection if it still stands in that state with that credential; `false` means that somebody was
    /// faster, and nothing was written. Id, organization and creation never change.
    pub async fn update_connection(
        &self,
        connection: &Connection,
        from_state: State,
        from_generation: i64,
    ) -> Result<bool> {
        let sql = "update connections set region = $3, workspace = $4, anchors = $5, state = $6, reason = $7,
                generation = $8, capabilities = $9, updated_at = $10
            where id = $1 and organization_id = $2 and state = $11 and generation = $12";
        let [
            id,
            organization,
            region,
            workspace,
            anchors,
            state,
            reason,
            generation,
            capabilities,
            _,
            updated,
        ] = connection.values();
        let values = [
            id,
            organization,
            region,
            workspace,
            anchors,
            state,
            reason,
            generation,
            capabilities,
            updated,
            from_state.as_str().into(),
            from_generation.into(),
        ];
        Ok(execute(&self.tx, "update a connection", sql, values).await? == 1)
    }

    /// Inserts a sealed credential.
    pub async fn insert_credential(&self, credential: &SealedCredential) -> Result<()> {
        let sql = "insert into credentials
                (connection_id, generation, algorithm, key_id, wrapped_key, ciphertext, created_at)
            values ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            credential.connection_id.as_str().into(),
            credential.generation.into(),
            credential.sealed.algorithm.as_str().into(),
            credential.sealed.key_id.as_str().into(),
            credential.sealed.wrapped_key.clone().into(),
            credential.sealed.ciphertext.clone().into(),
            credential.created_at.into(),
        ];
        execute(&self.tx, "insert a credential", sql, values).await.map(drop)
    }

    /// Deletes the connection's credentials of earlier generations.
    pub async fn delete_credentials_before(&self, id: &ConnectionId, generation: i64) -> Result<u64> {
        let sql = "delete from credentials where connection_id = $1 and generation < $2";
        execute(&self.tx, "delete old credentials", sql, [id.as_str().into(), generation.into()]).await
    }
}
